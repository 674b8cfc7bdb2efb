// SPDX-License-Identifier: Apache-2.0 OR MIT
//! On which host CPUs the vCPUs of a guest, and the other threads of its QEMU, may run.
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
use virtus_domain::routes::{check_flags, definition_of, find, targets};
use virtus_domain::{Context, Job};
use virtus_host::cgroup::Controller;
use virtus_host::process::ThreadStat;
use virtus_xml::Domain;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::tuning::{EmulatorPin, VcpuPin};

use super::{by, count, iothreads};
use crate::cpu_map;
use crate::driver::{Qemu, QemuDriver};
use crate::guest::Guest;
use crate::launch::cgroup;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new()
        .on(by(get_vcpus))
        .on(by(pin_vcpu))
        .on(by(pin_vcpu_flags))
        .on(by(get_emulator))
        .on(by(pin_emulator))
}

/// The CPUs of one vCPU: its own, those of all, or the host's.
pub(super) fn of_vcpu(def: &Domain, number: u32, cpus: usize) -> CpuSet {
    let own = def.cputune.vcpupins.iter().find(|pin| pin.vcpu == number);
    own.map(|pin| pin.cpuset.clone()).unwrap_or_else(|| of_all(def, cpus))
}

/// The CPUs of every thread that has none of its own.
pub(super) fn of_all(def: &Domain, cpus: usize) -> CpuSet {
    let stated = def.vcpu.as_ref().and_then(|vcpu| vcpu.cpuset.clone());
    stated.unwrap_or_else(|| cpu_map::all(cpus))
}

/// The CPUs that a call asks for.
pub(super) fn wanted_set(map: &[u8]) -> Result<CpuSet> {
    let set = cpu_map::from_map(map);
    if set.is_empty() {
        return Err(Error::new(ErrorCode::InvalidArg, "Empty cpu list for pinning"));
    }
    Ok(set)
}

async fn get_vcpus(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetVcpuPinInfo,
) -> Result<DomainGetVcpuPinInfoReply> {
    check_flags(request.flags, Impact::all().bits(), "virDomainGetVcpuPinInfo")?;
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let def = definition_of(request.flags, &snapshot)?;
    let cpus = driver.qemu.node.topology().cpus.len();
    let length = usize::try_from(request.maplen).unwrap_or_default();
    let wanted = u32::try_from(request.ncpumaps).unwrap_or_default();
    let numbers = 0..max_vcpus(&def).min(wanted);
    let cpumaps: Vec<u8> = numbers
        .clone()
        .flat_map(|number| cpu_map::to_map(&of_vcpu(&def, number, cpus), cpus, length))
        .collect();
    Ok(DomainGetVcpuPinInfoReply { cpumaps, num: count(numbers.len()) })
}

fn max_vcpus(def: &Domain) -> u32 {
    def.vcpu.as_ref().map_or(1, |vcpu| vcpu.max)
}

async fn pin_vcpu(driver: Arc<QemuDriver>, _: Call, request: DomainPinVcpu) -> Result<()> {
    let flags = Impact::LIVE.bits();
    pin_one(&driver, &request.dom, request.vcpu, &request.cpumap, flags, "virDomainPinVcpu").await
}

async fn pin_vcpu_flags(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainPinVcpuFlags,
) -> Result<()> {
    let (map, flags) = (&request.cpumap, request.flags);
    pin_one(&driver, &request.dom, request.vcpu, map, flags, "virDomainPinVcpuFlags").await
}

async fn pin_one(
    driver: &QemuDriver,
    dom: &DomainRef,
    vcpu: u32,
    map: &[u8],
    flags: u32,
    name: &'static str,
) -> Result<()> {
    check_flags(flags, Impact::all().bits(), name)?;
    let set = wanted_set(map)?;
    let (handle, _) = find(driver, dom)?;
    handle
        .job(Job::modify(name), move |context| async move {
            let wanted = targets(flags, &context.snapshot())?;
            if wanted.live {
                in_range(vcpu, &*context.live()?, "live")?;
            }
            if wanted.config {
                context.change_persistent(|def| {
                    in_range(vcpu, def, "persistent")?;
                    note_vcpu(def, vcpu, &set);
                    Ok(())
                })?;
            }
            if wanted.live {
                let guest = context.running()?;
                let place = usize::try_from(vcpu).unwrap_or(usize::MAX);
                // One that is not plugged in yet is bound when it is.
                if let Some(tid) = guest.vcpu_threads().get(place) {
                    bind(&context, &guest, &format!("vcpu{vcpu}"), &[*tid], &set)?;
                }
                context.change_live(|def| note_vcpu(def, vcpu, &set))?;
                tell(&context, format!("cputune.vcpupin{vcpu}"), &set);
            }
            Ok(())
        })
        .await
}

