// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guest's clock as a date: for clocks that run beside the host's.

use virtus_xml::domain::clock::{Adjustment, Clock, ClockBasis, ClockOffset};

use super::context::Context;

/// What `-rtc base=` takes for a clock that was moved.
pub(crate) fn base(clock: Option<&Clock>, cx: &Context) -> String {
    let Some(clock) = clock else { return "utc".to_owned() };
    let seconds = match clock.offset {
        ClockOffset::Absolute => {
            clock.start.and_then(|start| i64::try_from(start).ok()).unwrap_or(0)
        }
        _ => {
            let moved = match clock.adjustment {
                Some(Adjustment::Seconds(seconds)) => seconds,
                _ => 0,
            };
            let zone = match clock.basis {
                Some(ClockBasis::Localtime) => cx.zone_seconds,
                _ => 0,
            };
            cx.now.saturating_add(moved).saturating_add(zone)
        }
    };
    date(seconds)
}

/// `2009-02-13T23:31:30` for seconds since 1970.
fn date(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Civil date from the day number, in eras of 400 years that begin on 1 March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(super::date(1_234_567_890), "2009-02-13T23:31:30");
        assert_eq!(super::date(0), "1970-01-01T00:00:00");
        assert_eq!(super::date(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(super::date(-1), "1969-12-31T23:59:59");
    }
}
