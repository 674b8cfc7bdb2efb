// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guest memory: its size, and the objects that back it.

use virtus_api::Result;
use virtus_xml::Domain;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::cpu::NumaCell;
use virtus_xml::domain::memory::{AccessShare, AllocationMode, BackingType, NumaMode, Placement};
use virtus_xml::domain::memory_device::MemoryModel;

use super::argv::{Opts, Props};
use super::context::{Context, short_name};
use super::line::Line;
use super::storage::unsupported;
use crate::caps::{Accel, Flag};
use crate::machine::{is_ppc64, machine};
use virtus_xml::value::YesNo;

/// What is asked of one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Piece<'a> {
    pub(crate) id: String,
    pub(crate) kib: u64,
    /// The NUMA node of the guest that it belongs to.
    pub(crate) node: Option<u32>,
    pub(crate) access: Option<AccessShare>,
    pub(crate) discard: Option<bool>,
    /// The page size that this piece asks for itself.
    pub(crate) page_kib: Option<u64>,
    /// The host nodes that this piece asks for itself.
    pub(crate) host_nodes: Option<&'a CpuSet>,
    /// The file of the host that is the memory.
    pub(crate) file: Option<&'a str>,
    pub(crate) align_kib: Option<u64>,
    pub(crate) pmem: bool,
    /// The module; `None` for memory that is there at the start.
    pub(crate) model: Option<MemoryModel>,
}

/// The size of the pages of the host that need no huge page file system.
pub(crate) const HOST_PAGE_KIB: u64 = 4;

/// The page size of a piece, if it is not that of the host: its own, or that of its node.
fn page_kib(line: &Line<'_>, own: Option<u64>, node: Option<u32>) -> Result<Option<u64>> {
    Ok(match own.or_else(|| huge_page(line.domain, node)) {
        Some(HOST_PAGE_KIB) | None => None,
        Some(0) => {
            let mounts = &line.cx.hugetlbfs;
            let default = mounts.iter().find(|fs| fs.default).or(mounts.first());
            let none = || unsupported("huge pages on a host where none are mounted");
            Some(default.ok_or_else(none)?.size_kib)
        }
        kib => kib,
    })
}

/// Whether pages are made before the guest runs: as asked for, and always where they come from a small store.
pub(crate) fn is_preallocated(
    line: &Line<'_>,
    own: Option<u64>,
    node: Option<u32>,
) -> Result<bool> {
    Ok(page_kib(line, own, node)?.is_some() || is_immediate(line.domain))
}

fn is_immediate(domain: &Domain) -> bool {
    let allocation = domain.memory_backing.allocation.as_ref();
    allocation.and_then(|a| a.mode) == Some(AllocationMode::Immediate)
}

