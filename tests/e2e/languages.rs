// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients in other languages: Perl's Sys::Virt, which uses libvirt's library, and the one in Go, which speaks the protocol
//! itself. (Python's stand with the topics that they test.)

use virtus_tests::{
    Done, Options, Outcome, Testbed, go_obstacle, go_program, perl_obstacle, script,
};

use crate::{Case, Skip, contains};

pub(crate) const CASES: &[Case] =
    &[("perl_finds_nothing_missing", perl), ("go_finds_nothing_missing", go)];

/// A daemon that serves the test driver, and which one it is.
fn world() -> Outcome<(Testbed, &'static str)> {
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let who = if bed.is_ours() { "ours" } else { "stock" };
    Ok((bed, who))
}

fn all_good(done: &Done) -> Outcome {
    contains(&format!("{}{}", done.out, done.err), "all good")
}

fn perl() -> Outcome {
    if let Some(reason) = perl_obstacle() {
        return Err(Skip(reason).into());
    }
    let (bed, who) = world()?;
    let script = script("perl/life.pl").display().to_string();
    all_good(&bed.run("perl", &[&script, &bed.uri_of("test", "/default"), who])?)
}

fn go() -> Outcome {
    if let Some(reason) = go_obstacle() {
        return Err(Skip(reason).into());
    }
    let program = go_program("go/life.go")?.display().to_string();
    let (bed, who) = world()?;
    all_good(&bed.run(&program, &[&bed.socket().display().to_string(), who])?)
}
