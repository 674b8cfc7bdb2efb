// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many vCPUs a machine has, may have, and shall have.

use std::sync::Arc;

use virtus_api::{
    DomainGetMaxVcpus, DomainGetVcpusFlags, DomainRef, DomainSetVcpus, DomainSetVcpusFlags,
    DomainVcpuFlags as Flags, Error, ErrorCode, Result,
};
use virtus_core::Call;
use virtus_xml::Domain;
use virtus_xml::domain::tuning::Vcpu;

use super::info::{current_vcpus, max_vcpus};
use super::{HasMachines, check_flags, definition_of, exclusive, find, targets};
use crate::context::Context;
use crate::jobs::Job;
use crate::machine::Machine;

pub(super) async fn get_max<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetMaxVcpus,
) -> Result<i32> {
    let (_, snapshot) = find(&*driver, &request.dom)?;
    Ok(number(max_vcpus(&*definition_of(Flags::LIVE.bits(), &snapshot)?)))
}

pub(super) async fn get_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetVcpusFlags,
) -> Result<i32> {
    let known = Flags::LIVE | Flags::CONFIG | Flags::MAXIMUM | Flags::GUEST;
    check_flags(request.flags, known.bits(), "virDomainGetVcpusFlags")?;
    let flags = Flags::from_bits_truncate(request.flags);
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let def = definition_of(request.flags, &snapshot)?;
    if flags.contains(Flags::GUEST) {
        return Err(guest_unsupported());
    }
    let count = if flags.contains(Flags::MAXIMUM) { max_vcpus(&def) } else { current_vcpus(&def) };
    Ok(number(count))
}

pub(super) async fn set<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetVcpus,
) -> Result<()> {
    let flags = Flags::LIVE;
    change(&*driver, &request.dom, request.nvcpus, flags, "virDomainSetVcpus").await
}

pub(super) async fn set_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSetVcpusFlags,
) -> Result<()> {
    const NAME: &str = "virDomainSetVcpusFlags";
    check_flags(request.flags, Flags::all().bits(), NAME)?;
    let flags = Flags::from_bits_truncate(request.flags);
    exclusive(
        request.flags,
        (Flags::GUEST.bits(), "VIR_DOMAIN_VCPU_GUEST"),
        (Flags::MAXIMUM.bits(), "VIR_DOMAIN_VCPU_MAXIMUM"),
    )?;
    change(&*driver, &request.dom, request.nvcpus, flags, NAME).await
}

async fn change<D: HasMachines>(
    driver: &D,
    dom: &DomainRef,
    count: u32,
    flags: Flags,
    name: &'static str,
) -> Result<()> {
    if count == 0 {
        return Err(Error::new(
            ErrorCode::InvalidArg,
            format!("nvcpus in {name} must not be zero"),
        ));
    }
    if flags.contains(Flags::GUEST) {
        return Err(guest_unsupported());
    }
    let (handle, _) = find(driver, dom)?;
    handle
        .job(Job::modify(name), move |context| async move {
            let wanted = targets(flags.bits(), &context.snapshot())?;
            if flags.contains(Flags::MAXIMUM) {
                if wanted.live {
                    return Err(Error::new(
                        ErrorCode::InvalidArg,
                        "maximum vcpu count of a live domain can't be modified",
                    )
                    .hint("change it for the next start with '--config'"));
                }
                return context.change_persistent(|def| set_maximum(def, count));
            }
            if wanted.live {
                within(count, &*context.live()?, "live")?;
            }
            if wanted.config {
                context.change_persistent(|def| {
                    within(count, def, "persistent")?;
                    set_current(def, count);
                    Ok(())
                })?;
            }
            if wanted.live { plug(&context, count).await } else { Ok(()) }
        })
        .await
}

async fn plug<M: Machine>(context: &Context<M>, count: u32) -> Result<()> {
    let running = context.running()?;
    let mut live = (*context.live()?).clone();
    let outcome = context.machine().set_vcpus(&running, &mut live, count).await;
    // Some may have been plugged before one failed: the definition says what is there.
    context.change_live(|def| {
        def.vcpu = live.body.vcpu;
        def.vcpus = live.body.vcpus;
    })?;
    outcome
}

fn set_maximum(def: &mut Domain, count: u32) -> Result<()> {
    let topology = def.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref());
    if let Some(topology) = topology {
        let product = [
            Some(topology.sockets),
            topology.dies,
            topology.clusters,
            Some(topology.cores),
            Some(topology.threads),
        ]
        .into_iter()
        .flatten()
        .fold(1_u32, u32::saturating_mul);
        if product != count {
            return Err(Error::new(
                ErrorCode::InvalidArg,
                "CPU topology doesn't match the desired vcpu count",
            )
            .hint(format!("the topology of domain '{}' has {product} vCPUs", def.name)));
        }
    }
    let current = current_vcpus(def).min(count);
    def.vcpu.get_or_insert_with(Vcpu::default).max = count;
    set_current(def, current);
    Ok(())
}

fn set_current(def: &mut Domain, count: u32) {
    let vcpu = def.body.vcpu.get_or_insert_with(|| Vcpu { max: 1, ..Vcpu::default() });
    vcpu.current = (count != vcpu.max).then_some(count);
    // Which of them are there is decided anew at the next start.
    def.vcpus = None;
}

fn within(count: u32, def: &Domain, which: &str) -> Result<()> {
    let max = max_vcpus(def);
    if count > max {
        return Err(Error::new(
            ErrorCode::InvalidArg,
            format!(
                "requested vcpus is greater than max allowable vcpus for the {which} domain: \
                 {count} > {max}"
            ),
        )
        .hint("raise the maximum for the next start with 'virsh setvcpus --maximum --config'"));
    }
    Ok(())
}

fn guest_unsupported() -> Error {
    crate::machine::unsupported("asking the guest itself for its vCPUs is not supported here")
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
