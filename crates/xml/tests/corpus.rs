// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libvirt's own test documents through parse and format, byte for byte.
//!
//! The data is not part of this repository: `$VIRTUS_SHARED/corpus`, or `../shared/corpus` beside the workspace.
//! `floor.txt` holds how many cases passed; the numbers only rise. `VIRTUS_SHOW=1` prints where a case first differs.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot read its data stops; its report is its output"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use virtus_xml::reader::Warning;
use virtus_xml::{Capabilities, Domain, DomainCapabilities, FormatFlags, ParseFlags, Status};

fn corpus() -> Option<PathBuf> {
    let shared = std::env::var_os("VIRTUS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let corpus = shared.join("corpus");
    corpus.join("index.json").is_file().then_some(corpus)
}

/// One line of the report: how many of a kind pass.
#[derive(Default)]
struct Tally {
    passed: usize,
    total: usize,
}

struct Run {
    corpus: PathBuf,
    tallies: BTreeMap<String, Tally>,
}

impl Run {
    fn cases(&self, family: &str) -> Vec<Value> {
        let path = self.corpus.join("families").join(family).join("manifest.json");
        let manifest: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        manifest["cases"].as_array().unwrap().clone()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.corpus.join("data").join(path)).unwrap_or_default()
    }

    fn record(&mut self, kind: &str, name: &str, expected: &str, actual: Result<String, String>) {
        let tally = self.tallies.entry(kind.to_owned()).or_default();
        tally.total += 1;
        let first = match &actual {
            Ok(text) if text.trim_end() == expected.trim_end() => {
                tally.passed += 1;
                return;
            }
            Ok(text) => {
                let mut lines = expected.lines().zip(text.lines().chain(std::iter::repeat("")));
                lines.find(|(a, b)| a != b).map_or_else(
                    || "longer than expected".to_owned(),
                    |(a, b)| format!("-{} | +{}", a.trim(), b.trim()),
                )
            }
            Err(error) => format!("ERROR {error}"),
        };
        if std::env::var_os("VIRTUS_SHOW").is_some() {
            println!("{kind} {name}: {first}");
        }
    }
}

fn show_warnings(warnings: &[Warning]) {
    if std::env::var_os("VIRTUS_SHOW").is_some() {
        for warning in warnings {
            println!("WARNING {}", warning.text);
        }
    }
}

fn through(text: &str, parse: ParseFlags, format: FormatFlags) -> Result<String, String> {
    let mut parsed = Domain::parse(text, parse).map_err(|error| error.to_string())?;
    // The suite's chance: 0, 1, 2, …
    parsed.value.name_missing([0x52, 0x54, 0], &mut |bytes: &mut [u8]| {
        for (byte, number) in bytes.iter_mut().zip(0..) {
            *byte = number;
        }
    });
    show_warnings(&parsed.warnings);
    Ok(parsed.value.format(format | FormatFlags::SECURE))
}

#[test]
fn documents_survive_byte_for_byte() {
    let Some(corpus) = corpus() else {
        println!("skipped: no corpus at $VIRTUS_SHARED or ../shared");
        return;
    };
    let mut run = Run { corpus, tallies: BTreeMap::new() };
    let (inactive, active) = (ParseFlags::INACTIVE, ParseFlags::empty());
    for case in run.cases("qemuxmlconf") {
        if case["expect"] == "parse-error" {
            // Many are refused by QEMU's driver only.
            let refused = through(
                &run.read(case["input"]["file"].as_str().unwrap()),
                inactive,
                FormatFlags::empty(),
            );
            let actual =
                refused.map_or_else(|_| Ok("refused".to_owned()), |_| Ok("read".to_owned()));
            run.record("qemuxmlconf refused", case["name"].as_str().unwrap(), "refused", actual);
        }
        if let Some(path) = case["expected"]["xml"].as_str() {
            let text = run.read(path);
            let actual = through(&text, inactive, FormatFlags::INACTIVE);
            run.record("qemuxmlconf identity", case["name"].as_str().unwrap(), &text, actual);
        }
    }
    for case in run.cases("qemuxmlactive") {
        let name = case["name"].as_str().unwrap();
        if let Some(path) = case["expected"]["active"].as_str() {
            let text = run.read(path);
            let actual = through(&text, active, FormatFlags::empty());
            run.record("qemuxmlactive active-identity", name, &text, actual);
        }
    }
    for case in run.cases("qemuxmlactive") {
        if let (Some(live), Some(path)) =
            (case["expected"]["active"].as_str(), case["expected"]["inactive"].as_str())
        {
            let (live, expected) = (run.read(live), run.read(path));
            let actual = through(&live, active, FormatFlags::INACTIVE);
            run.record(
                "qemuxmlactive active-to-inactive",
                case["name"].as_str().unwrap(),
                &expected,
                actual,
            );
        }
    }
    for case in run.cases("genericxml2xml") {
        let name = case["name"].as_str().unwrap();
        let Some(path) = case["expected"]["xml"].as_str() else { continue };
        let input =
            run.read(case["input"].as_object().unwrap().values().next().unwrap().as_str().unwrap());
        let expected = run.read(path);
        let actual = if case["params"]["format"] == "inactive" {
            through(&input, inactive, FormatFlags::INACTIVE)
        } else {
            through(&input, active, FormatFlags::empty())
        };
        run.record("genericxml2xml xml2xml", name, &expected, actual);
    }
    for case in run.cases("qemustatus") {
        let (input, expected) = (
            run.read(case["input"]["file"].as_str().unwrap()),
            run.read(case["expected"]["file"].as_str().unwrap()),
        );
        let actual = Status::parse(&input).map_err(|error| error.to_string()).map(|parsed| {
            show_warnings(&parsed.warnings);
            parsed.value.format()
        });
        run.record("qemustatus statusxml", case["name"].as_str().unwrap(), &expected, actual);
    }
    for (family, kind) in
        [("domaincaps", "domcaps"), ("hostcaps", "caps"), ("qemucaps2xml", "caps")]
    {
        for case in run.cases(family) {
            let Some(path) = case["expected"].as_object().and_then(|roles| roles.values().next())
            else {
                continue;
            };
            let text = run.read(path.as_str().unwrap());
            let actual = if kind == "domcaps" {
                DomainCapabilities::parse(&text).map(|parsed| {
                    show_warnings(&parsed.warnings);
                    parsed.value.format()
                })
            } else {
                Capabilities::parse(&text).map(|parsed| {
                    show_warnings(&parsed.warnings);
                    parsed.value.format()
                })
            };
            let actual = actual.map_err(|error| error.to_string());
            run.record(
                &format!("{family} identity"),
                case["name"].as_str().unwrap(),
                &text,
                actual,
            );
        }
    }
    check_floor(&run);
}

/// Fails if fewer cases pass than `floor.txt` says.
fn check_floor(run: &Run) {
    let floor =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/floor.txt")).unwrap();
    let mut sunk = Vec::new();
    for (kind, tally) in &run.tallies {
        println!("{kind}: {}/{}", tally.passed, tally.total);
        let held =
            floor.lines().find_map(|line| line.strip_prefix(kind.as_str())?.strip_prefix(": "));
        let held: usize = held.map_or(0, |number| number.trim().parse().unwrap());
        if tally.passed < held {
            sunk.push(format!("{kind}: {} pass, {held} did", tally.passed));
        }
    }
    assert!(sunk.is_empty(), "fewer documents survive than before:\n{}", sunk.join("\n"));
}
