// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Real containers of busybox under the real controller. They need root and a kernel with namespaces and control
//! groups; where those are missing they are skipped, and say so.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare itself stops")]

mod bed;
mod boundary;
mod console;
mod first_process;
mod hostile;
mod life;
mod limits;
mod network;
mod storage;
mod unwind;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// What a test ends with; an error says what was found instead.
type Outcome = Result<(), String>;

/// A test: its name, and what it does.
type Case = (&'static str, fn() -> Outcome);

const TOPICS: &[(&str, &[Case])] = &[
    ("first_process", first_process::CASES),
    ("life", life::CASES),
    ("console", console::CASES),
    ("storage", storage::CASES),
    ("network", network::CASES),
    ("limits", limits::CASES),
    ("unwind", unwind::CASES),
    ("boundary", boundary::CASES),
    ("hostile", hostile::CASES),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (topic, cases) in TOPICS {
        for (name, test) in *cases {
            trials.push(trial(format!("{topic}::{name}"), *test));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test as the library runs it; like a whole-system test it has a second try, and is named as unsteady then.
#[expect(clippy::print_stdout, reason = "the summary of a run collects it")]
fn trial(name: String, test: fn() -> Outcome) -> Trial {
    Trial::ignorable_test(name.clone(), move || {
        if let Some(reason) = bed::obstacle() {
            return Ok(Completion::ignored_with(reason));
        }
        let outcome = test().or_else(|first| {
            println!("unsteady: {name}: {}", first.replace('\n', " "));
            test()
        });
        outcome.map(|()| Completion::Completed).map_err(Failed::from)
    })
}

/// Fails with both texts unless `text` contains `part`.
fn contains(text: &str, part: &str) -> Outcome {
    if text.contains(part) { Ok(()) } else { Err(format!("no `{part}` in:\n{text}")) }
}

/// Fails with both values unless they are equal; says what was compared.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Outcome {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?} instead of {wanted:?}")) }
}
