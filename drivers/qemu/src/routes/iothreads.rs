// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The I/O threads of a guest: which there are, and on which host CPUs they may run.

use std::sync::Arc;

use virtus_api::{
    DomainGetIothreadInfo, DomainGetIothreadInfoReply, DomainIothreadInfo,
    DomainModificationImpact as Impact, DomainPinIothread, Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::Job;
use virtus_domain::routes::{
    check_flags, cpus_of_all, find, note_iothread_pin, targets, tell_bound, wanted_cpus,
};
use virtus_xml::Domain;
use virtus_xml::cpuset::CpuSet;

use super::by;
use crate::cpu_map;
use crate::driver::QemuDriver;
use crate::guest::{Guest, QUERY};
use crate::readings::iothread::{self, Iothread};
use crate::tuning::bind;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(info)).on(by(pin))
}

/// The threads of a guest that runs.
pub(crate) async fn of_guest(guest: &Guest) -> Result<Vec<Iothread>> {
    Ok(iothread::read(&guest.execute("query-iothreads", None, QUERY).await?))
}

/// Their numbers.
pub(crate) async fn numbers_of(guest: &Guest) -> Result<Vec<u32>> {
    Ok(of_guest(guest).await?.into_iter().map(|thread| thread.id).collect())
}

/// The numbers of the threads that a definition asks for.
fn numbers(def: &Domain) -> Vec<u32> {
    let mut numbers: Vec<u32> = def.all_iothreads().iter().map(|thread| thread.id).collect();
    numbers.sort_unstable();
    numbers
}

fn pinned(def: &Domain, id: u32, cpus: usize) -> CpuSet {
    let own = def.cputune.iothreadpins.iter().find(|pin| pin.iothread == id);
    own.map(|pin| pin.cpuset.clone()).unwrap_or_else(|| cpus_of_all(def, cpus))
}

async fn info(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetIothreadInfo,
) -> Result<DomainGetIothreadInfoReply> {
    check_flags(request.flags, Impact::all().bits(), "virDomainGetIOThreadInfo")?;
    let (handle, snapshot) = find(&*driver, &request.dom)?;
    let wanted = targets(request.flags, &snapshot)?;
    let cpus = driver.qemu.node.topology().cpus.len();
    let length = cpus.div_ceil(8);
    let map = |set: CpuSet| cpu_map::to_map(&set, cpus, length);
    let info: Vec<_> = match handle.running().filter(|_| wanted.live) {
        Some(guest) => of_guest(&guest)
            .await?
            .into_iter()
            .map(|thread| {
                let set = cpu_map::of_thread(thread.tid).unwrap_or_else(|| cpu_map::all(cpus));
                DomainIothreadInfo { iothread_id: thread.id, cpumap: map(set) }
            })
            .collect(),
        None => {
            let def = snapshot.persistent()?;
            let told =
                |id| DomainIothreadInfo { iothread_id: id, cpumap: map(pinned(&def, id, cpus)) };
            numbers(&def).into_iter().map(told).collect()
        }
    };
    let ret = u32::try_from(info.len()).unwrap_or(u32::MAX);
    Ok(DomainGetIothreadInfoReply { info, ret })
}

async fn pin(driver: Arc<QemuDriver>, _: Call, request: DomainPinIothread) -> Result<()> {
    const NAME: &str = "virDomainPinIOThread";
    check_flags(request.flags, Impact::all().bits(), NAME)?;
    let set = wanted_cpus(&request.cpumap)?;
    let (handle, _) = find(&*driver, &request.dom)?;
    let id = request.iothreads_id;
    handle
        .job(Job::modify(NAME), move |context| async move {
            let wanted = targets(request.flags, &context.snapshot())?;
            if wanted.config {
                context.change_persistent(|def| {
                    if !numbers(def).contains(&id) {
                        return Err(no_thread(id));
                    }
                    note_iothread_pin(def, id, &set);
                    Ok(())
                })?;
            }
            if wanted.live {
                let guest = context.running()?;
                let threads = of_guest(&guest).await?;
                let thread =
                    threads.iter().find(|thread| thread.id == id).ok_or_else(|| no_thread(id))?;
                let part = format!("iothread{id}");
                bind(context.machine(), &guest, &part, &[thread.tid], &set)?;
                context.change_live(|def| note_iothread_pin(def, id, &set))?;
                tell_bound(&context, format!("cputune.iothreadpin{id}"), &set);
            }
            Ok(())
        })
        .await
}

fn no_thread(id: u32) -> Error {
    Error::new(ErrorCode::InvalidArg, format!("iothread {id} not found"))
        .hint("see which there are with 'virsh iothreadinfo'")
}

#[cfg(test)]
mod tests {
    use virtus_xml::ParseFlags;

    use super::*;

    #[test]
    fn threads_that_are_only_counted_get_the_free_numbers() {
        let xml = "<domain type='qemu'><name>g</name><memory>1</memory><iothreads>3</iothreads>\
            <iothreadids><iothread id='2'/></iothreadids>\
            <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>";
        let mut def = Domain::parse(xml, ParseFlags::empty()).unwrap().value;
        assert_eq!(numbers(&def), [1, 2, 3]);
        note_iothread_pin(&mut def, 2, &CpuSet::one(0));
        note_iothread_pin(&mut def, 2, &CpuSet::one(1));
        assert_eq!(def.cputune.iothreadpins.len(), 1);
        assert_eq!(pinned(&def, 2, 4).to_string(), "1");
        assert_eq!(pinned(&def, 1, 4).to_string(), "0-3");
    }
}
