// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `make bench`, with guests: virtqemud and stock libvirtd in turn, on the same machine, with the same guest.
//!
//! Both daemons run in places of their own, the stock one unpacked beside and not installed. Rounds alternate, so that
//! whatever else the machine does falls on both; what is printed are medians and their ratios. Times of starting and
//! stopping are above those of the same QEMU, with the daemon's own arguments, run bare.
#![expect(clippy::disallowed_methods, reason = "it runs QEMU bare, and waits")]

mod bare;
mod daemon;

use std::process::ExitCode;

use virtus_benches::{Goal, Measure, in_turn, print};
use virtus_tests::{Backend, Outcome, program};

use crate::daemon::Daemon;

/// Rounds without an argument; ten is the least that a median should stand on.
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    program(run)
}

fn run() -> Outcome {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |word| word.parse())?;
    let stock = Daemon::start(Backend::stock()?, "bench-stock")?;
    let ours = Daemon::start(Backend::Ours, "bench-ours")?;
    let figures = in_turn(&mut [stock, ours], rounds, Daemon::round)?;
    print(&figures, &format!("medians of {rounds} rounds in turn"), MEASURES);
    Ok(())
}

/// What is measured, in the order of printing, and how far ours is meant to go.
const MEASURES: &[Measure] = &[
    Measure::time("start, above bare QEMU", Goal::AtMost(60_000.0)),
    Measure::time("destroy, above QEMU's exit", Goal::AtMost(15_000.0)),
    Measure::time("define, daemon CPU", Goal::AtMost(1_000.0)),
    Measure::time("define, wall", Goal::None),
    Measure::time("round trip, raw socket", Goal::TimesLess(2.5)),
    Measure::time("round trip, daemon CPU", Goal::None),
    Measure::time("lookup by name, round trip", Goal::None),
    Measure::time("start, whole", Goal::None),
    Measure::time("bare QEMU until running", Goal::None),
    Measure::time("destroy, whole", Goal::None),
    Measure::time("bare QEMU's exit", Goal::None),
];
