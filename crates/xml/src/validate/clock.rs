// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Timers: each has settings of its own.

use virtus_api::Result;

use super::must;
use crate::domain::Domain;
use crate::domain::clock::{TickPolicy, Timer, TimerName};
use crate::settle::{unsupported, xml_error};

pub(super) fn validate(domain: &Domain) -> Result<()> {
    let mut timers = domain.clock.iter().flat_map(|clock| &clock.body.timers);
    timers.try_for_each(timer)
}

fn timer(timer: &Timer) -> Result<()> {
    use TimerName::{Armvtimer, Hpet, Pit, Platform, Rtc, Tsc};
    let given: [(&str, bool, &[TimerName]); 4] = [
        ("track", timer.track.is_some(), &[Platform, Rtc]),
        ("tickpolicy", timer.tickpolicy.is_some(), &[Platform, Pit, Rtc, Hpet, Tsc, Armvtimer]),
        ("mode", timer.mode.is_some(), &[Tsc]),
        ("frequency", timer.frequency.is_some(), &[Tsc]),
    ];
    for (setting, given, owners) in given {
        must(!given || owners.contains(&timer.name), || {
            let owners: Vec<&str> = owners.iter().map(|name| name.as_str()).collect();
            unsupported(format!(
                "timer {} doesn't support setting of timer {setting}; these do: {}",
                timer.name,
                owners.join(", ")
            ))
        })?;
    }
    must(timer.catchup.is_none() || timer.tickpolicy == Some(TickPolicy::Catchup), || {
        xml_error("setting of timer catchup policies is only supported with tickpolicy='catchup'")
    })
}