fn in_range(vcpu: u32, def: &Domain, which: &str) -> Result<()> {
    let have = max_vcpus(def);
    if vcpu < have {
        return Ok(());
    }
    let text = format!("vcpu {vcpu} is out of range of {which} cpu count {have}");
    Err(Error::new(ErrorCode::InvalidArg, text))
}

fn note_vcpu(def: &mut Domain, vcpu: u32, set: &CpuSet) {
    let pins = &mut def.cputune.vcpupins;
    pins.retain(|pin| pin.vcpu != vcpu);
    pins.push(VcpuPin { vcpu, cpuset: set.clone() });
    pins.sort_by_key(|pin| pin.vcpu);
}

async fn get_emulator(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetEmulatorPinInfo,
) -> Result<DomainGetEmulatorPinInfoReply> {
    check_flags(request.flags, Impact::all().bits(), "virDomainGetEmulatorPinInfo")?;
    let (_, snapshot) = find(&*driver, &request.dom)?;
    let def = definition_of(request.flags, &snapshot)?;
    let cpus = driver.qemu.node.topology().cpus.len();
    let length = usize::try_from(request.maplen).unwrap_or_default();
    let own = def.cputune.emulatorpin.as_ref().map(|pin| pin.cpuset.clone());
    let set = own.unwrap_or_else(|| of_all(&def, cpus));
    Ok(DomainGetEmulatorPinInfoReply { cpumaps: cpu_map::to_map(&set, cpus, length), ret: 1 })
}

async fn pin_emulator(driver: Arc<QemuDriver>, _: Call, request: DomainPinEmulator) -> Result<()> {
    const NAME: &str = "virDomainPinEmulator";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let set = wanted_set(&request.cpumap)?;
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
                let threads = emulator_threads(&guest).await?;
                bind(&context, &guest, "emulator", &threads, &set)?;
                context.change_live(|def| def.cputune.emulatorpin = Some(pin))?;
                tell(&context, "cputune.emulatorpin".to_owned(), &set);
            }
            Ok(())
        })
        .await
}

/// The threads of QEMU that run neither a vCPU nor the guest's I/O.
pub(super) async fn emulator_threads(guest: &Guest) -> Result<Vec<u32>> {
    let mut others = guest.vcpu_threads();
    others.extend(iothreads::of_guest(guest).await?.iter().map(|thread| thread.tid));
    let all = ThreadStat::of_process(guest.process.pid()).into_iter().map(|thread| thread.tid);
    Ok(all.filter(|tid| !others.contains(tid)).collect())
}

/// Binds threads to CPUs: by their group, where they have one of their own, and one by one.
pub(super) fn bind(
    context: &Context<Qemu>,
    guest: &Guest,
    group: &str,
    threads: &[u32],
    set: &CpuSet,
) -> Result<()> {
    let facts = &guest.facts;
    let group = cgroup::of(&context.machine().cgroups, facts.id, &facts.name).child(group);
    if group.exists() && group.has(Controller::Cpuset) {
        group.set_cpus(&set.to_string())?;
    }
    for tid in threads {
        match cpu_map::pin(*tid, set) {
            // QEMU's helper threads come and go.
            Err(_) if ThreadStat::read(guest.process.pid(), *tid).is_none() => {}
            result => result?,
        }
    }
    Ok(())
}

/// Tells clients of threads that were bound.
pub(super) fn tell(context: &Context<Qemu>, field: String, set: &CpuSet) {
    let params = vec![TypedParam::new(field, set.to_string())];
    context.emit(|dom| DomainEventTunable { dom, params }.into());
}
