// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host: processors, memory, how guests are confined. What libvirt's driver makes up is made up here the
//! same way.

use std::sync::Arc;

use virtus_api::{
    Error, ErrorCode, NodeCpuStat, NodeGetCellsFreeMemory, NodeGetCpuMap, NodeGetCpuMapReply,
    NodeGetCpuStats, NodeGetCpuStatsReply, NodeGetFreeMemory, NodeGetFreePages, NodeGetInfo,
    NodeGetInfoReply, NodeGetSecurityModel, NodeGetSecurityModelReply, Result, params,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags};

use super::count;
use crate::world::World;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new()
        .on(by(get_info))
        .on(by(get_cpu_stats))
        .on(by(get_cpu_map))
        .on(by(get_free_memory))
        .on(by(get_cells_free_memory))
        .on(by(get_free_pages))
        .on(by(get_security_model))
}

async fn get_info(world: Arc<World>, _: Call, _: NodeGetInfo) -> Result<NodeGetInfoReply> {
    let node = &world.node;
    let mut model = [0_i8; 32];
    // The last byte stays zero.
    for (place, byte) in model.iter_mut().take(31).zip(node.model.bytes()) {
        *place = byte.cast_signed();
    }
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    Ok(NodeGetInfoReply {
        model,
        memory: node.memory,
        cpus: number(node.cpus),
        mhz: number(node.mhz),
        nodes: number(node.nodes),
        sockets: number(node.sockets),
        cores: number(node.cores),
        threads: number(node.threads),
    })
}

async fn get_cpu_stats(
    _: Arc<World>,
    _: Call,
    request: NodeGetCpuStats,
) -> Result<NodeGetCpuStatsReply> {
    use params::node_cpu_stats as name;
    check_flags(request.flags, 0, "virNodeGetCPUStats")?;
    let stats: [(&str, u64); 4] = [
        (name::USER, 9_797_400_000),
        (name::KERNEL, 34_678_723_400_000),
        (name::IDLE, 87_264_900_000),
        (name::IOWAIT, 763_600_000),
    ];
    let wanted = usize::try_from(request.nparams).unwrap_or_default();
    let params = stats.into_iter().take(wanted);
    let params = params.map(|(field, value)| NodeCpuStat { field: field.to_owned(), value });
    Ok(NodeGetCpuStatsReply { params: params.collect(), nparams: count(stats.len()) })
}

/// Eight CPUs, of which the first, third and fifth are online.
async fn get_cpu_map(_: Arc<World>, _: Call, request: NodeGetCpuMap) -> Result<NodeGetCpuMapReply> {
    const ONLINE: u8 = 0b1_0101;
    check_flags(request.flags, 0, "virNodeGetCPUMap")?;
    let cpumap = if request.need_map != 0 { vec![ONLINE] } else { Vec::new() };
    let online = if request.need_online != 0 { ONLINE.count_ones() } else { 0 };
    Ok(NodeGetCpuMapReply { cpumap, online, ret: 8 })
}

async fn get_free_memory(world: Arc<World>, _: Call, _: NodeGetFreeMemory) -> Result<u64> {
    Ok(world.node.cells.iter().map(|cell| cell.free).sum())
}

async fn get_cells_free_memory(
    world: Arc<World>,
    _: Call,
    request: NodeGetCellsFreeMemory,
) -> Result<Vec<u64>> {
    let start = usize::try_from(request.start_cell).unwrap_or(usize::MAX);
    let Some(cells) = world.node.cells.get(start..).filter(|cells| !cells.is_empty()) else {
        return Err(Error::new(ErrorCode::InvalidArg, "Range exceeds available cells"));
    };
    let wanted = usize::try_from(request.maxcells).unwrap_or_default();
    // As in libvirt, all of a cell's memory is free here, and half of it where only the sum is asked for.
    Ok(cells.iter().take(wanted).map(|cell| cell.memory).collect())
}

async fn get_free_pages(_: Arc<World>, _: Call, request: NodeGetFreePages) -> Result<Vec<u64>> {
    check_flags(request.flags, 0, "virNodeGetFreePages")?;
    let start = u64::try_from(request.start_cell).unwrap_or_default();
    // More counts than these do not travel; no sizes, no counts, however many cells.
    const MOST: usize = virtus_api::limits::NODE_MAX_CELLS;
    let cells = (start..).take(usize::try_from(request.cell_count).unwrap_or_default().min(MOST));
    let counts = cells.flat_map(|cell| {
        let sizes = request.pages.iter();
        sizes.scan(cell.wrapping_mul(6), |free, _| {
            *free = free.wrapping_mul(2).wrapping_add(7);
            Some(*free)
        })
    });
    Ok(counts.take(MOST).collect())
}

async fn get_security_model(
    _: Arc<World>,
    _: Call,
    _: NodeGetSecurityModel,
) -> Result<NodeGetSecurityModelReply> {
    let text = |text: &str| text.bytes().map(u8::cast_signed).chain([0]).collect();
    Ok(NodeGetSecurityModelReply { model: text("testSecurity"), doi: text("") })
}
