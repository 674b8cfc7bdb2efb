// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The whole-system tests: the stock clients against a real daemon and real guests.
//!
//! One file per topic; each test makes its own testbed and shares nothing with the others, so that they run side by
//! side and in any order. `VIRTUS_TEST_BACKEND=stock` runs them against stock libvirtd.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start programs and wait; no daemon's process table is near"
)]

mod access;
mod acl;
mod admin;
mod cgroup2;
mod client;
mod companions;
mod container_disks;
mod container_gifts;
mod containers;
mod daemon;
mod deployment;
mod differential;
mod errors;
mod events;
mod failed_start;
mod flaws;
mod fleet;
mod guests;
mod hang;
mod hooks;
mod images;
mod kerberos;
mod kvm;
mod languages;
mod leftovers;
mod life;
mod locks;
mod logs;
mod managers;
mod native;
mod networks;
mod objects;
mod packages;
mod peripherals;
mod polkit;
mod proxy;
mod queries;
mod remote;
mod scale;
mod secrets;
mod soak;
mod storage;
mod survival;
mod switches;
mod systemd;
mod testdriver;
mod transcripts;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
pub(crate) use virtus_tests::Skip;
use virtus_tests::{Outcome, obstacle};

/// A test: its name, and what it does.
type Case = (&'static str, fn() -> Outcome);

const TOPICS: &[(&str, &[Case])] = &[
    // First, since it may have to wait for an archive of packages.
    ("systemd", systemd::CASES),
    ("deployment", deployment::CASES),
    ("life", life::CASES),
    ("locks", locks::CASES),
    ("logs", logs::CASES),
    ("native", native::CASES),
    ("events", events::CASES),
    ("storage", storage::CASES),
    ("soak", soak::CASES),
    ("survival", survival::CASES),
    ("flaws", flaws::CASES),
    ("hang", hang::CASES),
    ("hooks", hooks::CASES),
    ("failed_start", failed_start::CASES),
    ("errors", errors::CASES),
    ("access", access::CASES),
    ("acl", acl::CASES),
    ("client", client::CASES),
    ("languages", languages::CASES),
    ("containers", containers::CASES),
    ("fleet", fleet::CASES),
    ("cgroup2", cgroup2::CASES),
    ("networks", networks::CASES),
    ("switches", switches::CASES),
    ("companions", companions::CASES),
    ("guests", guests::CASES),
    ("container_gifts", container_gifts::CASES),
    ("container_disks", container_disks::CASES),
    ("admin", admin::CASES),
    ("daemon", daemon::CASES),
    ("queries", queries::CASES),
    ("remote", remote::CASES),
    ("kerberos", kerberos::CASES),
    ("polkit", polkit::CASES),
    ("managers", managers::CASES),
    ("proxy", proxy::CASES),
    ("peripherals", peripherals::CASES),
    ("images", images::CASES),
    ("objects", objects::CASES),
    ("scale", scale::CASES),
    ("secrets", secrets::CASES),
    ("testdriver", testdriver::CASES),
    ("kvm", kvm::CASES),
    ("leftovers", leftovers::CASES),
    ("packages", packages::CASES),
];

fn main() -> ExitCode {
    if let Ok(uri) = std::env::var(client::APPLICATION) {
        return client::application(&uri);
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (topic, cases) in TOPICS {
        for (name, test) in *cases {
            trials.push(trial(format!("{topic}::{name}"), *test));
        }
    }
    for name in transcripts::names() {
        trials.push(trial(format!("transcripts::{name}"), move || transcripts::replay(&name)));
    }
    for name in packages::names() {
        trials.push(trial(format!("packages::{name}"), move || packages::replay(&name)));
    }
    for name in differential::names() {
        trials.push(trial(format!("differential::{name}"), move || differential::compare(&name)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What the files with this end in a folder are called, sorted.
fn names_in(folder: &Path, end: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(end).map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// A test as the library runs it. One that fails has a second try: whole systems under a deadline, on a machine that others
/// may keep busy, are not worth a failed run each time. The summary names it all the same, as unsteady.
#[expect(clippy::print_stdout, reason = "the summary of a run collects it")]
fn trial(name: String, test: impl Fn() -> Outcome + Send + 'static) -> Trial {
    Trial::ignorable_test(name.clone(), move || {
        if let Some(reason) = obstacle() {
            return Ok(Completion::ignored_with(reason));
        }
        let outcome = test().or_else(|first| {
            if first.is::<Skip>() {
                return Err(first);
            }
            println!("unsteady: {name}: {}", first.to_string().replace('\n', " "));
            test()
        });
        match outcome {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => match error.downcast::<Skip>() {
                Ok(skip) => Ok(Completion::ignored_with(skip)),
                Err(error) => Err(Failed::from(error.to_string())),
            },
        }
    })
}

/// Fails with both texts unless `text` contains `part`.
fn contains(text: &str, part: &str) -> Outcome {
    if text.contains(part) { Ok(()) } else { Err(format!("no `{part}` in:\n{text}").into()) }
}

/// Fails with both values unless they are equal; says what was compared.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Outcome {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {found:?} instead of {wanted:?}").into())
    }
}
