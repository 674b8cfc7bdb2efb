// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `make bench`: virtqemud and stock libvirtd in turn, on the same machine, with the same guest.
//!
//! Both daemons run in places of their own, the stock one unpacked beside and not installed. Rounds alternate, so that
//! whatever else the machine does falls on both; what is printed are medians and their ratios. Times of starting and
//! stopping are above those of the same QEMU, with the daemon's own arguments, run bare.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the result is for people")]
#![expect(clippy::disallowed_methods, reason = "it runs QEMU bare, and waits")]

mod bare;
mod client;
mod daemon;
mod figures;

use std::process::ExitCode;

use virtus_tests::{Backend, Outcome, obstacle};

use crate::daemon::Daemon;
use crate::figures::{Figures, Goal, print};

/// Rounds without an argument; ten is the least that a median should stand on.
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    if let Some(obstacle) = obstacle() {
        return Err(obstacle.into());
    }
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS), |word| word.parse())?;
    let mut stock = Daemon::start(Backend::stock()?, "bench-stock")?;
    let mut ours = Daemon::start(Backend::Ours, "bench-ours")?;
    let (mut of_stock, mut of_ours) = (Figures::default(), Figures::default());
    // The first round fills caches on both sides and is thrown away.
    for round in 0..=rounds {
        let (stock_round, ours_round) = (stock.round()?, ours.round()?);
        if round > 0 {
            of_stock.add(&stock_round);
            of_ours.add(&ours_round);
        }
        eprint!("\rround {round} of {rounds}");
    }
    eprintln!();
    print(&of_stock, &of_ours, rounds, GOALS);
    Ok(())
}

/// What is measured, in the order of printing, and how far ours is meant to go.
const GOALS: &[(&str, Goal)] = &[
    ("start, above bare QEMU", Goal::AtMost(60_000.0)),
    ("destroy, above QEMU's exit", Goal::AtMost(15_000.0)),
    ("define, daemon CPU", Goal::AtMost(1_000.0)),
    ("define, wall", Goal::None),
    ("round trip, raw socket", Goal::TimesLess(2.5)),
    ("round trip, daemon CPU", Goal::None),
    ("lookup by name, round trip", Goal::None),
    ("start, whole", Goal::None),
    ("bare QEMU until running", Goal::None),
    ("destroy, whole", Goal::None),
    ("bare QEMU's exit", Goal::None),
];