/// The objects of a piece of memory: a thread context if pages are to be made on certain nodes, and the back end.
pub(crate) fn backend(line: &Line<'_>, piece: &Piece<'_>) -> Result<Vec<Props>> {
    let domain = line.domain;
    let backing = &domain.memory_backing;
    let source = backing.source.as_ref().map(|source| source.kind);
    let cell = piece.node.and_then(|node| cell(domain, node));
    let access = piece
        .access
        .or(cell.and_then(|cell| cell.mem_access))
        .or(backing.access.as_ref().map(|access| access.mode));
    let share = access.map(|access| access == AccessShare::Shared);
    let discard = piece
        .discard
        .or(cell.and_then(|cell| cell.discard).map(YesNo::is_yes))
        .or(backing.discard.then_some(true));
    let enclave = piece.model == Some(MemoryModel::SgxEpc);
    let pages = match piece.file {
        None if !enclave => page_kib(line, piece.page_kib, piece.node)?,
        _ => None,
    };
    let prealloc = match piece.model {
        // A real device would wear off.
        Some(MemoryModel::Nvdimm) if !piece.pmem => true,
        Some(MemoryModel::SgxEpc) => true,
        Some(MemoryModel::VirtioMem) => false,
        _ if piece.file.is_some() => is_immediate(domain),
        _ => is_preallocated(line, piece.page_kib, piece.node)?,
    };
    let file = |path: String| {
        let props = Props::object("memory-backend-file", piece.id.clone()).with("mem-path", path);
        props.maybe("discard-data", discard.filter(|_| piece.file.is_none()))
    };
    let mut is_ram = false;
    let mut props = if enclave {
        Props::object("memory-backend-epc", piece.id.clone())
    } else if let Some(path) = piece.file {
        file(path.to_owned()).maybe("share", share)
    } else if source == Some(BackingType::Memfd) {
        Props::object("memory-backend-memfd", piece.id.clone())
            .maybe("hugetlb", pages.map(|_| true))
            .maybe("hugetlbsize", pages.map(|kib| kib << 10))
            .maybe("share", share)
    } else if let Some(kib) = pages {
        file(huge_path(line.cx, &domain.name, kib)?).maybe("share", share)
    } else if source == Some(BackingType::File) || access.is_some() {
        let name = short_name(line.cx.id, &domain.name);
        let path = format!("{}/{name}/{}", line.cx.dirs.ram, file_name(&piece.id));
        file(path).maybe("share", share)
    } else {
        is_ram = true;
        Props::object("memory-backend-ram", piece.id.clone())
    };
    let default_ram = piece.model.is_none() && piece.node.is_none();
    if default_ram && !is_ram && line.has(Flag::MemoryBackendFileXUseCanonicalPathForRamblockId) {
        props.set("x-use-canonical-path-for-ramblock-id", false);
    }
    if piece.model == Some(MemoryModel::VirtioMem) {
        if line.has(Flag::MemoryBackendFileReserve) {
            props.set("reserve", false);
        }
    } else if !line.all_preallocated {
        let threads = backing.allocation.as_ref().and_then(|allocation| allocation.threads);
        props =
            props.maybe("prealloc", prealloc.then_some(true)).maybe("prealloc-threads", threads);
    }
    props.set("size", piece.kib << 10);
    props = props
        .maybe("align", piece.align_kib.map(|align| align << 10))
        .maybe("pmem", piece.pmem.then_some(true));
    let (nodes, mode) = host_nodes(line, piece);
    if !nodes.is_empty() && mode != NumaMode::Restrictive {
        props.set("host-nodes", nodes.iter().collect::<Vec<u32>>());
        props.set(
            "policy",
            match mode {
                NumaMode::Strict | NumaMode::Restrictive => "bind",
                NumaMode::Preferred => "preferred",
                NumaMode::Interleave => "interleave",
            },
        );
    }
    let mut out = Vec::new();
    if prealloc && line.has(Flag::ThreadContext) {
        let near = thread_nodes(line, &nodes);
        if !near.is_empty() {
            let id = format!("tc-{}", piece.id);
            out.push(Props::object("thread-context", id.clone()).with("node-affinity", near));
            props.set("prealloc-context", id);
        }
    }
    out.push(props);
    Ok(out)
}

/// The nodes on which threads may make pages: those of the memory on which QEMU itself may run.
fn thread_nodes(line: &Line<'_>, nodes: &CpuSet) -> Vec<u32> {
    let domain = line.domain;
    let cpus = match (&domain.cputune.emulatorpin, &domain.vcpu) {
        (Some(pin), _) => Some(&pin.cpuset),
        (None, Some(vcpu)) if vcpu.placement == Placement::Static => vcpu.cpuset.as_ref(),
        _ => None,
    };
    let allowed = cpus.map(|cpus| {
        cpus.iter().filter_map(|cpu| line.cx.cpu_nodes.get(&cpu).copied()).collect::<Vec<_>>()
    });
    nodes.iter().filter(|node| allowed.as_ref().is_none_or(|list| list.contains(node))).collect()
}

/// What a file in the folder of shared memory is called.
fn file_name(id: &str) -> &str {
    id.strip_prefix("mem").unwrap_or(id)
}

fn host_nodes(line: &Line<'_>, piece: &Piece<'_>) -> (CpuSet, NumaMode) {
    let none = (CpuSet::default(), NumaMode::Strict);
    let tune = line.domain.numatune.as_ref();
    let memory = tune.and_then(|tune| tune.memory.as_ref());
    if let Some(nodes) = piece.host_nodes {
        let mode = memory.map_or(NumaMode::Strict, |memory| memory.mode);
        return (nodes.clone(), mode);
    }
    if let Some(node) = piece.node {
        let own = tune.and_then(|tune| tune.memnodes.iter().find(|m| m.cellid == node));
        if let Some(own) = own {
            return (own.nodeset.clone(), own.mode);
        }
    }
    let Some(memory) = memory else { return none };
    let nodes = match (&memory.nodeset, memory.placement) {
        (_, Some(Placement::Auto)) => CpuSet::of(line.cx.auto_nodes.iter().copied()),
        (Some(nodes), _) => nodes.clone(),
        (None, _) => return none,
    };
    (nodes, memory.mode)
}

/// The page size for a node: its own, or that of all; 0 for the host's default huge page.
fn huge_page(domain: &Domain, node: Option<u32>) -> Option<u64> {
    let pages = &domain.memory_backing.hugepages.as_ref()?.pages;
    if pages.is_empty() {
        return Some(0);
    }
    let holds = |nodes: &CpuSet| node.is_some_and(|node| nodes.contains(node));
    pages
        .iter()
        .find(|page| page.nodeset.as_ref().is_some_and(holds))
        .or_else(|| pages.iter().rfind(|page| page.nodeset.is_none()))
        .map(|page| page.kib)
}

