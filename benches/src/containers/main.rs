// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `make bench`, with containers: virtlxcd and stock libvirtd in turn, with the same containers.
//!
//! A container is busybox, whose first process sleeps and hears no signal but the last one: what is measured is the
//! daemon, its controllers and the kernel.

mod fleet;

use std::process::ExitCode;

use virtus_benches::{Goal, Measure, in_turn, print};
use virtus_tests::{Backend, Outcome, program};

use crate::fleet::Fleet;

/// Rounds without an argument; ten is the least that a median should stand on.
const ROUNDS: usize = 10;

fn main() -> ExitCode {
    program(run)
}

fn run() -> Outcome {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |word| word.parse())?;
    let mut fleets = [Fleet::start(Backend::stock_of_containers()?)?, Fleet::start(Backend::Ours)?];
    let figures = in_turn(&mut fleets, rounds, Fleet::round)?;
    print(&figures, &format!("medians of {rounds} rounds in turn"), MEASURES);
    Ok(())
}

/// What is measured, in the order of printing, and how far ours is meant to go.
const MEASURES: &[Measure] = &[
    Measure::time("start", Goal::AtMost(30_000.0)),
    Measure::time("destroy", Goal::AtMost(30_000.0)),
    Measure::time("start, with a network card", Goal::None),
    Measure::time("destroy, with a network card", Goal::None),
    Measure::memory("a controller alone, PSS", Goal::None),
    Measure::time("100 started at once", Goal::AtMost(3_000_000.0)),
    Measure::time("100 destroyed at once", Goal::None),
    Measure::memory("a controller of 100, PSS", Goal::AtMost(2.0)),
];
