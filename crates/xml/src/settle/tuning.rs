// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tuning: sets of CPUs become one line per CPU, in ascending order.

use std::collections::{BTreeMap, BTreeSet};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::xml_error;
use crate::cpuset::CpuSet;
use crate::domain::memory::{NumaMemory, Numatune, Placement};
use crate::domain::tuning::{IothreadSched, OneVcpu, VcpuSched};
use crate::domain::{Body, Domain};
use crate::value::YesNo;

pub(super) fn settle(domain: &mut Domain) -> Result<()> {
    settle_placement(domain)?;
    let vcpus = domain.vcpu.as_ref().map_or(1, |vcpu| vcpu.max);
    let tune = &mut domain.body.cputune;
    let mut scheds = BTreeMap::new();
    for line in &tune.vcpuscheds {
        for vcpu in line.vcpus.iter().take_while(|&vcpu| vcpu < vcpus) {
            let one = VcpuSched { vcpus: CpuSet::one(vcpu), sched: line.sched.clone() };
            if scheds.insert(vcpu, one).is_some() {
                return Err(overlap("'vcpusched' attributes 'vcpus' must not overlap"));
            }
        }
    }
    tune.vcpuscheds = scheds.into_values().collect();
    let mut scheds = BTreeMap::new();
    for line in &tune.iothreadscheds {
        for thread in line.iothreads.iter() {
            let one = IothreadSched { iothreads: CpuSet::one(thread), sched: line.sched.clone() };
            if scheds.insert(thread, one).is_some() {
                return Err(overlap("'iothreadsched' attributes 'iothreads' must not overlap"));
            }
        }
    }
    tune.iothreadscheds = scheds.into_values().collect();
    tune.vcpupins.retain(|pin| pin.vcpu < vcpus);
    tune.vcpupins.sort_by_key(|pin| pin.vcpu);
    Ok(())
}

/// More CPUs or threads than any hypervisor has are not listed one by one.
const LONGEST_LIST: u32 = 16384;

/// Where CPUs are listed, all are; those that the list left out are not there yet. The list says how many are.
pub(super) fn list_vcpus(body: &mut Body) {
    let (Some(list), Some(vcpu)) = (&mut body.vcpus, &mut body.vcpu) else { return };
    if vcpu.max > LONGEST_LIST {
        return;
    }
    let listed: BTreeSet<u32> = list.vcpus.iter().map(|one| one.id).collect();
    let missing = (0..vcpu.max).filter(|id| !listed.contains(id));
    list.vcpus.extend(missing.map(|id| OneVcpu { id, ..OneVcpu::default() }));
    list.vcpus.sort_by_key(|one| one.id);
    let mut present = 0;
    for one in &mut list.vcpus {
        let enabled = one.enabled.get_or_insert(YesNo::No).is_yes();
        one.hotpluggable.get_or_insert(YesNo::from(!enabled));
        present += u32::from(enabled);
    }
    vcpu.current = Some(present).filter(|present| *present < vcpu.max);
}

/// Where I/O threads are listed, all are; the rest get the lowest numbers that are free.
pub(super) fn list_iothreads(body: &mut Body) {
    if body.iothreads.is_some_and(|count| count <= LONGEST_LIST) {
        let all = body.all_iothreads();
        if let Some(list) = &mut body.iothreadids {
            list.iothreads = all;
        }
    }
}

/// Whoever lets the host choose CPUs lets it choose the memory near them, and the other way round.
fn settle_placement(domain: &mut Domain) -> Result<()> {
    let cpus_chosen = domain.vcpu.as_ref().is_some_and(|v| v.placement == Placement::Auto);
    let body = &mut domain.body;
    if cpus_chosen {
        let tune = body.numatune.get_or_insert_with(Numatune::default);
        tune.memory.get_or_insert_with(NumaMemory::default);
    }
    let Some(memory) = body.numatune.as_mut().and_then(|tune| tune.memory.as_mut()) else {
        return Ok(());
    };
    let placement = *memory.placement.get_or_insert(if cpus_chosen && memory.nodeset.is_none() {
        Placement::Auto
    } else {
        Placement::Static
    });
    if placement == Placement::Static {
        return if memory.nodeset.is_some() {
            Ok(())
        } else {
            Err(xml_error("nodeset for NUMA memory tuning must be set if 'placement' is 'static'"))
        };
    }
    memory.nodeset = None;
    let tune = &body.cputune;
    let pinned =
        !tune.vcpupins.is_empty() || tune.emulatorpin.is_some() || !tune.iothreadpins.is_empty();
    if let Some(vcpu) = body.vcpu.as_mut().filter(|vcpu| vcpu.cpuset.is_none() && !pinned) {
        vcpu.placement = Placement::Auto;
    }
    Ok(())
}

fn overlap(text: &'static str) -> Error {
    Error::new(ErrorCode::XmlDetail, text).in_domain(ErrorDomain::Domain)
}
