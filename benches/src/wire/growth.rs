// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How costs grow with the number of clients and of definitions.

use std::collections::BTreeMap;

use virtus_benches::{Figures, Plot, Unit, in_turn};
use virtus_tests::{Backend, Outcome};

use crate::calls::{BESIDE, Calls, HEARD};
use crate::fleet;

const CROWDS: [u32; 4] = [1, 10, 100, 1000];
const FLEETS: [u32; 4] = [10, 100, 1000, 10_000];

/// The figures of both daemons at each number.
pub(crate) struct Growth {
    crowds: BTreeMap<u32, [Figures; 2]>,
    fleets: BTreeMap<u32, [Figures; 2]>,
}

impl Growth {
    /// Measures the two daemons in turn.
    pub(crate) fn of(backends: &[Backend; 2], rounds: usize) -> Outcome<Self> {
        let [first, second] = backends.clone().map(Calls::start);
        let mut daemons = [first?, second?];
        let mut crowds = BTreeMap::new();
        for count in CROWDS {
            let clients = usize::try_from(count)?;
            let figures = in_turn(&mut daemons, rounds, |calls| calls.crowd(clients))?;
            crowds.insert(count, figures);
        }
        drop(daemons);
        let mut fleets = BTreeMap::new();
        for count in FLEETS {
            let mut backends = backends.clone();
            let figures = in_turn(&mut backends, rounds, |backend| fleet::round(backend, count))?;
            fleets.insert(count, figures);
        }
        Ok(Self { crowds, fleets })
    }

    /// The figures of the largest fleet.
    pub(crate) fn largest_fleet(&self) -> Option<&[Figures; 2]> {
        self.fleets.values().next_back()
    }

    /// One plot for each cost.
    pub(crate) fn plots(&self) -> Vec<Plot> {
        let of_clients = |(title, unit)| plot(title, "clients", unit, &self.crowds);
        let of_definitions = |(title, unit)| plot(title, "definitions", unit, &self.fleets);
        let clients = [(BESIDE, Unit::Microseconds), (HEARD, Unit::Microseconds)].map(of_clients);
        let definitions = [
            ("memory", Unit::Mebibytes),
            ("list", Unit::Microseconds),
            ("statistics", Unit::Microseconds),
            ("restart to first list", Unit::Microseconds),
        ]
        .map(of_definitions);
        clients.into_iter().chain(definitions).collect()
    }
}

fn plot(
    title: &'static str,
    of: &'static str,
    unit: Unit,
    figures: &BTreeMap<u32, [Figures; 2]>,
) -> Plot {
    let points = |side: usize| {
        let at = |(count, figures): (&u32, &[Figures; 2])| {
            (f64::from(*count), figures[side].median(title))
        };
        figures.iter().map(at).collect()
    };
    Plot { title, of, unit, stock: points(0), ours: points(1) }
}
