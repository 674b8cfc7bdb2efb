// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tuning: sets of CPUs become one line per CPU, in ascending order.

use std::collections::BTreeMap;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::cpuset::CpuSet;
use crate::domain::Domain;
use crate::domain::tuning::{IothreadSched, VcpuSched};

pub(super) fn settle(domain: &mut Domain) -> Result<()> {
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

fn overlap(text: &'static str) -> Error {
    Error::new(ErrorCode::XmlDetail, text).in_domain(ErrorDomain::Domain)
}
