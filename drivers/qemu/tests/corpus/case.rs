// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One case of the family `qemuxmlconf` and the comparison of what came out.

use serde_json::Value;
use virtus_qemu::{complete, plan};
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use super::surroundings::{Surroundings, context, defaults, prepare};

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    value: Value,
}

/// What came of one kind of check; an empty difference is a pass.
pub(crate) struct Outcome {
    pub(crate) kind: &'static str,
    pub(crate) difference: String,
}

impl Case {
    pub(crate) fn all(run: &Surroundings) -> Vec<Self> {
        let path = run.corpus.join("families/qemuxmlconf/manifest.json");
        let manifest: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = manifest["cases"].as_array().unwrap();
        cases
            .iter()
            .map(|case| Self {
                name: case["name"].as_str().unwrap().to_owned(),
                value: case.clone(),
            })
            .collect()
    }

    pub(crate) fn run(&self, run: &mut Surroundings) -> Vec<Outcome> {
        let case = &self.value;
        let caps = run.capabilities(&case["params"]);
        let text = run.read(case["input"]["file"].as_str().unwrap());
        let defaults = defaults(run, &case["params"]);
        let mut flags = ParseFlags::INACTIVE;
        if defaults.abi_update {
            flags |= ParseFlags::ABI_UPDATE;
        }
        let completed = Domain::parse(&text, flags).and_then(|parsed| {
            let mut domain = parsed.value;
            domain.name_missing([0x52, 0x54, 0], &mut |bytes: &mut [u8]| {
                for (byte, number) in bytes.iter_mut().zip(0..) {
                    *byte = number;
                }
            });
            complete::complete(&mut domain, &caps, &defaults)?;
            Ok(domain)
        });
        let mut out = Vec::new();
        if case["expect"] == "parse-error" {
            let difference = completed.map_or(String::new(), |_| "accepted".to_owned());
            out.push(Outcome { kind: "xml-parse-error", difference });
            return out;
        }
        let domain = match completed {
            Ok(domain) => domain,
            Err(error) => {
                out.push(Outcome { kind: "xml2xml", difference: format!("ERROR {error}") });
                if case["expect"] == "ok" {
                    out.push(Outcome { kind: "xml2argv", difference: format!("ERROR {error}") });
                }
                return out;
            }
        };
        let expected = run.read(case["expected"]["xml"].as_str().unwrap());
        let actual = domain.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
        out.push(Outcome { kind: "xml2xml", difference: lines(&expected, &actual) });
        let line = command_line(domain, &caps, &case["params"]);
        if case["expect"] == "config-error" {
            let difference = line.map_or(String::new(), |_| "accepted".to_owned());
            out.push(Outcome { kind: "xml2argv-error", difference });
            return out;
        }
        let expected = run.read(case["expected"]["argv"].as_str().unwrap());
        let difference = match line {
            Ok(actual) => lines(&options(&words(&expected)), &options(&actual)),
            Err(error) => format!("ERROR {error}"),
        };
        out.push(Outcome { kind: "xml2argv", difference });
        out
    }
}

fn command_line(
    mut domain: Domain,
    caps: &virtus_qemu::caps::Capabilities,
    params: &Value,
) -> Result<Vec<String>, virtus_api::Error> {
    prepare(&mut domain, params);
    plan::live(&mut domain)?;
    let cx = context(&domain, params);
    let line = plan::command_line(&domain, caps, &cx)?;
    let mut words = vec!["LC_ALL=C".to_owned(), "PATH=/bin".to_owned()];
    let mut env = line.env.into_iter();
    let set =
        |(name, value): (String, Option<String>)| format!("{name}={}", value.unwrap_or_default());
    words.extend(env.next().map(set));
    words.extend(["USER=test".to_owned(), "LOGNAME=test".to_owned()]);
    words.extend(env.map(set));
    words.push(line.program);
    words.extend(line.args);
    Ok(words)
}

/// Splits as a POSIX shell does.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_with(String::new);
                word.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '"' => {
                let word = word.get_or_insert_with(String::new);
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => word.extend(chars.next()),
                        other => word.push(other),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(other) => word.get_or_insert_with(String::new).push(other),
            },
            c if c.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_with(String::new).push(other),
        }
    }
    words.extend(word);
    words
}

/// One option for each line.
fn options(words: &[String]) -> String {
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(if word.starts_with('-') || word.contains('=') && !out.contains("\n/usr") {
                '\n'
            } else {
                ' '
            });
        }
        out.push_str(word);
    }
    out
}

/// The lines that only one side has, in order.
fn lines(expected: &str, actual: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) =
        (expected.trim_end().lines().collect(), actual.trim_end().lines().collect());
    if a == b {
        return String::new();
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            i += 1;
            j += 1;
            continue;
        }
        // The nearest line at which both sides go on alike.
        let ahead = (1..40).find_map(|sum| {
            (0..=sum).find_map(|di| {
                let dj = sum - di;
                let same = i + di < a.len() && j + dj < b.len() && a[i + di] == b[j + dj];
                same.then_some((di, dj))
            })
        });
        let (di, dj) = ahead.unwrap_or((a.len() - i, b.len() - j));
        for line in &a[i..i + di] {
            out.push_str(&format!("- {}\n", line.trim()));
        }
        for line in &b[j..j + dj] {
            out.push_str(&format!("+ {}\n", line.trim()));
        }
        i += di;
        j += dj;
    }
    out
}
