// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a machine is and does. Read from snapshots; never waits for the machine.

use std::sync::Arc;

use virtus_api::{
    DomainControlErrorReason, DomainControlState, DomainGetAutostart, DomainGetControlInfo,
    DomainGetControlInfoReply, DomainGetInfo, DomainGetInfoReply, DomainGetOsType, DomainGetState,
    DomainGetStateReply, DomainGetXmlDesc, DomainHasManagedSaveImage, DomainIsActive,
    DomainIsPersistent, DomainIsUpdated, DomainXmlFlags, Result,
};
use virtus_core::Call;
use virtus_xml::{Domain, FormatFlags};

use super::{HasMachines, check_flags, find};
use crate::machine::Machine;
use crate::snapshot::not_running;

pub(super) async fn get_info<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetInfo,
) -> Result<DomainGetInfoReply> {
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    let facts = snapshot.facts()?;
    let usage = driver.machines().machine().usage(handle.running().as_deref());
    Ok(DomainGetInfoReply {
        state: u8::try_from(snapshot.state.kind() as i32).unwrap_or_default(),
        max_mem: facts.max_memory,
        memory: usage.memory.unwrap_or(facts.memory),
        nr_virt_cpu: u16::try_from(facts.vcpus).unwrap_or(u16::MAX),
        cpu_time: usage.cpu_time,
    })
}

/// The memory that the guest has now (the balloon's size), in KiB.
pub(super) fn current_memory(def: &Domain) -> u64 {
    def.current_memory.as_ref().map_or(def.memory.kib, |current| current.0)
}

/// How many vCPUs the guest can have.
pub(super) fn max_vcpus(def: &Domain) -> u32 {
    def.vcpu.as_ref().map_or(1, |vcpu| vcpu.max)
}

/// How many vCPUs the guest has now.
pub(super) fn current_vcpus(def: &Domain) -> u32 {
    def.vcpu.as_ref().map_or(1, |vcpu| vcpu.current.unwrap_or(vcpu.max))
}

pub(super) async fn get_state<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetState,
) -> Result<DomainGetStateReply> {
    check_flags(request.flags, 0, "virDomainGetState")?;
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let state = snapshot.state;
    Ok(DomainGetStateReply { state: state.kind() as i32, reason: state.reason() })
}

pub(super) async fn get_xml<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, DomainXmlFlags::all().bits(), "virDomainGetXMLDesc")?;
    let flags = DomainXmlFlags::from_bits_truncate(request.flags);
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let inactive = flags.contains(DomainXmlFlags::INACTIVE) || !snapshot.is_active();
    let def = match &snapshot.persistent {
        Some(persistent) if inactive => persistent.definition()?,
        _ => snapshot.def()?,
    };
    let mut format = FormatFlags::empty();
    format.set(FormatFlags::SECURE, flags.contains(DomainXmlFlags::SECURE));
    format.set(FormatFlags::INACTIVE, inactive);
    if flags.contains(DomainXmlFlags::MIGRATABLE) {
        let mut thin = Domain::clone(&def);
        driver.machines().machine().thin(&mut thin);
        return Ok(thin.format(format));
    }
    Ok(def.format(format))
}

pub(super) async fn get_os_type<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetOsType,
) -> Result<String> {
    let (_, snapshot) = find(&*driver, &request.dom)?;
    Ok(snapshot.def()?.os.kind.name.clone())
}

pub(super) async fn is_active<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainIsActive,
) -> Result<i32> {
    Ok(find(&*driver, &request.dom)?.1.is_active().into())
}

pub(super) async fn is_persistent<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainIsPersistent,
) -> Result<i32> {
    Ok(find(&*driver, &request.dom)?.1.persistent.is_some().into())
}

pub(super) async fn is_updated<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainIsUpdated,
) -> Result<i32> {
    Ok(find(&*driver, &request.dom)?.1.updated.into())
}

pub(super) async fn get_autostart<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetAutostart,
) -> Result<i32> {
    Ok(find(&*driver, &request.dom)?.1.autostart.into())
}

pub(super) async fn get_control_info<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetControlInfo,
) -> Result<DomainGetControlInfoReply> {
    check_flags(request.flags, 0, "virDomainGetControlInfo")?;
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    if !snapshot.is_active() {
        return Err(not_running(&snapshot.name));
    }
    let busy = handle.busy();
    let (state, details, since) = match busy.short.or(busy.long) {
        _ if !snapshot.answering => {
            let details = DomainControlErrorReason::Monitor as u32;
            (DomainControlState::Error, details, busy.short.map(|job| job.since))
        }
        Some(job) => (DomainControlState::Job, 0, Some(job.since)),
        None => (DomainControlState::Ok, 0, None),
    };
    let state_time = since.map_or(0, |since| since.elapsed().as_millis());
    Ok(DomainGetControlInfoReply {
        state: state as u32,
        details,
        state_time: u64::try_from(state_time).unwrap_or(u64::MAX),
    })
}

pub(super) async fn has_managed_save<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainHasManagedSaveImage,
) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainHasManagedSaveImage")?;
    Ok(find(&*driver, &request.dom)?.1.managed_save.into())
}
