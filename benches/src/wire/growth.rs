// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How costs grow with the number of clients and of definitions.

use std::collections::BTreeMap;

use virtus_benches::{Plot, Round, Unit};
use virtus_tests::{Backend, Outcome};

use crate::calls::{BESIDE, Calls, HEARD};
use crate::fleet;

const CROWDS: [u32; 4] = [1, 10, 100, 1000];
const FLEETS: [u32; 4] = [10, 100, 1000, 10_000];

/// Each cost at each number.
#[derive(Default)]
pub(crate) struct Growth(BTreeMap<&'static str, Vec<(f64, f64)>>);

impl Growth {
    /// Measures a daemon of this kind; also answers the figures of the largest fleet.
    pub(crate) fn of(backend: &Backend) -> Outcome<(Self, Round)> {
        let mut growth = Self::default();
        let mut calls = Calls::start(backend.clone())?;
        for count in CROWDS {
            growth.add(count, &calls.crowd(usize::try_from(count)?)?);
        }
        drop(calls);
        let mut last = Round::new();
        for count in FLEETS {
            last = fleet::round(backend, count)?;
            growth.add(count, &last);
        }
        Ok((growth, last))
    }

    fn add(&mut self, count: u32, round: &Round) {
        for (name, cost) in round {
            self.0.entry(name).or_default().push((f64::from(count), *cost));
        }
    }
}

/// One plot for each cost.
pub(crate) fn plots(mut stock: Growth, mut ours: Growth) -> Vec<Plot> {
    let plot = |(title, of, unit)| {
        let [stock, ours] = [&mut stock, &mut ours].map(|g| g.0.remove(title).unwrap_or_default());
        Plot { title, of, unit, stock, ours }
    };
    [
        (BESIDE, "clients", Unit::Microseconds),
        (HEARD, "clients", Unit::Microseconds),
        ("memory", "definitions", Unit::Mebibytes),
        ("list", "definitions", Unit::Microseconds),
        ("statistics", "definitions", Unit::Microseconds),
        ("restart to first list", "definitions", Unit::Microseconds),
    ]
    .map(plot)
    .into()
}
