// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A moment as libvirt's logs write it: `2026-11-21 02:37:00.123+0000`, always in UTC.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment to be written.
#[derive(Debug, Clone, Copy)]
pub struct Stamp(Duration);

impl Stamp {
    /// The present moment.
    #[must_use]
    pub fn now() -> Self {
        Self::at(SystemTime::now())
    }

    /// Moments before 1970 read as its first.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// Year, month and day of the `days`th day after 1970-01-01 (Gregorian calendar; a computing year
/// starts in March, so that the leap day is its last).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let milli = self.0.subsec_millis();
        write!(f, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}+0000")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_the_calendar_says() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00.007+0000"),
            (951_782_399, "2000-02-28 23:59:59.007+0000"),
            (951_782_400, "2000-02-29 00:00:00.007+0000"),
            (1_795_228_620, "2026-11-21 02:37:00.007+0000"),
            (4_107_542_400, "2100-03-01 00:00:00.007+0000"),
        ] {
            let stamp = Stamp::at(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
            assert_eq!(stamp.to_string(), text);
        }
    }
}
