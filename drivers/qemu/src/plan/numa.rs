// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `-numa`: the guest's nodes, their memory, how far they are from each other, and how fast they reach it.

use virtus_api::Result;
use virtus_xml::Domain;
use virtus_xml::domain::cpu::NumaCell;
use virtus_xml::domain::memory::BackingType;

use super::argv::Opts;
use super::line::Line;
use super::memory::{HOST_PAGE_KIB, Piece, backend, cells, path_of_all, round};

/// Whether memory has attributes for the guest.
pub(crate) fn has_hmat(domain: &Domain) -> bool {
    domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).is_some_and(|numa| {
        numa.interconnects.is_some() || numa.cells.iter().any(|cell| !cell.body.caches.is_empty())
    })
}

/// `-numa` and the memory of each node.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    let domain = line.domain;
    let hmat = has_hmat(domain);
    let by_size =
        line.legacy_numa() && !hmat && !cells(domain).iter().any(|cell| is_special(domain, cell));
    if by_size && !cells(domain).is_empty() {
        path_of_all(line)?;
    }
    for (at, cell) in cells(domain).iter().enumerate() {
        let id = cell.id.unwrap_or(u32::try_from(at).unwrap_or(u32::MAX));
        let kib = round(line, cell.memory_kib);
        let name = format!("ram-node{id}");
        let mut opts = Opts::new("node").with("nodeid", id);
        if let Some(cpus) = &cell.cpus {
            for (first, last) in cpus.ranges() {
                let run = if first == last { first.to_string() } else { format!("{first}-{last}") };
                opts.set("cpus", run);
            }
        }
        if hmat && let Some(initiator) = initiator(cells(domain), domain, id) {
            opts.set("initiator", initiator);
        }
        if kib == 0 {
            line.argv.pair("-numa", opts);
            continue;
        }
        let piece = Piece { id: name.clone(), kib, node: Some(id), ..Piece::default() };
        if by_size {
            opts.set("mem", kib >> 10);
        } else {
            for object in backend(line, &piece)? {
                line.object(object);
            }
            opts.set("memdev", name);
        }
        line.argv.pair("-numa", opts);
    }
    distances(line);
    attributes(line);
    Ok(())
}

/// Whether a node's memory is unlike that of the others, so that it takes a back end to say so.
fn is_special(domain: &Domain, cell: &NumaCell) -> bool {
    let backing = &domain.memory_backing;
    let id = cell.id.unwrap_or(0);
    let pages = backing.hugepages.iter().flat_map(|huge| &huge.pages);
    let own_pages = pages
        .filter(|page| page.nodeset.as_ref().is_some_and(|nodes| nodes.contains(id)))
        .any(|page| page.kib != HOST_PAGE_KIB);
    let source = backing.source.as_ref().map(|source| source.kind);
    own_pages
        || domain.numatune.iter().flat_map(|tune| &tune.memnodes).any(|node| node.cellid == id)
        || cell.mem_access.is_some()
        || backing.access.is_some()
        || matches!(source, Some(BackingType::File | BackingType::Memfd))
}

/// The node from whose processors a node without processors is reached best.
fn initiator(cells: &[NumaCell], domain: &Domain, id: u32) -> Option<u32> {
    let cell = cells.iter().find(|cell| cell.id == Some(id))?;
    if cell.cpus.is_some() {
        return Some(id);
    }
    let lines = domain.cpu.as_ref()?.numa.as_ref()?.interconnects.as_ref();
    let best = lines.and_then(|interconnects| {
        interconnects
            .lines
            .iter()
            .filter(|line| line.target == id && line.cache.is_none())
            .max_by_key(|line| if line.bandwidth { line.value } else { u64::MAX - line.value })
    });
    best.map(|line| line.initiator)
        .or_else(|| cells.iter().find(|cell| cell.cpus.is_some()).and_then(|cell| cell.id))
}

fn distances(line: &mut Line<'_>) {
    let cells = cells(line.domain);
    if !cells.iter().any(|cell| cell.body.distances.is_some()) {
        return;
    }
    let id = |cell: &NumaCell, at: usize| cell.id.unwrap_or(u32::try_from(at).unwrap_or(0));
    let stated = |from: u32, to: u32| {
        let cell = cells.iter().find(|cell| cell.id == Some(from))?;
        let siblings = &cell.body.distances.as_ref()?.siblings;
        siblings.iter().find(|sibling| sibling.id == to).map(|sibling| sibling.value)
    };
    for (i, from) in cells.iter().enumerate() {
        for (j, to) in cells.iter().enumerate() {
            let (from, to) = (id(from, i), id(to, j));
            let value = stated(from, to).or_else(|| stated(to, from)).unwrap_or(if from == to {
                10
            } else {
                20
            });
            line.argv.pair("-numa", format!("dist,src={from},dst={to},val={value}"));
        }
    }
}

fn attributes(line: &mut Line<'_>) {
    let Some(numa) = line.domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()) else { return };
    if let Some(interconnects) = &numa.interconnects {
        for connect in &interconnects.lines {
            let hierarchy = match connect.cache {
                Some(1) => "first-level",
                Some(2) => "second-level",
                Some(3) => "third-level",
                _ => "memory",
            };
            let kind = if connect.bandwidth { "bandwidth" } else { "latency" };
            let mut opts = Opts::new("hmat-lb")
                .with("initiator", connect.initiator)
                .with("target", connect.target)
                .with("hierarchy", hierarchy)
                .with("data-type", format!("{}-{kind}", connect.access));
            if connect.bandwidth {
                opts.set("bandwidth", format!("{}K", connect.value));
            } else {
                opts.set("latency", connect.value);
            }
            line.argv.pair("-numa", opts);
        }
    }
    for cell in &numa.cells {
        for cache in &cell.body.caches {
            let associativity = match cache.associativity.as_str() {
                "full" => "complex",
                other => other,
            };
            let policy = match cache.policy.as_str() {
                "writeback" => "write-back",
                "writethrough" => "write-through",
                other => other,
            };
            let opts = Opts::new("hmat-cache")
                .with("node-id", cell.id.unwrap_or(0))
                .maybe("size", cache.size.as_ref().map(|size| format!("{}K", size.0)))
                .with("level", cache.level)
                .with("associativity", associativity)
                .with("policy", policy)
                .maybe("line", cache.line.as_ref().map(|line| line.0));
            line.argv.pair("-numa", opts);
        }
    }
}
