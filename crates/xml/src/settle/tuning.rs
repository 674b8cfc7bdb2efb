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

/// The most CPUs that are listed one by one, and the most I/O threads: no answer tells of more.
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
pub(super) fn list_iothreads(body: &mut Body) -> Result<()> {
    let count = body.iothreads.unwrap_or_default();
    if count > LONGEST_LIST {
        let text = format!("Too many IOThreads: {count} for limit {LONGEST_LIST}");
        return Err(xml_error(text).hint("write a smaller number in <iothreads>"));
    }
    let all = body.all_iothreads();
    if let Some(list) = &mut body.iothreadids {
        list.iothreads = all;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParseFlags;

    #[test]
    fn there_are_no_more_io_threads_than_can_be_told() {
        let parse = |inside: &str| {
            let text = format!(
                "<domain type='test'><name>a</name><memory>1</memory>{inside}\
                 <os><type>hvm</type></os></domain>"
            );
            Domain::parse(&text, ParseFlags::INACTIVE)
                .map(|parsed| parsed.value.all_iothreads().len())
        };
        assert_eq!(parse("<iothreads>16384</iothreads>").unwrap(), 16384);
        let error = parse("<iothreads>16385</iothreads>").unwrap_err();
        assert_eq!(error.text(), "Too many IOThreads: 16385 for limit 16384");
        let listed: String = (1..=16385).map(|id| format!("<iothread id='{id}'/>")).collect();
        assert!(parse(&format!("<iothreadids>{listed}</iothreadids>")).is_err());
    }
}
