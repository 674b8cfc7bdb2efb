// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How much memory a machine has, may have, and shall have.

use std::sync::Arc;

use virtus_api::{
    DomainGetMaxMemory, DomainMemoryModFlags as Flags, DomainRef, DomainSetMaxMemory,
    DomainSetMemory, DomainSetMemoryFlags, Error, ErrorCode, Result,
};
use virtus_core::Call;
use virtus_xml::Domain;
use virtus_xml::units::Kib;

use super::info::current_memory;
use super::{HasMachines, check_flags, find, targets};
use crate::context::Context;
use crate::jobs::Job;
use crate::machine::Machine;

pub(super) async fn get_max<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetMaxMemory,
) -> Result<u64> {
    Ok(find(&*driver, &request.dom)?.1.facts()?.max_memory)
}

pub(super) async fn set<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetMemory,
) -> Result<()> {
    change(&*driver, &request.dom, request.memory, Flags::LIVE.bits(), "virDomainSetMemory").await
}

pub(super) async fn set_max<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetMaxMemory,
) -> Result<()> {
    let flags = Flags::MAXIMUM.bits();
    change(&*driver, &request.dom, request.memory, flags, "virDomainSetMaxMemory").await
}

pub(super) async fn set_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetMemoryFlags,
) -> Result<()> {
    const NAME: &str = "virDomainSetMemoryFlags";
    check_flags(request.flags, Flags::all().bits(), NAME)?;
    change(&*driver, &request.dom, request.memory, request.flags, NAME).await
}

async fn change<D: HasMachines>(
    driver: &D,
    dom: &DomainRef,
    kib: u64,
    flags: u32,
    name: &'static str,
) -> Result<()> {
    if kib == 0 {
        return Err(Error::new(
            ErrorCode::InvalidArg,
            format!("memory in {name} must not be zero"),
        ));
    }
    let (handle, _) = find(driver, dom)?;
    let maximum = Flags::from_bits_truncate(flags).contains(Flags::MAXIMUM);
    handle
        .job(Job::modify(name), move |context| async move {
            let wanted = targets(flags, &context.snapshot())?;
            if maximum {
                if wanted.live {
                    return Err(Error::new(
                        ErrorCode::OperationInvalid,
                        "cannot resize the maximum memory on an active domain",
                    )
                    .hint("change it for the next start with '--config'"));
                }
                context.change_persistent(|def| set_total(def, kib))
            } else {
                balloon(&context, kib, wanted.live, wanted.config).await
            }
        })
        .await
}

fn set_total(def: &mut Domain, kib: u64) -> Result<()> {
    let cells = def.cpu.as_ref().is_some_and(|cpu| cpu.numa.is_some());
    if cells {
        return Err(Error::new(
            ErrorCode::OperationInvalid,
            "initial memory size of a domain with NUMA nodes cannot be modified with this API",
        )
        .hint("change the memory of the NUMA cells with 'virsh edit'"));
    }
    def.memory.kib = kib;
    if current_memory(def) > kib {
        def.current_memory = Some(Kib(kib));
    }
    Ok(())
}

async fn balloon<M: Machine>(
    context: &Context<M>,
    kib: u64,
    live: bool,
    config: bool,
) -> Result<()> {
    // Both halves are checked before either is changed.
    if live {
        within(kib, &*context.live()?)?;
    }
    if config {
        context.change_persistent(|def| {
            within(kib, def)?;
            def.current_memory = Some(Kib(kib));
            Ok(())
        })?;
    }
    if live {
        let running = context.running()?;
        let mut live = (*context.live()?).clone();
        context.machine().set_memory(&running, &mut live, kib).await?;
        let current = live.body.current_memory;
        if current != context.live()?.current_memory {
            context.change_live(|def| def.body.current_memory = current)?;
        }
    }
    Ok(())
}

fn within(kib: u64, def: &Domain) -> Result<()> {
    if kib > def.memory.kib {
        return Err(Error::new(ErrorCode::InvalidArg, "cannot set memory higher than max memory")
            .hint(format!(
                "domain '{}' has at most {} KiB; raise that with 'virsh setmaxmem --config'",
                def.name, def.memory.kib
            )));
    }
    Ok(())
}
