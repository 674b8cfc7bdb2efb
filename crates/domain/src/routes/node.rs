// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host: processors, memory, firmware, how guests are confined.

use std::sync::Arc;

use virtus_api::limits::NODE_MAX_CELLS;
use virtus_api::{
    ConnectGetSysinfo, Error, ErrorCode, NodeCpuStat, NodeGetCellsFreeMemory, NodeGetCpuMap,
    NodeGetCpuMapReply, NodeGetCpuStats, NodeGetCpuStatsReply, NodeGetFreeMemory, NodeGetFreePages,
    NodeGetInfo, NodeGetInfoReply, NodeGetMemoryStats, NodeGetMemoryStatsReply,
    NodeGetSecurityModel, NodeGetSecurityModelReply, NodeMemoryStat, NodeSuspendForDuration,
    Result, params,
};
use virtus_core::{Call, Routes};
use virtus_host::node::Node;
use virtus_host::sysinfo;
use virtus_xml::FormatFlags;
use virtus_xml::reader::Element as _;
use virtus_xml::writer::Writer;

use super::{HasMachines, by, check_flags, node_memory};
use crate::host_sleep;

/// A driver whose machines run on this host.
pub trait HasNode: HasMachines {
    /// The host.
    fn node(&self) -> &Node;
}

/// What every driver whose machines run on this host answers about it.
#[must_use]
pub fn node_routes<D: HasNode>() -> Routes<D> {
    Routes::new()
        .on(by(get_info::<D>))
        .on(by(get_cpu_stats::<D>))
        .on(by(get_memory_stats::<D>))
        .on(by(get_free_memory::<D>))
        .on(by(get_cells_free_memory::<D>))
        .on(by(get_cpu_map::<D>))
        .on(by(get_security_model::<D>))
        .on(by(get_free_pages::<D>))
        .on(by(get_sysinfo::<D>))
        .on(by(suspend::<D>))
        .include(node_memory::routes())
}

/// A length or count as the wire has it; what does not fit is cut off at the type's end.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

async fn get_info<D: HasNode>(driver: Arc<D>, _: Call, _: NodeGetInfo) -> Result<NodeGetInfoReply> {
    let node = driver.node();
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

async fn get_cpu_stats<D: HasNode>(
    driver: Arc<D>,
    _: Call,
    request: NodeGetCpuStats,
) -> Result<NodeGetCpuStatsReply> {
    use params::node_cpu_stats as name;
    check_flags(request.flags, 0, "virNodeGetCPUStats")?;
    const ALL: i32 = -1;
    let cpu = (request.cpu_num != ALL).then(|| u32::try_from(request.cpu_num).unwrap_or(u32::MAX));
    let times = driver.node().cpu_times(cpu).ok_or_else(|| {
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

async fn get_memory_stats<D: HasNode>(
    driver: Arc<D>,
    _: Call,
    request: NodeGetMemoryStats,
) -> Result<NodeGetMemoryStatsReply> {
    use params::node_memory_stats as name;
    check_flags(request.flags, 0, "virNodeGetMemoryStats")?;
    let node = driver.node();
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

async fn get_free_memory<D: HasNode>(driver: Arc<D>, _: Call, _: NodeGetFreeMemory) -> Result<u64> {
    Ok(driver.node().memory().free.saturating_mul(1024))
}

async fn get_cells_free_memory<D: HasNode>(
    driver: Arc<D>,
    _: Call,
    request: NodeGetCellsFreeMemory,
) -> Result<Vec<u64>> {
    let start = u32::try_from(request.start_cell).map_err(|_| no_cell(request.start_cell))?;
    let wanted = usize::try_from(request.maxcells).unwrap_or_default();
    let node = driver.node();
    let cells: Vec<u64> = node
        .numa_nodes()
        .into_keys()
        .filter(|cell| *cell >= start)
        .take(wanted)
        .map(|cell| node.numa_memory(cell).unwrap_or_default().free.saturating_mul(1024))
        .collect();
    if cells.is_empty() { Err(no_cell(request.start_cell)) } else { Ok(cells) }
}

async fn get_cpu_map<D: HasNode>(
    driver: Arc<D>,
    _: Call,
    request: NodeGetCpuMap,
) -> Result<NodeGetCpuMapReply> {
    check_flags(request.flags, 0, "virNodeGetCPUMap")?;
    let topology = driver.node().topology();
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

async fn get_security_model<D: HasNode>(
    _: Arc<D>,
    _: Call,
    _: NodeGetSecurityModel,
) -> Result<NodeGetSecurityModelReply> {
    // The first of the host's models; ownership of files is the second.
    let text = |text: &str| text.bytes().map(|byte| byte as i8).chain([0]).collect();
    Ok(NodeGetSecurityModelReply { model: text("none"), doi: text("0") })
}

async fn get_free_pages<D: HasNode>(
    driver: Arc<D>,
    _: Call,
    request: NodeGetFreePages,
) -> Result<Vec<u64>> {
    check_flags(request.flags, 0, "virNodeGetFreePages")?;
    let node = driver.node();
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

/// What this host's firmware says of the host.
async fn get_sysinfo<D: HasNode>(_: Arc<D>, _: Call, request: ConnectGetSysinfo) -> Result<String> {
    check_flags(request.flags, 0, "virConnectGetSysinfo")?;
    let mut out = Writer::new(FormatFlags::empty());
    sysinfo::host().await?.write("sysinfo", &mut out);
    Ok(out.finish())
}

async fn suspend<D: HasNode>(_: Arc<D>, _: Call, request: NodeSuspendForDuration) -> Result<()> {
    check_flags(request.flags, 0, "virNodeSuspendForDuration")?;
    host_sleep::suspend(request.target, request.duration).await
}
