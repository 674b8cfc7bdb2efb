// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `make bench`, without guests: libvirtd and stock libvirtd in turn, over raw sockets.
//!
//! Small calls and events are measured on `test:///default`, the data of volumes on what each daemon keeps in files, a fleet
//! on up to 10,000 definitions that both find at their start. Rounds alternate, so that whatever else the machine does
//! falls on both. How costs grow takes minutes and is measured in fewer rounds; a second argument names the file to draw
//! it into.
#![expect(clippy::disallowed_methods, reason = "it waits, and writes files that need not last")]

mod calls;
mod fleet;
mod growth;
mod rest;
mod volumes;

use std::process::ExitCode;

use virtus_benches::{Goal, Measure, draw, in_turn, print};
use virtus_tests::{Backend, Outcome, program};

use crate::calls::Calls;
use crate::growth::Growth;
use crate::volumes::Volumes;

/// Rounds without an argument; ten is the least that a median should stand on.
const ROUNDS: usize = 10;

/// Rounds of each point of a plot.
const GROWTH_ROUNDS: usize = 3;

fn main() -> ExitCode {
    program(run)
}

fn run() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(ROUNDS), |word| word.parse())?;
    let backends = [Backend::stock()?, Backend::Ours];
    let [stock, ours] = backends.clone().map(Calls::start);
    let mut daemons = [stock?, ours?];
    let figures = in_turn(&mut daemons, rounds, Calls::round)?;
    print(&figures, &format!("medians of {rounds} rounds in turn"), CALLS);
    print(&figures, "\nmemory of these daemons", MEMORY);
    let figures = in_turn(&mut daemons, rounds, Calls::loaded_round)?;
    print(&figures, &format!("\nevery core busy, medians of {rounds} rounds in turn"), CALLS);
    drop(daemons);
    let [stock, ours] = backends.clone().map(Volumes::start);
    let figures = in_turn(&mut [stock?, ours?], rounds, Volumes::round)?;
    print(&figures, &format!("\nvolumes, medians of {rounds} rounds in turn"), VOLUMES);
    let growth = Growth::of(&backends, rounds.min(GROWTH_ROUNDS))?;
    if let Some(figures) = growth.largest_fleet() {
        print(figures, "\n10,000 definitions, medians of the plot's rounds", FLEET);
    }
    if let Some(picture) = arguments.next() {
        std::fs::write(picture, draw(&growth.plots()))?;
    }
    Ok(())
}

/// What is measured, in the order of printing, and how far ours is meant to go.
const CALLS: &[Measure] = &[
    Measure::time("round trip", Goal::TimesLess(3.5)),
    Measure::time("daemon CPU per call", Goal::TimesLess(6.0)),
    Measure::time("8 clients, time per call", Goal::TimesLess(3.0)),
    Measure::time("64 clients, time per call", Goal::TimesLess(3.0)),
    Measure::time("a call beside 1000 idle clients", Goal::TimesLess(40.0)),
    Measure::time("event to one client", Goal::TimesLess(3.0)),
    Measure::time("event to the last of 100", Goal::TimesLess(6.0)),
];

/// What the daemons hold when nobody wants anything of them.
const MEMORY: &[Measure] = &[
    Measure::memory("memory, freshly started", Goal::TimesLess(4.0)),
    Measure::memory("of that, in no file", Goal::None),
    Measure::memory("memory, between rounds", Goal::TimesLess(4.0)),
];

/// What the data of a volume costs.
const VOLUMES: &[Measure] = &[
    Measure::throughput("volume upload", Goal::TimesLess(2.0)),
    Measure::throughput("volume download", Goal::TimesLess(2.0)),
    Measure::time("daemon CPU per MB, upload", Goal::TimesLess(3.0)),
    Measure::time("daemon CPU per MB, download", Goal::TimesLess(3.0)),
];

/// What the largest fleet costs.
const FLEET: &[Measure] = &[
    Measure::time("restart to first list", Goal::TimesLess(25.0)),
    Measure::time("list", Goal::TimesLess(3.0)),
    Measure::time("statistics", Goal::TimesLess(8.0)),
    Measure::memory("memory", Goal::TimesLess(4.0)),
];
