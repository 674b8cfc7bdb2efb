// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host: processors, memory, how guests are confined.

use std::sync::Arc;

use virtus_api::limits::NODE_MAX_CELLS;
use virtus_api::{
    DomainGetSecurityLabel, DomainGetSecurityLabelReply, Error, ErrorCode, NodeCpuStat,
    NodeGetCellsFreeMemory, NodeGetCpuMap, NodeGetCpuMapReply, NodeGetCpuStats,
    NodeGetCpuStatsReply, NodeGetFreeMemory, NodeGetFreePages, NodeGetInfo, NodeGetInfoReply,
    NodeGetMemoryStats, NodeGetMemoryStatsReply, NodeGetSecurityModel, NodeGetSecurityModelReply,
    NodeMemoryStat, Result, params,
};
use virtus_core::Call;
use virtus_domain::routes::{check_flags, find};

use super::count;
use crate::driver::QemuDriver;

pub(super) async fn get_info(
    driver: Arc<QemuDriver>,
    _: Call,
    _: NodeGetInfo,
) -> Result<NodeGetInfoReply> {
    let node = &driver.qemu.node;
    let topology = node.topology();
    let mut model = [0_i8; 32];
    // The last byte stays zero.
    for (place, byte) in model.iter_mut().take(31).zip(virtus_host::node::arch().bytes()) {
        *place = i8::try_from(byte).unwrap_or(b'?' as i8);
    }
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    Ok(NodeGetInfoReply {
        model,
        memory: node.memory().total,
        cpus: count(topology.online()),
        mhz: number(node.mhz()),
        nodes: number(topology.nodes),
        sockets: number(topology.sockets),
        cores: number(topology.cores),
        threads: number(topology.threads),
    })
}

pub(super) async fn get_cpu_stats(
    driver: Arc<QemuDriver>,
    _: Call,
    request: NodeGetCpuStats,
) -> Result<NodeGetCpuStatsReply> {
    use params::node_cpu_stats as name;
    check_flags(request.flags, 0, "virNodeGetCPUStats")?;
    const ALL: i32 = -1;
    let cpu = (request.cpu_num != ALL).then(|| u32::try_from(request.cpu_num).unwrap_or(u32::MAX));
    let times = driver.qemu.node.cpu_times(cpu).ok_or_else(|| {
        let text = format!("Invalid cpuNum in virNodeGetCPUStats: {}", request.cpu_num);
        Error::new(ErrorCode::InvalidArg, text)
    })?;
    let stats = [
        (name::KERNEL, times.kernel),
        (name::USER, times.user),
        (name::IDLE, times.idle),
        (name::IOWAIT, times.iowait),
    ];
    let params: Vec<_> = stats
        .into_iter()
        .map(|(field, time)| NodeCpuStat {
            field: field.to_owned(),
            value: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
        })
        .collect();
    let nparams = count(params.len());
    let wanted = usize::try_from(request.nparams).unwrap_or_default();
    Ok(NodeGetCpuStatsReply { params: params.into_iter().take(wanted).collect(), nparams })
}

pub(super) async fn get_memory_stats(
    driver: Arc<QemuDriver>,
    _: Call,
    request: NodeGetMemoryStats,
) -> Result<NodeGetMemoryStatsReply> {
    use params::node_memory_stats as name;
    check_flags(request.flags, 0, "virNodeGetMemoryStats")?;
    let node = &driver.qemu.node;
    let stats: Vec<(&str, u64)> = match u32::try_from(request.cell_num) {
        Ok(cell) => {
            let memory = node.numa_memory(cell).ok_or_else(|| no_cell(request.cell_num))?;
            vec![(name::TOTAL, memory.total), (name::FREE, memory.free)]
        }
        Err(_) => {
            let memory = node.memory();
            vec![
                (name::TOTAL, memory.total),
                (name::FREE, memory.free),
                (name::BUFFERS, memory.buffers),
                (name::CACHED, memory.cached),
            ]
        }
    };
    let nparams = count(stats.len());
    let wanted = usize::try_from(request.nparams).unwrap_or_default();
    let params = stats.into_iter().take(wanted);
    let params = params.map(|(field, value)| NodeMemoryStat { field: field.to_owned(), value });
    Ok(NodeGetMemoryStatsReply { params: params.collect(), nparams })
}

