// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The I/O threads of a guest: they are what its definition says.

use std::sync::Arc;

use virtus_api::params::domain_iothread as name;
use virtus_api::{
    DomainAddIothread, DomainDelIothread, DomainGetIothreadInfo, DomainGetIothreadInfoReply,
    DomainIothreadInfo, DomainModificationImpact as Impact, DomainPinIothread,
    DomainSetIothreadParams, Error, ErrorCode, ErrorDomain, Result, TypedParam,
};
use virtus_core::{Call, Routes};
use virtus_domain::cpu_map;
use virtus_domain::routes::{by, check_flags, definition_of, find, note_iothread_pin, wanted_cpus};
use virtus_xml::Domain;
use virtus_xml::domain::tuning::{Iothread, IothreadIds, Poll};

use super::change;
use crate::world::World;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(info)).on(by(add)).on(by(remove)).on(by(set)).on(by(pin))
}

/// Writes the threads of a definition; what their number alone says is not listed.
fn put(def: &mut Domain, threads: Vec<Iothread>) {
    def.body.iothreads = u32::try_from(threads.len()).ok().filter(|count| *count > 0);
    def.body.iothreadids = None;
    if def.all_iothreads() != threads {
        def.body.iothreadids = Some(IothreadIds { iothreads: threads });
    }
}

async fn info(
    world: Arc<World>,
    _: Call,
    request: DomainGetIothreadInfo,
) -> Result<DomainGetIothreadInfoReply> {
    check_flags(request.flags, Impact::all().bits(), "virDomainGetIOThreadInfo")?;
    let (_, snapshot) = find(&*world, &request.dom)?;
    let def = definition_of(request.flags, &snapshot)?;
    let cpus = world.node.most_cpus();
    let info: Vec<_> = def
        .all_iothreads()
        .iter()
        .map(|thread| {
            let pins = &def.cputune.iothreadpins;
            let own = pins.iter().find(|pin| pin.iothread == thread.id);
            // Libvirt's driver takes the guest's CPUs for the host's here.
            let stated = def.vcpu.as_ref().and_then(|vcpu| vcpu.cpuset.clone());
            let vcpus = usize::try_from(
                def.vcpu.as_ref().map_or(1, |vcpu| vcpu.current.unwrap_or(vcpu.max)),
            )
            .unwrap_or(1);
            let usual = || stated.unwrap_or_else(|| cpu_map::all(vcpus));
            let set = own.map_or_else(usual, |pin| pin.cpuset.clone());
            let cpumap = cpu_map::to_map(&set, cpus, cpus.div_ceil(8));
            DomainIothreadInfo { iothread_id: thread.id, cpumap }
        })
        .collect();
    let ret = u32::try_from(info.len()).unwrap_or(u32::MAX);
    Ok(DomainGetIothreadInfoReply { info, ret })
}

async fn add(world: Arc<World>, _: Call, request: DomainAddIothread) -> Result<()> {
    let id = request.iothread_id;
    let added = change(&world, &request.dom, request.flags, "virDomainAddIOThread", move |def| {
        if id == 0 {
            let text = "iothread_id in virDomainAddIOThread must not be zero";
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        let mut threads = def.all_iothreads();
        if threads.iter().any(|thread| thread.id == id) {
            let text = format!("an IOThread is already using iothread_id '{id}'");
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        threads.push(Iothread { id, ..Iothread::default() });
        put(def, threads);
        Ok(())
    });
    added.await
}

async fn remove(world: Arc<World>, _: Call, request: DomainDelIothread) -> Result<()> {
    let id = request.iothread_id;
    let removed = change(&world, &request.dom, request.flags, "virDomainDelIOThread", move |def| {
        if !def.all_iothreads().iter().any(|thread| thread.id == id) {
            let text = format!("cannot find IOThread '{id}' in iothreadids list");
            return Err(Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Domain));
        }
        let in_use = def
            .devices
            .disks
            .iter()
            .any(|disk| disk.driver.as_ref().and_then(|driver| driver.iothread) == Some(id));
        if in_use {
            let text = format!("cannot remove IOThread {id} since it is being used by a disk");
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        let mut threads = def.all_iothreads();
        threads.retain(|thread| thread.id != id);
        put(def, threads);
        def.body.cputune.iothreadpins.retain(|pin| pin.iothread != id);
        Ok(())
    });
    removed.await
}

fn known(def: &Domain, id: u32, text: String) -> Result<()> {
    if def.all_iothreads().iter().any(|thread| thread.id == id) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::InvalidArg, text)
        .hint("see which there are with 'virsh iothreadinfo'"))
}

/// How long a thread polls, as a call says it.
fn polls(params: &[TypedParam]) -> Result<Poll> {
    let mut poll = Poll::default();
    for param in params {
        let field = &*param.field;
        let place = match field {
            name::POLL_MAX_NS => &mut poll.max,
            name::POLL_GROW => &mut poll.grow,
            name::POLL_SHRINK => &mut poll.shrink,
            _ => {
                return Err(Error::unknown_param(field));
            }
        };
        *place = Some(param.value.as_u64().ok_or_else(|| {
            let text = format!("invalid type for parameter '{field}', a number is expected");
            Error::new(ErrorCode::InvalidArg, text)
        })?);
    }
    Ok(poll)
}

async fn set(world: Arc<World>, _: Call, request: DomainSetIothreadParams) -> Result<()> {
    let id = request.iothread_id;
    let name = "virDomainSetIOThreadParams";
    let noted = change(&world, &request.dom, request.flags, name, move |def| {
        known(def, id, format!("cannot find IOThread '{id}' in iothreadids"))?;
        let wanted = polls(&request.params)?;
        let mut threads = def.all_iothreads();
        if let Some(thread) = threads.iter_mut().find(|thread| thread.id == id) {
            let poll = thread.poll.get_or_insert_default();
            poll.max = wanted.max.or(poll.max);
            poll.grow = wanted.grow.or(poll.grow);
            poll.shrink = wanted.shrink.or(poll.shrink);
        }
        put(def, threads);
        Ok(())
    });
    noted.await
}

async fn pin(world: Arc<World>, _: Call, request: DomainPinIothread) -> Result<()> {
    const NAME: &str = "virDomainPinIOThread";
    let set = wanted_cpus(&request.cpumap)?;
    let id = request.iothreads_id;
    let pinned = change(&world, &request.dom, request.flags, NAME, move |def| {
        known(def, id, format!("iothreadid {id} not found"))?;
        note_iothread_pin(def, id, &set);
        Ok(())
    });
    pinned.await
}
