// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `schemas.json`: which documents libvirt's grammars accept and refuse; our schemas must agree.
//!
//! It is no family of the data, but is run as if it were one: one case for each document of its folders.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use virtus_xml::schema::Document;

use crate::Verdict;
use crate::case::{Case, Corpus};

/// The name under which it is run.
pub(crate) const FAMILY: &str = "schemas";

/// One case for each document that an entry names.
pub(crate) fn cases(corpus: &Corpus, listing: &Value) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for entry in listing["entries"].as_array().into_iter().flatten() {
        let dir = entry["dir"].as_str().unwrap_or_default();
        let schema = entry["schema"].as_str().unwrap_or_default().trim_end_matches(".rng");
        let listed = |name: &str| -> BTreeSet<&str> {
            entry[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let (inverted, skip) = (listed("inverted"), listed("skip"));
        for name in corpus.names(dir) {
            if !name.ends_with(".xml") || skip.contains(name.as_str()) {
                continue;
            }
            let refused = name.contains("-invalid.") != inverted.contains(name.as_str());
            let path = format!("{dir}/{name}");
            let kind = if refused { "refuses" } else { "accepts" };
            cases.push(Case {
                family: FAMILY.to_owned(),
                name: format!("{schema}/{path}"),
                kinds: vec![kind.to_owned()],
                expect: "ok".to_owned(),
                params: json!({ "schema": schema }),
                input: json!({ "xml": path }),
                expected: Value::Null,
            });
        }
    }
    Ok(cases)
}

fn validate(corpus: &Corpus, case: &Case) -> Result<Result<(), String>, String> {
    let text = case.read(corpus)?;
    let schema = case.param("schema").unwrap_or_default();
    let document = Document::named(schema).ok_or("there is no such schema yet")?;
    Ok(document.validate(&text).map_err(|error| error.text().to_owned()))
}

pub(super) fn accepts(corpus: &Corpus, case: &Case) -> Verdict {
    validate(corpus, case)?
}

pub(super) fn refuses(corpus: &Corpus, case: &Case) -> Verdict {
    match validate(corpus, case)? {
        Ok(()) => Err("accepted".to_owned()),
        Err(_) => Ok(()),
    }
}
