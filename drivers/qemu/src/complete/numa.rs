// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guest's NUMA nodes: the one that plugged memory needs, and the processors that no node claims.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::cpu::{Cpu, Numa, NumaCell};
use virtus_xml::domain::memory_device::MemoryModel;

use super::Defaults;
use crate::machine::{is_s390_ccw, max_vcpus};

/// Fills in the nodes.
pub(super) fn settle(domain: &mut Domain, defaults: &Defaults) -> Result<()> {
    if defaults.abi_update && domain.max_memory.is_some() && !is_s390_ccw(domain) {
        add_node(domain)?;
    }
    claim_processors(domain);
    Ok(())
}

fn has_nodes(domain: &Domain) -> bool {
    let numa = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref());
    numa.is_some_and(|numa| !numa.cells.is_empty())
}

/// A new guest to which memory can be plugged has at least one node.
fn add_node(domain: &mut Domain) -> Result<()> {
    if has_nodes(domain) {
        return Ok(());
    }
    let plugged = domain.plugged_memory_kib();
    let memory_kib = domain.memory.kib.checked_sub(plugged).ok_or_else(|| {
        let text = "Total size of memory devices exceeds the total memory size";
        Error::new(ErrorCode::XmlError, text)
    })?;
    for memory in &mut domain.body.devices.memories {
        let on_node = matches!(
            memory.model,
            MemoryModel::Dimm | MemoryModel::Nvdimm | MemoryModel::VirtioMem
        );
        if let Some(target) = memory.target.as_mut().filter(|_| on_node) {
            target.node.get_or_insert(0);
        }
    }
    let numa =
        domain.body.cpu.get_or_insert_with(Cpu::default).numa.get_or_insert_with(Numa::default);
    numa.cells.push(NumaCell { id: Some(0), memory_kib, ..NumaCell::default() });
    Ok(())
}

/// Processors that no node claims belong to the first.
fn claim_processors(domain: &mut Domain) {
    let max = max_vcpus(domain);
    let Some(numa) = domain.body.cpu.as_mut().and_then(|cpu| cpu.numa.as_mut()) else { return };
    let claimed: usize = numa.cells.iter().filter_map(|c| c.cpus.as_ref()).map(CpuSet::len).sum();
    let Some((first, others)) = numa.cells.split_first_mut() else { return };
    if claimed >= max as usize {
        return;
    }
    let elsewhere =
        |cpu: u32| others.iter().any(|c| c.cpus.as_ref().is_some_and(|set| set.contains(cpu)));
    first.cpus = Some(CpuSet::of((0..max).filter(|cpu| !elsewhere(*cpu))));
}
