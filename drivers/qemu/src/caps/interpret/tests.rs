// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Recorded conversations lead to the caches that libvirt makes of them.

use std::path::Path;

use super::*;

/// Conversations as the corpus keeps them: the command and its reply in turns, apart by blank lines; a
/// second `qmp_capabilities` starts the second process.
fn conversations(path: &Path) -> Vec<Replies> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut documents = text.split("\n\n").filter(|part| !part.trim().is_empty());
    let mut all: Vec<Replies> = Vec::new();
    while let (Some(command), Some(reply)) = (documents.next(), documents.next()) {
        let command: Value = serde_json::from_str(command).unwrap();
        let mut reply: Value = serde_json::from_str(reply).unwrap();
        let name = command["execute"].as_str().unwrap();
        if name == "qmp_capabilities" {
            all.push(Replies::default());
        } else if let Some(value) = reply.get_mut("return") {
            all.last_mut().unwrap().insert(name, command.get("arguments"), value.take());
        }
    }
    all
}

fn compare(path: &Path) -> Result<(), String> {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let expected = std::fs::read_to_string(path.with_extension("xml")).unwrap();
    let wanted = Capabilities::from_cache_xml(&expected).unwrap();
    let replies = conversations(path);
    let circumstances = Circumstances { hvf: name.ends_with("+hvf") };
    let mut caps = Capabilities::from_replies(&replies[0], replies.get(1), circumstances);
    caps.binary.clone_from(&wanted.binary);
    caps.microcode = wanted.microcode;
    let difference = |a: &FlagSet, b: &FlagSet| {
        a.iter().filter(|flag| !b.has(*flag)).map(Flag::name).collect::<Vec<_>>()
    };
    let (missing, extra) =
        (difference(&wanted.flags, &caps.flags), difference(&caps.flags, &wanted.flags));
    if !missing.is_empty() || !extra.is_empty() {
        return Err(format!("{name}: missing {missing:?}, too many {extra:?}"));
    }
    let found = caps.to_cache_xml();
    let first = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    match first {
        Some((found, expected)) => Err(format!("{name}: found {found}, expected {expected}")),
        None if found != expected => Err(format!("{name}: the end differs")),
        None => Ok(()),
    }
}

#[test]
fn answers_of_the_corpus_give_the_caches_of_the_corpus() {
    let Some(folder) = crate::corpus::folder("qemucapabilitiesdata") else { return };
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "replies") {
            failures.extend(compare(&path).err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_binary_that_answers_nothing_can_do_nothing() {
    let caps = Capabilities::from_replies(&Replies::default(), None, Circumstances::default());
    assert!(caps.flags.is_empty());
    assert!(caps.accelerator(Accel::Tcg).unwrap().machines.is_empty());
}