fn no_cell(cell: i32) -> Error {
    Error::new(ErrorCode::InvalidArg, format!("there is no NUMA cell {cell} on this host"))
}

pub(super) async fn get_free_memory(
    driver: Arc<QemuDriver>,
    _: Call,
    _: NodeGetFreeMemory,
) -> Result<u64> {
    Ok(driver.qemu.node.memory().free.saturating_mul(1024))
}

pub(super) async fn get_cells_free_memory(
    driver: Arc<QemuDriver>,
    _: Call,
    request: NodeGetCellsFreeMemory,
) -> Result<Vec<u64>> {
    let start = u32::try_from(request.start_cell).map_err(|_| no_cell(request.start_cell))?;
    let wanted = usize::try_from(request.maxcells).unwrap_or_default();
    let node = &driver.qemu.node;
    let cells: Vec<u64> = node
        .numa_nodes()
        .into_keys()
        .filter(|cell| *cell >= start)
        .take(wanted)
        .map(|cell| node.numa_memory(cell).unwrap_or_default().free.saturating_mul(1024))
        .collect();
    if cells.is_empty() { Err(no_cell(request.start_cell)) } else { Ok(cells) }
}

pub(super) async fn get_cpu_map(
    driver: Arc<QemuDriver>,
    _: Call,
    request: NodeGetCpuMap,
) -> Result<NodeGetCpuMapReply> {
    check_flags(request.flags, 0, "virNodeGetCPUMap")?;
    let topology = driver.qemu.node.topology();
    let map = topology.online_map();
    let mut cpumap = Vec::new();
    if request.need_map != 0 {
        cpumap.resize(map.len().div_ceil(8), 0);
        for (cpu, _) in map.iter().enumerate().filter(|(_, online)| **online) {
            cpumap[cpu / 8] |= 1 << (cpu % 8);
        }
    }
    let online = if request.need_online != 0 { topology.online() } else { 0 };
    Ok(NodeGetCpuMapReply {
        cpumap,
        online: u32::try_from(online).unwrap_or(u32::MAX),
        ret: count(map.len()),
    })
}

pub(super) async fn get_security_model(
    _: Arc<QemuDriver>,
    _: Call,
    _: NodeGetSecurityModel,
) -> Result<NodeGetSecurityModelReply> {
    // The first of the host's models; ownership of files is the second.
    let text = |text: &str| text.bytes().map(|byte| byte as i8).chain([0]).collect();
    Ok(NodeGetSecurityModelReply { model: text("none"), doi: text("0") })
}

pub(super) async fn get_free_pages(
    driver: Arc<QemuDriver>,
    _: Call,
    request: NodeGetFreePages,
) -> Result<Vec<u64>> {
    check_flags(request.flags, 0, "virNodeGetFreePages")?;
    let node = &driver.qemu.node;
    let start = u32::try_from(request.start_cell).unwrap_or_default();
    let cells = usize::try_from(request.cell_count).unwrap_or(usize::MAX);
    // The client's number is not to be believed, least of all when it asks for no sizes.
    if cells.saturating_mul(request.pages.len().max(1)) > NODE_MAX_CELLS {
        let text =
            format!("{cells} NUMA cells are too many: {NODE_MAX_CELLS} numbers are answered");
        return Err(Error::new(ErrorCode::InvalidArg, text)
            .hint("ask for fewer cells or fewer page sizes at a time"));
    }
    let mut counts = Vec::new();
    for cell in start..start.saturating_add(request.cell_count) {
        for size in &request.pages {
            let pages = node.pages(Some(cell), u64::from(*size)).ok_or_else(|| {
                let text = format!("there are no pages of {size} KiB in NUMA cell {cell}");
                Error::new(ErrorCode::OperationFailed, text)
            })?;
            counts.push(pages.free);
        }
    }
    Ok(counts)
}

pub(super) async fn get_security_label(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainGetSecurityLabel,
) -> Result<DomainGetSecurityLabelReply> {
    find(&*driver, &request.dom)?;
    // The label of the first model, which has none.
    Ok(DomainGetSecurityLabelReply { label: vec![0], enforcing: 0 })
}
