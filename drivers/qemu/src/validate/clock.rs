// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clocks and timers.

use virtus_api::Result;
use virtus_xml::domain::DomainType;
use virtus_xml::domain::clock::{TickPolicy, Timer, TimerName, Track};
use virtus_xml::value::YesNo;

use super::{Rules, need, unsupported};
use crate::caps::Flag;
use crate::machine::{is_arm_virt, is_x86};

/// The last second of the year 9999, since the epoch.
const LATEST_START: u64 = 253_402_300_799;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let Some(clock) = &rules.domain.clock else { return Ok(()) };
    clock.body.timers.iter().try_for_each(|one| timer(rules, one))?;
    need(clock.start.is_none_or(|start| start <= LATEST_START), || {
        format!("<clock offset='absolute'>: 'start' can be at most {LATEST_START}")
    })
}

fn timer(rules: Rules<'_>, timer: &Timer) -> Result<()> {
    let domain = rules.domain;
    let name = timer.name;
    let elsewhere = || {
        unsupported(format!(
            "<timer name='{name}'> is not for <domain type='{}'> on {}",
            domain.kind,
            rules.board()
        ))
    };
    let present = timer.present;
    let policies: &[TickPolicy] = match name {
        TimerName::Platform => return Err(elsewhere()),
        TimerName::Tsc | TimerName::Kvmclock | TimerName::Hypervclock => {
            return if present == Some(YesNo::Yes) && !is_x86(domain) {
                Err(elsewhere())
            } else {
                Ok(())
            };
        }
        TimerName::Hpet => {
            let known = rules.has(Flag::MachineHpet) || rules.has(Flag::NoHpet);
            return if present == Some(YesNo::Yes) && !known { Err(elsewhere()) } else { Ok(()) };
        }
        TimerName::Rtc => {
            need(timer.track != Some(Track::Boot), || {
                "<timer name='rtc' track='boot'>: allowed are guest, wall and realtime".to_owned()
            })?;
            &[TickPolicy::Delay, TickPolicy::Catchup]
        }
        TimerName::Pit if rules.has(Flag::KvmPitLostTickPolicy) => {
            &[TickPolicy::Delay, TickPolicy::Discard, TickPolicy::Catchup]
        }
        TimerName::Pit => &[TickPolicy::Delay, TickPolicy::Discard],
        TimerName::Armvtimer => {
            if domain.kind != DomainType::Kvm || !is_arm_virt(domain) {
                return Err(elsewhere());
            }
            need(present != Some(YesNo::No), || {
                format!("<timer name='{name}' present='no'>: it cannot be left out")
            })?;
            rules.needs(Flag::CpuKvmNoAdjvtime, format!("<timer name='{name}'>"))?;
            &[TickPolicy::Delay, TickPolicy::Discard]
        }
    };
    match timer.tickpolicy {
        Some(policy) if !policies.contains(&policy) => Err(unsupported(format!(
            "<timer name='{name}' tickpolicy='{policy}'>: allowed are {}",
            policies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ))),
        _ => Ok(()),
    }
}
