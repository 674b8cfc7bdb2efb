// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the vCPUs of a guest do: all of them run, each on the last CPU that it may use.

use std::sync::Arc;

use virtus_api::{
    DomainGetVcpus, DomainGetVcpusReply, Error, ErrorCode, Result, VcpuInfo, VcpuState,
};
use virtus_core::{Call, Routes};
use virtus_domain::cpu_map;
use virtus_domain::routes::{by, find};

use super::stats::clock;
use crate::world::World;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get))
}

async fn get(world: Arc<World>, _: Call, request: DomainGetVcpus) -> Result<DomainGetVcpusReply> {
    cpu_map::check_room(request.maxinfo, request.maplen)?;
    let (_, snapshot) = find(&*world, &request.dom)?;
    let Some(live) = &snapshot.live else {
        // virsh turns to the definition on this code.
        let text = "cannot list vcpus for an inactive domain";
        return Err(Error::new(ErrorCode::OperationInvalid, text));
    };
    let cpus = world.node.most_cpus();
    let all = cpu_map::all(cpus);
    let stated = live.vcpu.as_ref().and_then(|vcpu| vcpu.cpuset.as_ref()).unwrap_or(&all);
    let length = usize::try_from(request.maplen).unwrap_or_default();
    let wanted = u32::try_from(request.maxinfo).unwrap_or_default();
    let there = live.vcpu.as_ref().map_or(1, |vcpu| vcpu.current.unwrap_or(vcpu.max));
    let cpu_time = u64::try_from(clock() / 10).unwrap_or_default();
    let (mut info, mut cpumaps) = (Vec::new(), Vec::new());
    for number in 0..there.min(wanted) {
        let own = live.cputune.vcpupins.iter().find(|pin| pin.vcpu == number);
        let set = own.map_or(stated, |pin| &pin.cpuset);
        let cpu = set.last().and_then(|cpu| i32::try_from(cpu).ok()).unwrap_or_default();
        info.push(VcpuInfo { number, state: VcpuState::Running.number(), cpu_time, cpu });
        cpumaps.extend(cpu_map::to_map(set, cpus, length));
    }
    Ok(DomainGetVcpusReply { info, cpumaps })
}
