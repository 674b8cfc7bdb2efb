// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The generated enums, flags and parameter names, and the error numbers, against independent facts
//! about libvirt, where those are at hand (`$VIRTUS_SHARED`, or `../shared` beside the workspace).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::generated::c_names::{ENUMS, PARAMS};
use crate::{ErrorCode, ErrorDomain};

fn read(name: &str) -> Option<Value> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("VIRTUS_SHARED").map_or(beside, PathBuf::from);
    let path = folder.join("protocol").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no facts at {}", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn numbers(of: &Value) -> BTreeMap<&str, i64> {
    let members = of.as_object().unwrap().iter();
    members.map(|(name, value)| (name.as_str(), value.as_i64().unwrap())).collect()
}

#[test]
fn enums_and_flags_have_libvirts_members() {
    let Some(facts) = read("api.json") else { return };
    let ours: BTreeMap<&str, _> = ENUMS.iter().copied().collect();
    assert_eq!(ours.len(), ENUMS.len(), "an enum stands twice");
    let mut compared = 3;
    for module in facts["modules"].as_object().unwrap().values() {
        for (name, members) in module["enums"].as_object().unwrap() {
            if matches!(name.as_str(), "virErrorNumber" | "virErrorDomain" | "virErrorLevel") {
                continue;
            }
            let mut members = numbers(members);
            // The mark of the end is the greatest; ADD_LAST is a member like any other.
            let end = members.values().max().copied();
            members.retain(|member, number| !(member.ends_with("_LAST") && Some(*number) == end));
            if members.is_empty() {
                continue;
            }
            let found = ours.get(name.as_str()).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(found.iter().copied().collect::<BTreeMap<_, _>>(), members, "{name}");
            compared += 1;
        }
    }
    // The three more are the protocols' and not the API's: the list of authentication types, flags about logs and locks.
    assert_eq!(compared, ENUMS.len());
}

#[test]
fn parameters_have_libvirts_names() {
    let Some(facts) = read("typed_params.json") else { return };
    let ours: BTreeMap<&str, &str> = PARAMS.iter().copied().collect();
    let mut compared = 0;
    for family in facts["families"].as_object().unwrap().values() {
        for (name, param) in family["params"].as_object().unwrap() {
            assert_eq!(ours.get(name.as_str()).copied(), param["value"].as_str(), "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, PARAMS.len());
}

#[test]
fn errors_have_libvirts_numbers() {
    let Some(facts) = read("errors.json") else { return };
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let known = |section: &str| -> BTreeMap<i64, String> {
        let mut all = numbers(&facts[section]);
        all.retain(|name, _| !name.ends_with("_LAST"));
        // VIR_ERR_, VIR_WAR_ or VIR_FROM_
        let short = |name: &str| plain(name.splitn(3, '_').last().unwrap());
        all.into_iter().map(|(name, value)| (value, short(name))).collect()
    };
    let codes = known("virErrorNumber").into_keys();
    assert!(codes.eq(ErrorCode::ALL.iter().map(|code| i64::from(code.number()))));
    let domains = known("virErrorDomain");
    let ours = ErrorDomain::ALL.iter();
    let ours: BTreeMap<i64, String> =
        ours.map(|domain| (i64::from(domain.number()), plain(&format!("{domain:?}")))).collect();
    assert_eq!(ours, domains);
}
