// SPDX-License-Identifier: Apache-2.0 OR MIT
//! vCPUs, I/O threads and how they are scheduled.

use std::collections::HashSet;

use virtus_api::Result;

use super::must;
use crate::cpuset::CpuSet;
use crate::domain::Domain;
use crate::domain::tuning::{Sched, Scheduler, Vcpus};
use crate::settle::{unsupported, xml_error};
use crate::value::YesNo;

/// What the scheduler takes, in microseconds.
const PERIOD: std::ops::RangeInclusive<u64> = 1000..=1_000_000;
const QUOTA: std::ops::RangeInclusive<i64> = 1000..=17_592_186_044_415;

pub(super) fn validate(domain: &Domain) -> Result<()> {
    let most = domain.vcpu.as_ref().map_or(1, |vcpu| vcpu.max);
    if let Some(vcpus) = &domain.vcpus {
        one_by_one(vcpus, most)?;
    }
    iothreads(domain)?;
    bandwidth(domain)?;
    scheduling(domain, most)?;
    for device in domain.blkiotune.iter().flat_map(|tune| &tune.devices) {
        must(!device.path.is_empty(), || unsupported("missing per-device path"))?;
    }
    Ok(())
}

fn one_by_one(vcpus: &Vcpus, most: u32) -> Result<()> {
    for vcpu in &vcpus.vcpus {
        must(vcpu.id < most, || {
            xml_error(format!("vcpu id '{}' is out of range of maximum vcpu count {most}", vcpu.id))
        })?;
    }
    let online: Vec<Option<u32>> = vcpus
        .vcpus
        .iter()
        .filter(|vcpu| vcpu.enabled != Some(YesNo::No))
        .map(|vcpu| vcpu.order)
        .collect();
    must(online.iter().all(Option::is_some) || online.iter().all(Option::is_none), || {
        unsupported("all vcpus must have either set or unset order")
    })
}

fn iothreads(domain: &Domain) -> Result<()> {
    let mut seen = HashSet::new();
    for thread in domain.iothreadids.iter().flat_map(|ids| &ids.iothreads) {
        must(thread.id != 0, || {
            xml_error(
                "Invalid value for attribute 'id' in element 'iothread': Zero is not permitted",
            )
        })?;
        must(seen.insert(thread.id), || {
            xml_error(format!("duplicate iothread id '{}' found", thread.id))
        })?;
    }
    let known = domain.iothread_ids();
    let pinned = domain.cputune.iothreadpins.iter().map(|pin| pin.iothread);
    let scheduled = domain.cputune.iothreadscheds.iter().flat_map(|sched| sched.iothreads.iter());
    pinned.chain(scheduled).try_for_each(|id| {
        must(known.binary_search(&id).is_ok(), || {
            unsupported(format!("Cannot find 'iothread' : {id}"))
        })
    })
}

fn bandwidth(domain: &Domain) -> Result<()> {
    let tune = &domain.cputune;
    let periods = [
        ("period", tune.period),
        ("global_period", tune.global_period),
        ("emulator_period", tune.emulator_period),
        ("iothread_period", tune.iothread_period),
    ];
    for (name, value) in periods {
        // Zero is what nobody has set.
        must(value.is_none_or(|value| value == 0 || PERIOD.contains(&value)), || {
            unsupported(format!(
                "Value of cputune '{name}' must be in range [{}, {}]",
                PERIOD.start(),
                PERIOD.end()
            ))
        })?;
    }
    let quotas = [
        ("quota", tune.quota),
        ("global_quota", tune.global_quota),
        ("emulator_quota", tune.emulator_quota),
        ("iothread_quota", tune.iothread_quota),
    ];
    quotas.into_iter().try_for_each(|(name, value)| {
        // A negative quota is none.
        must(value.is_none_or(|value| value <= 0 || QUOTA.contains(&value)), || {
            unsupported(format!(
                "Value of cputune '{name}' must be in range [{}, {}]",
                QUOTA.start(),
                QUOTA.end()
            ))
        })
    })
}

fn scheduling(domain: &Domain, most: u32) -> Result<()> {
    let tune = &domain.cputune;
    let mut pinned = HashSet::new();
    for pin in &tune.vcpupins {
        must(pinned.insert(pin.vcpu), || {
            xml_error(format!("duplicate vcpupin for vcpu '{}'", pin.vcpu))
        })?;
    }
    let mut scheduled = CpuSet::default();
    for sched in &tune.vcpuscheds {
        priority("vcpusched", &sched.sched)?;
        let missing = sched.vcpus.iter().find(|&vcpu| vcpu >= most);
        must(missing.is_none(), || {
            let missing = missing.unwrap_or_default();
            unsupported(format!("vCPU '{missing}' is not present in domain definition"))
        })?;
        must(!scheduled.overlaps(&sched.vcpus), || {
            xml_error("vcpusched attributes 'vcpus' must not overlap")
        })?;
        sched.vcpus.ranges().iter().for_each(|&(first, last)| scheduled.insert(first, last));
    }
    for sched in &tune.iothreadscheds {
        priority("iothreadsched", &sched.sched)?;
    }
    tune.emulatorsched.iter().try_for_each(|sched| priority("emulatorsched", sched))
}

/// The real-time policies need a priority.
fn priority(element: &str, sched: &Sched) -> Result<()> {
    let real_time = matches!(sched.scheduler, Scheduler::Fifo | Scheduler::Rr);
    must(!real_time || sched.priority.is_some(), || {
        xml_error(format!("Missing required attribute 'priority' in element '{element}'"))
    })
}