fn huge_path(cx: &Context, name: &str, kib: u64) -> Result<String> {
    let mount = cx.hugetlbfs.iter().find(|fs| fs.size_kib == kib).ok_or_else(|| {
        unsupported(format!("pages of {kib} KiB, which are not mounted on this host"))
            .hint("mount a hugetlbfs with this page size and restart the daemon")
    })?;
    Ok(format!("{}/libvirt/qemu/{}", mount.mount, short_name(cx.id, name)))
}

/// The id of the object that replaces the memory which the machine would make itself.
pub(crate) fn default_backend(line: &Line<'_>) -> Option<String> {
    if !cells(line.domain).is_empty() {
        return None;
    }
    Accel::of_domain_type(line.domain.kind.as_str())
        .and_then(|accel| line.caps.machine(accel, machine(line.domain)))
        .and_then(|machine| machine.default_ram_id.clone())
}

fn cell(domain: &Domain, node: u32) -> Option<&NumaCell> {
    cells(domain).iter().find(|cell| cell.id == Some(node))
}

/// The NUMA nodes of the guest.
pub(crate) fn cells(domain: &Domain) -> &[NumaCell] {
    domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).map_or(&[], |numa| &numa.cells)
}

/// Sizes are whole blocks of this many KiB.
fn block_kib(domain: &Domain) -> u64 {
    if is_ppc64(domain) { 256 << 10 } else { 1 << 10 }
}

/// The size in whole blocks. A guest that comes from elsewhere keeps the sizes that it has there.
pub(crate) fn round(line: &Line<'_>, kib: u64) -> u64 {
    match line.cx.incoming {
        None => kib.next_multiple_of(block_kib(line.domain)),
        Some(_) => kib,
    }
}

/// The size of a module, in whole blocks of hot-pluggable memory.
pub(crate) fn module_kib(line: &Line<'_>, kib: u64) -> u64 {
    match line.cx.incoming {
        None => kib.next_multiple_of(block_kib(line.domain).max(2 << 10)),
        Some(_) => kib,
    }
}

/// The memory that is there at the start.
fn initial_kib(line: &Line<'_>) -> u64 {
    let cells = cells(line.domain);
    if !cells.is_empty() && line.cx.incoming.is_none() {
        return cells.iter().map(|cell| round(line, cell.memory_kib)).sum();
    }
    let plugged = line.domain.plugged_memory_kib();
    round(line, line.domain.memory.kib.saturating_sub(plugged))
}

/// `-m` and, where the machine says which object its memory is, that object.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    let domain = line.domain;
    let initial = initial_kib(line);
    // Only a guest that can grow may have a size that is no whole number of half MiB.
    let size = if domain.max_memory.is_some() { initial } else { initial & !0x1ff };
    let mut opts = Opts::default().with("size", format!("{size}k"));
    if let Some(max) = &domain.max_memory {
        if max.slots > 0 {
            opts.set("slots", max.slots);
        }
        opts.set("maxmem", format!("{}k", round(line, max.kib)));
    }
    line.argv.pair("-m", opts);
    if let Some(id) = default_backend(line) {
        let piece = Piece { id, kib: initial, ..Piece::default() };
        for object in backend(line, &piece)? {
            line.object(object);
        }
    } else if cells(domain).is_empty() {
        path_of_all(line)?;
    }
    Ok(())
}

/// `-mem-prealloc` and `-mem-path`: what stands for a back end where the machine makes its memory itself.
pub(crate) fn path_of_all(line: &mut Line<'_>) -> Result<()> {
    let backing = &line.domain.memory_backing;
    let own = backing.hugepages.as_ref().map(|huge| huge.pages.first().map_or(0, |page| page.kib));
    let pages = match own {
        Some(_) => page_kib(line, own, None)?,
        None => None,
    };
    let path = match pages {
        Some(kib) => Some(huge_path(line.cx, &line.domain.name, kib)?),
        None if backing.source.as_ref().is_some_and(|s| s.kind == BackingType::File) => {
            let name = short_name(line.cx.id, &line.domain.name);
            Some(format!("{}/{name}/ram", line.cx.dirs.ram))
        }
        None => None,
    };
    if pages.is_some() || is_immediate(line.domain) {
        line.argv.flag("-mem-prealloc");
        line.all_preallocated = true;
    }
    if let Some(path) = path {
        line.argv.pair("-mem-path", path);
    }
    Ok(())
}

/// `-overcommit`.
pub(crate) fn overcommit(line: &mut Line<'_>) {
    let locked = super::argv::on_off(line.domain.memory_backing.locked);
    line.argv.pair("-overcommit", format!("mem-lock={locked}"));
}
