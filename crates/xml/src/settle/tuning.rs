// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tuning: sets of CPUs become one line per CPU, in ascending order.

use std::collections::BTreeMap;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::xml_error;
use crate::cpuset::CpuSet;
use crate::domain::Domain;
use crate::domain::memory::{NumaMemory, Numatune, Placement};
use crate::domain::tuning::{IothreadSched, VcpuSched};

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
