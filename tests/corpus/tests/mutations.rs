// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Damaged documents: what libvirt's grammars accept and refuse, our schemas do.
//!
//! Valid documents of the golden data are damaged in one place each, and `xmllint` and we are asked; `xmllint` also
//! with the grammars that we emit. Skipped without
//! the data, without `xmllint` or without libvirt's grammars. `VIRTUS_SHOW=1` prints where the answers differ;
//! `VIRTUS_EVERY=1` damages every document and not only some.
#![expect(
    clippy::disallowed_methods,
    reason = "a test that runs xmllint on files of its own, none of which must survive"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use virtus_corpus::{Case, Corpus};
use virtus_xml::schema::Document;

const GRAMMARS: &str = "/usr/share/libvirt/schemas";
/// How many documents of one schema are damaged, and in how many places.
const DOCUMENTS: usize = 150;
const PLACES: usize = 10;
/// Per cent of equal answers, below which the test fails.
const FLOOR: usize = 84;
/// The same for the grammars that we emit and our own check.
const CONSISTENT: usize = 93;

/// A deterministic stream of numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides.max(1)
    }
}

/// A damaged document and what was done to it.
struct Mutant {
    text: String,
    what: String,
}

/// Damages `text` in one place.
fn damage(text: &str, dice: &mut Dice) -> Option<Mutant> {
    let tree = roxmltree::Document::parse(text).ok()?;
    let elements: Vec<_> = tree.descendants().filter(roxmltree::Node::is_element).collect();
    let node = elements[dice.roll(elements.len())];
    let in_metadata = node.ancestors().any(|up| up.tag_name().name() == "metadata");
    if in_metadata {
        return None;
    }
    let path: Vec<&str> = node
        .ancestors()
        .filter(roxmltree::Node::is_element)
        .map(|up| up.tag_name().name())
        .collect();
    let path = path.iter().rev().copied().collect::<Vec<_>>().join("/");
    let range = node.range();
    let name_end = range.start
        + text[range.clone()].find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'))?;
    let name_end = if text.as_bytes()[range.start + 1] == b'/' { return None } else { name_end };
    let attrs: Vec<_> = node.attributes().filter(|attr| attr.namespace().is_none()).collect();
    let attr = (!attrs.is_empty()).then(|| attrs[dice.roll(attrs.len())]);
    let splice =
        |from: usize, to: usize, with: &str| format!("{}{with}{}", &text[..from], &text[to..]);
    let (text, what) = match (dice.roll(8), attr) {
        (0 | 1, Some(attr)) => {
            let value = ["bogus!", "", "-7", "99999999999999999999", "0x1g"][dice.roll(5)];
            let at = attr.range_value();
            (
                splice(at.start, at.end, value),
                format!("@{}={value} for {}", attr.name(), attr.value()),
            )
        }
        (2, Some(attr)) => {
            let at = attr.range();
            (splice(at.start, at.end, ""), format!("no @{}", attr.name()))
        }
        (3, Some(attr)) => {
            let at = attr.range();
            (splice(at.start, at.start, "x"), format!("@x{}", attr.name()))
        }
        (4, _) => (splice(name_end, name_end, " bogus='1'"), "@bogus".to_owned()),
        (5, _) if node.parent_element().is_some() => {
            (splice(range.start, range.end, ""), "no element".to_owned())
        }
        (6, _) if node.parent_element().is_some() => {
            (splice(range.start, range.start, &text[range.clone()]), "twice".to_owned())
        }
        (7, _) => {
            let only_text = node.children().all(|child| child.is_text()) && node.has_children();
            if only_text {
                let at = node.first_child()?.range();
                let value = ["bogus!", "", "-7", "99999999999999999999"][dice.roll(4)];
                (splice(at.start, at.end, value), format!("text {value}"))
            } else {
                (splice(name_end, name_end, " xmlns='urn:x'"), "other namespace".to_owned())
            }
        }
        _ => return None,
    };
    Some(Mutant { text, what: format!("{path}: {what}") })
}

/// Which of the files `xmllint` accepts.
fn lint(grammar: &Path, folder: &Path, count: usize) -> Option<Vec<bool>> {
    let names = (0..count).map(|number| format!("{number}.xml"));
    let out = Command::new("xmllint")
        .arg("--noout")
        .arg("--relaxng")
        .arg(grammar)
        .args(names)
        .current_dir(folder)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let mut accepted = vec![false; count];
    for line in said.lines() {
        if let Some(name) = line.strip_suffix(" validates") {
            accepted[name.trim_end_matches(".xml").parse::<usize>().ok()?] = true;
        }
    }
    Some(accepted)
}

#[test]
fn damaged_documents_are_judged_as_by_the_grammars() {
    let Some(corpus) = Corpus::beside() else { return };
    if !Path::new(GRAMMARS).exists() || Command::new("xmllint").arg("--version").output().is_err() {
        println!("skipped: xmllint or {GRAMMARS} is not there");
        return;
    }
    let mut schemas: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in corpus.cases("schemas").unwrap() {
        if case.kinds == ["accepts"] {
            schemas.entry(case.param("schema").unwrap().to_owned()).or_default().push(case);
        }
    }
    let (show, every) = (std::env::var_os("VIRTUS_SHOW"), std::env::var_os("VIRTUS_EVERY"));
    let mut sunk = Vec::new();
    for (name, cases) in schemas {
        let Some(document) = Document::named(&name) else { continue };
        let folder =
            std::env::temp_dir().join(format!("virtus-mutations-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let step = if every.is_some() { 1 } else { cases.len().div_ceil(DOCUMENTS) };
        let mut dice = Dice(7);
        let mut mutants = Vec::new();
        for case in cases.iter().step_by(step) {
            let text = case.read(&corpus).unwrap();
            mutants.extend((0..PLACES).filter_map(|_| damage(&text, &mut dice)));
        }
        for (number, mutant) in mutants.iter().enumerate() {
            fs::write(folder.join(format!("{number}.xml")), &mutant.text).unwrap();
        }
        let theirs = lint(&Path::new(GRAMMARS).join(format!("{name}.rng")), &folder, mutants.len());
        fs::write(folder.join("ours.rng"), document.grammar()).unwrap();
        let emitted = lint(Path::new("ours.rng"), &folder, mutants.len()).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let (mut agreed, mut consistent) = (0, 0);
        for ((mutant, theirs), emitted) in mutants.iter().zip(theirs.unwrap()).zip(emitted) {
            let ours = document.validate(&mutant.text);
            if ours.is_ok() == emitted {
                consistent += 1;
            } else if show.is_some() {
                println!("{name} {}: our grammar answers {emitted}, we do not", mutant.what);
            }
            if ours.is_ok() == theirs {
                agreed += 1;
            } else if show.is_some() {
                let said =
                    ours.err().map_or("we accept".to_owned(), |error| error.text().to_owned());
                println!("{name} {}: {said}", mutant.what);
            }
        }
        let per_cent = agreed * 100 / mutants.len().max(1);
        println!("{name}: {agreed} of {} judged alike: {per_cent} %", mutants.len());
        let of_grammar = consistent * 100 / mutants.len().max(1);
        println!("{name}: our grammar and our check agree on {of_grammar} %");
        if per_cent < FLOOR || of_grammar < CONSISTENT {
            sunk.push(name);
        }
    }
    assert!(sunk.is_empty(), "less than {FLOOR} % are judged alike: {}", sunk.join(", "));
}
