// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Descriptors of firmware and vhost-user programs: reading, precedence, selection.

use serde_json::{Value, json};
use virtus_qemu::firmware::{Firmware, folders, in_force, supported};
use virtus_qemu::vhost_user::Program;

use crate::{Case, Corpus, Verdict, compare};

pub(super) fn firmware(corpus: &Corpus, case: &Case) -> Verdict {
    let text = case.read_input(corpus, "file")?;
    let found = Firmware::parse(&case.name, &text).map_err(|error| error.to_string())?;
    same(corpus, case, &found.to_json())
}

pub(super) fn firmware_refused(corpus: &Corpus, case: &Case) -> Verdict {
    compare::refused(&Firmware::parse(&case.name, &case.read_input(corpus, "file")?))
}

pub(super) fn program(corpus: &Corpus, case: &Case) -> Verdict {
    let text = case.read_input(corpus, "file")?;
    let found = Program::parse(&case.name, &text).map_err(|error| error.to_string())?;
    same(corpus, case, &found.to_json())
}

fn same(corpus: &Corpus, case: &Case, actual: &Value) -> Verdict {
    let expected = case.read_expected(corpus, "json")?;
    let mut expected: Value = serde_json::from_str(&expected).map_err(|error| error.to_string())?;
    for key in case.words("ignore_keys") {
        expected.as_object_mut().map(|object| object.remove(key));
    }
    differs(&expected, actual)
}

fn differs(expected: &Value, actual: &Value) -> Verdict {
    if expected == actual { Ok(()) } else { Err(format!("- {expected}\n+ {actual}")) }
}

/// The order of all descriptors, or what they offer to a machine.
pub(super) fn firmwares(corpus: &Corpus, case: &Case) -> Verdict {
    let Some(machine) = case.param("machine") else {
        return precedence(corpus, case, "firmware", "qemufirmwaredata");
    };
    let texts = folders("firmware", None);
    let texts = texts.iter().map(|folder| corpus.folder(&format!("qemufirmwaredata{folder}")));
    let files = in_force(texts.collect::<Result<_, _>>()?);
    let all: Vec<_> =
        files.iter().filter_map(|file| Firmware::parse(&file.name, &file.text).ok()).collect();
    let found = supported(&all, case.param("arch").unwrap_or_default(), machine);
    let images =
        found.images.iter().map(|(image, nvram)| json!({ "image": image, "nvram": nvram }));
    let actual = json!({
        "interfaces": found.interfaces,
        "secure": found.secure,
        "firmwares": images.collect::<Vec<_>>(),
    });
    let expected = json!({
        "interfaces": case.params["interfaces"],
        "secure": case.params["secure"],
        "firmwares": case.params["firmwares"],
    });
    differs(&expected, &actual)
}

pub(super) fn programs(corpus: &Corpus, case: &Case) -> Verdict {
    precedence(corpus, case, "vhost-user", "qemuvhostuserdata")
}

fn precedence(corpus: &Corpus, case: &Case, kind: &str, data: &str) -> Verdict {
    let folders = folders(kind, case.param("xdg_config_home"));
    let texts = folders.iter().map(|folder| corpus.folder(&format!("{data}{folder}")));
    let files = in_force(texts.collect::<Result<_, _>>()?);
    let paths: Vec<_> =
        files.iter().map(|file| format!("{}/{}", folders[file.folder], file.name)).collect();
    differs(&case.params["expected"], &json!(paths))
}
