// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guest's CPU and its NUMA nodes.

use std::collections::HashSet;

use virtus_api::Result;

use super::must;
use crate::domain::Domain;
use crate::domain::cpu::{Cpu, CpuMode, NumaCell, Topology};
use crate::settle::{unsupported, xml_error};

/// A vendor's name as CPUID has it.
const VENDOR_ID_LENGTH: usize = 12;

pub(super) fn validate(domain: &Domain) -> Result<()> {
    let Some(cpu) = &domain.cpu else { return Ok(()) };
    model(cpu)?;
    if let Some(topology) = &cpu.topology {
        nothing_zero(topology)?;
    }
    nodes(cpu.numa.as_ref().map_or(&[], |numa| &numa.cells))
}

fn model(cpu: &Cpu) -> Result<()> {
    let name = cpu.model.as_ref().and_then(|model| model.name.as_deref());
    if name.is_none() && matches!(cpu.mode, None | Some(CpuMode::Custom)) {
        must(cpu.vendor.is_none(), || xml_error("CPU vendor specified without CPU model"))?;
        must(cpu.features.is_empty(), || {
            xml_error("Non-empty feature list specified without CPU model")
        })?;
    }
    let vendor_id = cpu.model.as_ref().and_then(|model| model.vendor_id.as_deref());
    if let Some(vendor_id) = vendor_id {
        must(vendor_id.len() == VENDOR_ID_LENGTH, || {
            xml_error(format!("vendor_id must be exactly {VENDOR_ID_LENGTH} characters long"))
        })?;
        must(!vendor_id.contains(','), || xml_error("vendor id is invalid: it has a comma"))?;
    }
    let mut seen = HashSet::new();
    for feature in &cpu.features {
        must(seen.insert(feature.name.as_str()), || {
            xml_error(format!("CPU feature '{}' specified more than once", feature.name))
        })?;
    }
    Ok(())
}

fn nothing_zero(topology: &Topology) -> Result<()> {
    let counts = [
        ("sockets", Some(topology.sockets)),
        ("dies", topology.dies),
        ("clusters", topology.clusters),
        ("cores", Some(topology.cores)),
        ("threads", Some(topology.threads)),
    ];
    counts.into_iter().try_for_each(|(name, count)| {
        must(count != Some(0), || {
            xml_error(format!(
                "Invalid value for attribute '{name}' in element 'topology': Zero is not permitted"
            ))
        })
    })
}

fn nodes(cells: &[NumaCell]) -> Result<()> {
    for (at, cell) in cells.iter().enumerate() {
        let (Some(id), Some(cpus)) = (cell.id, &cell.cpus) else { continue };
        for other in &cells[..at] {
            must(!other.cpus.as_ref().is_some_and(|theirs| theirs.overlaps(cpus)), || {
                let other = other.id.unwrap_or_default();
                unsupported(format!("NUMA cells {id} and {other} have overlapping vCPU ids"))
            })?;
        }
    }
    cells.iter().try_for_each(|cell| distances(cell, cells.len()))
}

/// Distances as ACPI has them: 10 to itself, more and at most 255 to others.
fn distances(cell: &NumaCell, cells: usize) -> Result<()> {
    let (Some(id), Some(distances)) = (cell.id, &cell.body.distances) else { return Ok(()) };
    for sibling in &distances.siblings {
        must((sibling.id as usize) < cells, || {
            xml_error(format!(
                "'sibling_id {}' does not refer to a valid cell within NUMA 'cell id {id}'",
                sibling.id
            ))
        })?;
        let allowed = if sibling.id == id { 10..=10 } else { 10..=255 };
        must(allowed.contains(&sibling.value), || {
            xml_error(format!(
                "'value {}' is invalid for 'sibling id {}' under NUMA 'cell id {id}': {} to {} can be",
                sibling.value,
                sibling.id,
                allowed.start(),
                allowed.end()
            ))
        })?;
    }
    Ok(())
}
