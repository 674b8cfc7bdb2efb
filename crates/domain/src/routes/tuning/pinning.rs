// SPDX-License-Identifier: Apache-2.0 OR MIT
//! On which host CPUs the vCPUs of a guest, and the other threads of its VMM, may run.
//!
//! Invariant: the definition says what holds: it is changed after the threads are bound.

use std::sync::Arc;

use virtus_api::{
    DomainEventTunable, DomainGetEmulatorPinInfo, DomainGetEmulatorPinInfoReply,
    DomainGetVcpuPinInfo, DomainGetVcpuPinInfoReply, DomainModificationImpact as Impact,
    DomainPinEmulator, DomainPinVcpu, DomainPinVcpuFlags, DomainRef, Error, ErrorCode, Result,
    TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_xml::Domain;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::tuning::{EmulatorPin, IothreadPin, VcpuPin};

use super::super::info::max_vcpus;
use super::super::{HasMachines, by, check_flags, definition_of, find, targets};
use crate::context::Context;
use crate::cpu_map;
use crate::jobs::Job;
use crate::machine::Machine;
use crate::tuner::{Threads, Tuner};

pub(super) fn routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Tuner,
{
    Routes::new()
        .on(by(get_vcpus::<D>))
        .on(by(pin_vcpu::<D>))
        .on(by(pin_vcpu_flags::<D>))
        .on(by(get_emulator::<D>))
        .on(by(pin_emulator::<D>))
}

/// The CPUs of one vCPU: its own, those of all, or the host's.
fn of_vcpu(def: &Domain, number: u32, cpus: usize) -> CpuSet {
    let own = def.cputune.vcpupins.iter().find(|pin| pin.vcpu == number);
    own.map(|pin| pin.cpuset.clone()).unwrap_or_else(|| cpus_of_all(def, cpus))
}

/// The CPUs of every thread that has none of its own.
#[must_use]
pub fn cpus_of_all(def: &Domain, cpus: usize) -> CpuSet {
    let stated = def.vcpu.as_ref().and_then(|vcpu| vcpu.cpuset.clone());
    stated.unwrap_or_else(|| cpu_map::all(cpus))
}

/// Notes on which CPUs an I/O thread may run.
pub fn note_iothread_pin(def: &mut Domain, id: u32, set: &CpuSet) {
    let pins = &mut def.cputune.iothreadpins;
    pins.retain(|pin| pin.iothread != id);
    pins.push(IothreadPin { iothread: id, cpuset: set.clone() });
    pins.sort_by_key(|pin| pin.iothread);
}

/// The CPUs that a call asks for.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` if there are none.
pub fn wanted_cpus(map: &[u8]) -> Result<CpuSet> {
    let set = cpu_map::from_map(map);
    if set.is_empty() {
        return Err(Error::new(ErrorCode::InvalidArg, "Empty cpu list for pinning"));
    }
    Ok(set)
}

async fn get_vcpus<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetVcpuPinInfo,
) -> Result<DomainGetVcpuPinInfoReply>
where
    D::Machine: Tuner,
{
    check_flags(request.flags, Impact::all().bits(), "virDomainGetVcpuPinInfo")?;
    cpu_map::check_room(request.ncpumaps, request.maplen)?;
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let def = definition_of(request.flags, &snapshot)?;
    let cpus = driver.machines().machine().host_cpus();
    let length = usize::try_from(request.maplen).unwrap_or_default();
    let wanted = u32::try_from(request.ncpumaps).unwrap_or_default();
    let numbers = 0..max_vcpus(&def).min(wanted);
    let cpumaps: Vec<u8> = numbers
        .clone()
        .flat_map(|number| cpu_map::to_map(&of_vcpu(&def, number, cpus), cpus, length))
        .collect();
    Ok(DomainGetVcpuPinInfoReply { cpumaps, num: i32::try_from(numbers.len()).unwrap_or(i32::MAX) })
}

async fn pin_vcpu<D: HasMachines>(driver: Arc<D>, _: Call, request: DomainPinVcpu) -> Result<()>
where
    D::Machine: Tuner,
{
    let flags = Impact::LIVE.bits();
    pin_one(&*driver, &request.dom, request.vcpu, &request.cpumap, flags, "virDomainPinVcpu").await
}

