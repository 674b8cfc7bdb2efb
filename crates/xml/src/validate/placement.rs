// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where CPUs and memory of the guest go on the host.

use std::collections::HashMap;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::cpuset::CpuSet;
use crate::domain::Domain;
use crate::domain::memory::{NumaMode, Placement};
use crate::domain::tuning::{CacheKind, CacheTune};
use crate::settle::{unsupported, xml_error};

pub(super) fn validate(domain: &Domain) -> Result<()> {
    numatune(domain)?;
    for tune in &domain.cputune.cachetunes {
        cachetune(tune)?;
    }
    Ok(())
}

fn numatune(domain: &Domain) -> Result<()> {
    let Some(tune) = &domain.numatune else { return Ok(()) };
    if let Some(memory) = &tune.memory {
        if memory.nodeset.as_ref().is_some_and(CpuSet::is_empty) {
            return Err(unsupported("Invalid value of 'nodeset': no node is left"));
        }
        if memory.placement == Some(Placement::Static) && memory.nodeset.is_none() {
            return Err(unsupported(
                "nodeset for NUMA memory tuning must be set if 'placement' is 'static'",
            ));
        }
        if memory.placement == Some(Placement::Auto) && !tune.memnodes.is_empty() {
            return Err(unsupported(
                "Per-node binding is not compatible with automatic NUMA placement.",
            ));
        }
    }
    if tune.memnodes.is_empty() {
        return Ok(());
    }
    let cells =
        domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).map_or(0, |numa| numa.cells.len());
    if cells == 0 {
        return Err(xml_error("Element 'memnode' is invalid without any guest NUMA cells"));
    }
    let overall = tune.memory.as_ref().map(|memory| memory.mode);
    for node in &tune.memnodes {
        if node.cellid as usize >= cells {
            return Err(xml_error(
                "Argument 'cellid' in memnode element must correspond to existing guest's NUMA cell",
            ));
        }
        match (overall == Some(NumaMode::Restrictive), node.mode == NumaMode::Restrictive) {
            (true, false) => {
                return Err(xml_error(
                    "'restrictive' mode is required in memnode element when mode is 'restrictive' in memory element",
                ));
            }
            (false, true) if overall.is_some() => {
                return Err(xml_error(
                    "'restrictive' mode is required in memory element when mode is 'restrictive' in memnode element",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn cachetune(tune: &CacheTune) -> Result<()> {
    let mut seen: HashMap<_, Vec<CacheKind>> = HashMap::new();
    for cache in &tune.caches {
        // At most two kinds are ever in one list: code and data.
        let others = seen.entry((cache.level, cache.id)).or_default();
        let both = |kind| kind == CacheKind::Both;
        if others.iter().any(|&other| other == cache.kind || both(other) || both(cache.kind)) {
            return Err(xml_error(format!(
                "Colliding cache allocations for cache level '{}' id '{}', type '{}'",
                cache.level, cache.id, cache.kind
            )));
        }
        others.push(cache.kind);
    }
    let mut watched = CpuSet::default();
    for monitor in &tune.monitors {
        let whole = monitor.vcpus == tune.vcpus;
        let outside = monitor.vcpus.iter().any(|vcpu| !tune.vcpus.contains(vcpu));
        if outside || (!whole && watched.overlaps(&monitor.vcpus)) {
            return Err(Error::new(
                ErrorCode::InvalidArg,
                "Monitor vcpus conflicts with allocation",
            )
            .in_domain(ErrorDomain::Domain));
        }
        if !whole {
            monitor.vcpus.ranges().iter().for_each(|&(first, last)| watched.insert(first, last));
        }
    }
    Ok(())
}

impl Domain {
    /// The numbers of all I/O threads: those that are named, then the lowest that are free.
    #[must_use]
    pub fn iothread_ids(&self) -> Vec<u32> {
        let named = self.iothreadids.iter().flat_map(|ids| &ids.iothreads).map(|thread| thread.id);
        let mut ids: Vec<u32> = named.collect();
        // Nobody runs more threads than a host could have.
        let wanted = self.iothreads.unwrap_or_default().min(crate::cpuset::LIMIT) as usize;
        let mut next = 1;
        while ids.len() < wanted {
            if !ids.contains(&next) {
                ids.push(next);
            }
            next += 1;
        }
        ids.sort_unstable();
        ids
    }
}
