// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libvirt's own test data against completion and planning: domain XML to inactive XML and to command lines.
//!
//! The data is not part of this repository: `$VIRTUS_SHARED/corpus`, or `../shared/corpus` beside the workspace.
//! `floor.txt` holds how many cases passed; the numbers only rise. `VIRTUS_SHOW=1` prints where each case first
//! differs, `VIRTUS_CASE=name` runs one case (or all whose names begin so) and prints the whole difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data stops")]

mod corpus {
    pub(super) mod case;
    pub(super) mod surroundings;
}

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use corpus::case::{Case, Outcome};

fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("VIRTUS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let corpus = shared.join("corpus");
    corpus.join("index.json").is_file().then_some(corpus)
}

#[test]
fn domains_become_the_command_lines_of_libvirt() {
    let Some(corpus) = data() else {
        println!("skipped: no corpus beside the repository");
        return;
    };
    let wanted = std::env::var("VIRTUS_CASE").ok();
    let show = std::env::var_os("VIRTUS_SHOW").is_some() || wanted.is_some();
    let mut tallies: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut run = corpus::surroundings::Surroundings::new(corpus);
    for case in Case::all(&run) {
        if wanted.as_ref().is_some_and(|wanted| !case.name.starts_with(wanted.as_str())) {
            continue;
        }
        for Outcome { kind, difference } in case.run(&mut run) {
            let x86 = case.name.contains(".x86_64-latest");
            let names =
                [format!("qemuxmlconf {kind}"), format!("qemuxmlconf {kind} x86_64-latest")];
            for name in &names[..1 + usize::from(x86)] {
                let tally = tallies.entry(name.clone()).or_default();
                tally.1 += 1;
                tally.0 += usize::from(difference.is_empty());
            }
            if show && !difference.is_empty() {
                let shown: Vec<&str> = match wanted {
                    Some(_) => difference.lines().collect(),
                    None => difference.lines().take(2).collect(),
                };
                println!(
                    "{kind} {}: {}",
                    case.name,
                    shown.join(if wanted.is_some() { "\n  " } else { " | " })
                );
            }
        }
    }
    for (name, (passed, total)) in &tallies {
        println!("{name}: {passed}/{total}");
    }
    if wanted.is_some() {
        return;
    }
    let floors =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/floor.txt"));
    for line in floors.unwrap().lines() {
        let (name, floor) = line.rsplit_once(": ").unwrap();
        let passed = tallies.get(name).map_or(0, |tally| tally.0);
        assert!(passed >= floor.parse().unwrap(), "{name} fell from {floor} to {passed}");
    }
}