async fn pin_vcpu_flags<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainPinVcpuFlags,
) -> Result<()>
where
    D::Machine: Tuner,
{
    let (map, flags) = (&request.cpumap, request.flags);
    pin_one(&*driver, &request.dom, request.vcpu, map, flags, "virDomainPinVcpuFlags").await
}

async fn pin_one<D: HasMachines>(
    driver: &D,
    dom: &DomainRef,
    vcpu: u32,
    map: &[u8],
    flags: u32,
    name: &'static str,
) -> Result<()>
where
    D::Machine: Tuner,
{
    check_flags(flags, Impact::all().bits(), name)?;
    let set = wanted_cpus(map)?;
    let (handle, _) = find(driver, dom)?;
    handle
        .job(Job::modify(name), move |context| async move {
            let wanted = targets(flags, &context.snapshot())?;
            if wanted.live {
                in_range(vcpu, &*context.live()?)?;
            }
            if wanted.config {
                context.change_persistent(|def| {
                    in_range(vcpu, def)?;
                    note_vcpu(def, vcpu, &set);
                    Ok(())
                })?;
            }
            if wanted.live {
                let guest = context.running()?;
                context.machine().bind(&guest, Threads::Vcpu(vcpu), &set).await?;
                context.change_live(|def| note_vcpu(def, vcpu, &set))?;
                tell_bound(&context, format!("cputune.vcpupin{vcpu}"), &set);
            }
            Ok(())
        })
        .await
}

fn in_range(vcpu: u32, def: &Domain) -> Result<()> {
    if vcpu < max_vcpus(def) {
        return Ok(());
    }
    let text = format!("requested vcpu '{vcpu}' is not present in the domain");
    Err(Error::new(ErrorCode::InvalidArg, text).hint(format!(
        "domain '{}' has {} vCPUs",
        def.name,
        max_vcpus(def)
    )))
}

fn note_vcpu(def: &mut Domain, vcpu: u32, set: &CpuSet) {
    let pins = &mut def.cputune.vcpupins;
    pins.retain(|pin| pin.vcpu != vcpu);
    pins.push(VcpuPin { vcpu, cpuset: set.clone() });
    pins.sort_by_key(|pin| pin.vcpu);
}

async fn get_emulator<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainGetEmulatorPinInfo,
) -> Result<DomainGetEmulatorPinInfoReply>
where
    D::Machine: Tuner,
{
    check_flags(request.flags, Impact::all().bits(), "virDomainGetEmulatorPinInfo")?;
    cpu_map::check_room(1, request.maplen)?;
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let def = definition_of(request.flags, &snapshot)?;
    let cpus = driver.machines().machine().host_cpus();
    let length = usize::try_from(request.maplen).unwrap_or_default();
    let own = def.cputune.emulatorpin.as_ref().map(|pin| pin.cpuset.clone());
    let set = own.unwrap_or_else(|| cpus_of_all(&def, cpus));
    Ok(DomainGetEmulatorPinInfoReply { cpumaps: cpu_map::to_map(&set, cpus, length), ret: 1 })
}

async fn pin_emulator<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainPinEmulator,
) -> Result<()>
where
    D::Machine: Tuner,
{
    const NAME: &str = "virDomainPinEmulator";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let set = wanted_cpus(&request.cpumap)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    handle
        .job(Job::modify(NAME), move |context| async move {
            let wanted = targets(request.flags, &context.snapshot())?;
            let pin = EmulatorPin { cpuset: set.clone() };
            if wanted.config {
                context.change_persistent(|def| {
                    def.cputune.emulatorpin = Some(pin.clone());
                    Ok(())
                })?;
            }
            if wanted.live {
                let guest = context.running()?;
                context.machine().bind(&guest, Threads::Emulator, &set).await?;
                context.change_live(|def| def.cputune.emulatorpin = Some(pin))?;
                tell_bound(&context, "cputune.emulatorpin".to_owned(), &set);
            }
            Ok(())
        })
        .await
}

/// Tells clients of threads that were bound.
pub fn tell_bound<M: Machine>(context: &Context<M>, field: String, set: &CpuSet) {
    let params = vec![TypedParam::new(field, set.to_string())];
    context.emit(|dom| DomainEventTunable { dom, params }.into());
}
