// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `make bench`, without guests: libvirtd and stock libvirtd in turn, over raw sockets.
//!
//! Small calls and events are measured on `test:///default`, a fleet on 10,000 definitions that both daemons find at their
//! start. Rounds alternate, so that whatever else the machine does falls on both. The fleet's rounds take minutes of
//! the stock daemon, so there are fewer of them.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the result is for people")]
#![expect(clippy::disallowed_methods, reason = "it waits, and writes files that need not last")]

mod calls;
mod fleet;

use std::process::ExitCode;

use virtus_benches::{Figures, Goal, Measure, print};
use virtus_tests::{Backend, Outcome, obstacle};

use crate::calls::Calls;

/// Rounds without an argument; ten is the least that a median should stand on.
const ROUNDS: usize = 10;

/// Rounds of the fleet.
const FLEET_ROUNDS: usize = 1;

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
    let (mut of_stock, mut of_ours) = (Figures::default(), Figures::default());
    let mut stock = Calls::start(Backend::stock()?)?;
    let mut ours = Calls::start(Backend::Ours)?;
    // The first round fills caches on both sides and is thrown away.
    for round in 0..=rounds {
        let (stock_round, ours_round) = (stock.round()?, ours.round()?);
        if round > 0 {
            of_stock.add(&stock_round);
            of_ours.add(&ours_round);
        }
        eprint!("\rround {round} of {rounds}");
    }
    drop((stock, ours));
    for round in 1..=FLEET_ROUNDS {
        of_stock.add(&fleet::round(Backend::stock()?)?);
        of_ours.add(&fleet::round(Backend::Ours)?);
        eprint!("\rfleet round {round} of {FLEET_ROUNDS}");
    }
    eprintln!();
    print(&of_stock, &of_ours, rounds, MEASURES);
    println!("\nthe fleet's: {FLEET_ROUNDS} round(s)");
    Ok(())
}

/// What is measured, in the order of printing, and how far ours is meant to go.
const MEASURES: &[Measure] = &[
    Measure::time("round trip", Goal::TimesLess(3.5)),
    Measure::time("daemon CPU per call", Goal::TimesLess(6.0)),
    Measure::time("8 clients, time per call", Goal::TimesLess(3.0)),
    Measure::time("64 clients, time per call", Goal::TimesLess(3.0)),
    Measure::time("a call beside 1000 idle clients", Goal::TimesLess(40.0)),
    Measure::time("event to one client", Goal::TimesLess(3.0)),
    Measure::time("event to the last of 100", Goal::TimesLess(6.0)),
    Measure::memory("memory, idle", Goal::TimesLess(4.0)),
    Measure::time("restart to first list, 10,000", Goal::TimesLess(25.0)),
    Measure::time("list of 10,000", Goal::TimesLess(3.0)),
    Measure::time("statistics of 10,000", Goal::TimesLess(8.0)),
    Measure::memory("memory with 10,000", Goal::TimesLess(4.0)),
];
