// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Sets of CPUs or nodes: `0-3,8,^2`.
//!
//! Invariant: the ranges are sorted, do not touch, and no number reaches [`LIMIT`]; so a set is small however it was written.

use crate::schema::Data;
use crate::value::{Allowed, Value};
use crate::writer::Escaped;

/// No host has so many CPUs or nodes (libvirt's own bound).
pub const LIMIT: u32 = 16384;

/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuSet(Vec<(u32, u32)>);

impl CpuSet {
    /// The set of one number.
    #[must_use]
    pub fn one(number: u32) -> Self {
        Self(vec![(number, number)])
    }

    /// The set of all numbers of `numbers`.
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut set = Self::default();
        for number in numbers {
            set.insert(number, number);
        }
        set
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        self.0.iter().any(|&(first, last)| (first..=last).contains(&number))
    }

    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|range| range.0)
    }

    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|range| range.1)
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|&(first, last)| (last - first + 1) as usize).sum()
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Whether the two have a number in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|a| other.0.iter().any(|b| a.0 <= b.1 && b.0 <= a.1))
    }

    /// Adds a range.
    pub fn insert(&mut self, mut first: u32, mut last: u32) {
        self.0.retain(|&(a, b)| {
            let apart = b.saturating_add(1) < first || last.saturating_add(1) < a;
            if !apart {
                first = first.min(a);
                last = last.max(b);
            }
            apart
        });
        let at = self.0.partition_point(|range| range.0 < first);
        self.0.insert(at, (first, last));
    }
}

/// A set while it is read.
struct Bits([u64; LIMIT as usize / 64]);

impl Default for Bits {
    fn default() -> Self {
        Self([0; LIMIT as usize / 64])
    }
}

impl Bits {
    fn put(&mut self, first: u32, last: u32, on: bool) {
        for word in first / 64..=last / 64 {
            let low = first.saturating_sub(word * 64).min(63);
            let high = (last - word * 64).min(63);
            let mask = (u64::MAX << low) & (u64::MAX >> (63 - high));
            if let Some(bits) = self.0.get_mut(word as usize) {
                *bits = if on { *bits | mask } else { *bits & !mask };
            }
        }
    }

    fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (word, &bits) in (0..).zip(&self.0) {
            let mut at = 0;
            while at < 64 && bits >> at != 0 {
                at += (bits >> at).trailing_zeros();
                let length = (bits >> at).trailing_ones();
                let (first, last) = (word * 64 + at, word * 64 + at + length - 1);
                match ranges.last_mut() {
                    Some(range) if range.1 + 1 == first => range.1 = last,
                    _ => ranges.push((first, last)),
                }
                at += length;
            }
        }
        ranges
    }
}

impl std::fmt::Display for CpuSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

impl Value for CpuSet {
    const ALLOWED: Allowed = Allowed::A("numbers below 16384 and ranges, such as 0-3,8,^2");
    const DATA: Data = Data::Pattern(r"([0-9]+(-[0-9]+)?|\^[0-9]+)(,([0-9]+(-[0-9]+)?|\^[0-9]+))*");
    fn parse(text: &str) -> Option<Self> {
        // One bit per number: what a long text costs is its length, not what it repeats.
        let mut bits = Bits::default();
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|&number| number < LIMIT);
        for piece in text.split(',') {
            let piece = piece.trim();
            if let Some(without) = piece.strip_prefix('^') {
                let number = number(without)?;
                bits.put(number, number, false);
            } else {
                let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                bits.put(first, last, true);
            }
        }
        Some(Self(bits.ranges()))
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_in_one_way() {
        let written = |text| CpuSet::parse(text).map(|set| set.to_string());
        assert_eq!(written("1-4,^3,525,8-20").as_deref(), Some("1-2,4,8-20,525"));
        assert_eq!(written("3,2,1").as_deref(), Some("1-3"));
        assert_eq!(written("0,^0").as_deref(), Some(""));
        assert_eq!(written("0-16383").as_deref(), Some("0-16383"));
        assert_eq!(written("63-64,^127,100-200,16383").as_deref(), Some("63-64,100-200,16383"));
        assert_eq!(written("3-1"), None);
        assert_eq!(written("aaa"), None);
        assert_eq!(written("0-99999999"), None);
    }
}
