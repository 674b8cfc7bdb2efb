// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Numbers of many rounds, their medians, and the table that compares two daemons.

use std::collections::BTreeMap;
use std::time::Duration;

use virtus_tests::Outcome;

/// The figures of one round, in the unit of their [`Measure`], by name.
pub type Round = BTreeMap<&'static str, f64>;

/// What ours is meant to reach.
#[derive(Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    /// Stock divided by ours.
    TimesLess(f64),
    /// Only for information.
    None,
}

/// What a number counts.
#[derive(Clone, Copy)]
pub enum Unit {
    Microseconds,
    Mebibytes,
    /// Microseconds for a million bytes, shown as the millions of bytes in a second.
    Throughput,
}

/// A row of the table; less is better in each.
pub struct Measure {
    pub name: &'static str,
    pub unit: Unit,
    pub goal: Goal,
}

impl Measure {
    pub const fn time(name: &'static str, goal: Goal) -> Self {
        Self { name, unit: Unit::Microseconds, goal }
    }

    pub const fn memory(name: &'static str, goal: Goal) -> Self {
        Self { name, unit: Unit::Mebibytes, goal }
    }

    pub const fn throughput(name: &'static str, goal: Goal) -> Self {
        Self { name, unit: Unit::Throughput, goal }
    }

    fn shown(&self, value: f64) -> String {
        self.unit.shown(value)
    }
}

impl Unit {
    pub(crate) fn shown(self, value: f64) -> String {
        match self {
            Self::Microseconds => duration(value),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::Throughput => format!("{:.0} MB/s", 1e6 / value),
        }
    }
}

/// A time as figures have it.
#[must_use]
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// All rounds of one daemon.
#[derive(Default)]
pub struct Figures(BTreeMap<&'static str, Vec<f64>>);

impl Figures {
    pub fn add(&mut self, round: &Round) {
        for (name, value) in round {
            self.0.entry(name).or_default().push(*value);
        }
    }

    /// The middle one of the rounds.
    pub fn median(&self, name: &str) -> f64 {
        let mut values = self.0.get(name).cloned().unwrap_or_default();
        median(&mut values)
    }
}

/// The middle value; NaN of nothing.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Rounds of the stock daemon and ours in turn. The first one fills caches on both sides and is thrown away.
pub fn in_turn<D>(
    daemons: &mut [D; 2],
    rounds: usize,
    round: impl Fn(&mut D) -> Outcome<Round>,
) -> Outcome<[Figures; 2]> {
    let mut figures = [Figures::default(), Figures::default()];
    for number in 0..=rounds {
        for (daemon, figures) in daemons.iter_mut().zip(&mut figures) {
            let figure = round(daemon)?;
            if number > 0 {
                figures.add(&figure);
            }
        }
        eprint!("\rround {number} of {rounds}");
    }
    eprintln!();
    Ok(figures)
}

/// Prints medians, ratios, and whether each goal is met.
pub fn print([stock, ours]: &[Figures; 2], head: &str, measures: &[Measure]) {
    println!("{head}\n");
    println!("{:<32} {:>11} {:>11} {:>8}  goal", "", "stock", "ours", "ratio");
    for measure in measures {
        let (theirs, own) = (stock.median(measure.name), ours.median(measure.name));
        let verdict = match measure.goal {
            Goal::AtMost(limit) => said(own <= limit, &format!("at most {}", measure.shown(limit))),
            Goal::TimesLess(times) => said(theirs / own >= times, &format!("{times} times less")),
            Goal::None => String::new(),
        };
        // Above-bare times can be so near nothing that a ratio says nothing.
        let ratio = if own > 1.0 { format!("{:.1}", theirs / own) } else { "-".to_owned() };
        let (theirs, own) = (measure.shown(theirs), measure.shown(own));
        println!("{:<32} {theirs:>11} {own:>11} {ratio:>8}  {verdict}", measure.name);
    }
}

fn said(met: bool, goal: &str) -> String {
    format!("{goal}: {}", if met { "met" } else { "missed" })
}

fn duration(microseconds: f64) -> String {
    if microseconds.abs() >= 10_000_000.0 {
        format!("{:.1} s", microseconds / 1e6)
    } else if microseconds.abs() >= 10_000.0 {
        format!("{:.0} ms", microseconds / 1000.0)
    } else if microseconds.abs() >= 1_000.0 {
        format!("{:.2} ms", microseconds / 1000.0)
    } else {
        format!("{microseconds:.1} us")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(duration(61.04), "61.0 us");
        assert_eq!(duration(2_500.0), "2.50 ms");
        assert_eq!(duration(533_000.0), "533 ms");
    }
}
