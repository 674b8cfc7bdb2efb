// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The data as it lies in its folder: families, their cases, and the files that a case names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use virtus_qemu::caps::Capabilities;

use crate::families::schemas;

/// A folder of golden data.
#[derive(Debug)]
pub struct Corpus {
    root: PathBuf,
    /// QEMU capabilities by the name of their file: parsing one costs more than most checks.
    qemu: Mutex<BTreeMap<String, Arc<Capabilities>>>,
}

/// One case of a family's manifest.
#[derive(Debug, Clone)]
pub struct Case {
    pub family: String,
    /// Unique in the family.
    pub name: String,
    /// What is done with it.
    pub kinds: Vec<String>,
    /// `ok`, or the stage at which it must be refused.
    pub expect: String,
    /// The conditions, as the manifest has them.
    pub params: Value,
    pub(crate) input: Value,
    pub(crate) expected: Value,
}

impl Corpus {
    /// The data at `root`; an error if that is no such folder.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, String> {
        let root = root.into();
        let index = root.join("index.json");
        if !index.is_file() {
            return Err(format!(
                "{} is not there: give the folder of golden data",
                index.display()
            ));
        }
        Ok(Self { root, qemu: Mutex::default() })
    }

    /// The data that lies where the tests look for it: `$VIRTUS_SHARED/corpus`, or `../shared/corpus` beside the workspace.
    #[must_use]
    pub fn beside() -> Option<Self> {
        let shared = std::env::var_os("VIRTUS_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
            PathBuf::from,
        );
        Self::open(shared.join("corpus")).ok()
    }

    /// The names of the families, as the index orders them.
    pub fn families(&self) -> Result<Vec<String>, String> {
        let index = self.json(&self.root.join("index.json"))?;
        let families = index["families"].as_array().into_iter().flatten();
        let families = families.map(|family| text(&family["family"]));
        Ok(families.chain([schemas::FAMILY.to_owned()]).collect())
    }

    /// The cases of a family, as its manifest orders them.
    pub fn cases(&self, family: &str) -> Result<Vec<Case>, String> {
        if family == schemas::FAMILY {
            return schemas::cases(self, &self.json(&self.root.join("schemas.json"))?);
        }
        let manifest = self.json(&self.root.join("families").join(family).join("manifest.json"))?;
        let cases = manifest["cases"].as_array().into_iter().flatten();
        let read = |case: &Value| Case {
            family: family.to_owned(),
            name: text(&case["name"]),
            kinds: case["kinds"].as_array().into_iter().flatten().map(text).collect(),
            expect: text(&case["expect"]),
            params: case["params"].clone(),
            input: case["input"].clone(),
            expected: case["expected"].clone(),
        };
        Ok(cases.map(read).collect())
    }

    fn json(&self, path: &Path) -> Result<Value, String> {
        let read =
            fs::read_to_string(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
        serde_json::from_str(&read).map_err(|cause| format!("{}: {cause}", path.display()))
    }

    /// The folder that all paths of the manifests are relative to.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// A file of the data as text.
    pub fn read(&self, path: &str) -> Result<String, String> {
        fs::read_to_string(self.data().join(path)).map_err(|cause| format!("{path}: {cause}"))
    }

    /// A file of the data as bytes.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(self.data().join(path)).map_err(|cause| format!("{path}: {cause}"))
    }

    /// The files of a folder of the data, by name, sorted; none if there is no such folder.
    pub fn folder(&self, path: &str) -> Result<Vec<(String, String)>, String> {
        self.names(path)
            .into_iter()
            .map(|name| Ok((name.clone(), self.read(&format!("{path}/{name}"))?)))
            .collect()
    }

    /// The names of the files of a folder of the data, sorted.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.data().join(path)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names
    }

    /// What a QEMU can do, from `qemucapabilitiesdata/NAME.xml`.
    pub fn qemu(&self, name: &str) -> Result<Arc<Capabilities>, String> {
        let known = || self.qemu.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(caps) = known().get(name) {
            return Ok(caps.clone());
        }
        let read = self.read(&format!("qemucapabilitiesdata/{name}.xml"))?;
        let caps =
            Arc::new(Capabilities::from_cache_xml(&read).map_err(|error| error.to_string())?);
        known().insert(name.to_owned(), caps.clone());
        Ok(caps)
    }
}

impl Case {
    /// The path of an input role; an error if the case has none.
    pub fn input(&self, role: &str) -> Result<&str, String> {
        self.input[role].as_str().ok_or_else(|| format!("the case has no input '{role}'"))
    }

    /// The path of the result that a role must have, if the case states one.
    #[must_use]
    pub fn expected(&self, role: &str) -> Option<&str> {
        self.expected[role].as_str()
    }

    /// How many results there are whose roles begin so, without those of their parts.
    #[must_use]
    pub fn roles(&self, head: &str) -> usize {
        let roles = self.expected.as_object().into_iter().flatten().map(|(role, _)| role);
        roles.filter(|role| role.strip_prefix(head).is_some_and(|rest| !rest.contains('.'))).count()
    }

    /// A parameter that is a text.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params[name].as_str()
    }

    /// The words of a parameter that is a list.
    #[must_use]
    pub fn words(&self, name: &str) -> Vec<&str> {
        self.params[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The input of the only, or the first, role.
    pub fn read(&self, corpus: &Corpus) -> Result<String, String> {
        let first = self.input.as_object().and_then(|roles| roles.values().next());
        corpus.read(first.and_then(Value::as_str).ok_or("the case has no input")?)
    }

    /// The input of a role.
    pub fn read_input(&self, corpus: &Corpus, role: &str) -> Result<String, String> {
        corpus.read(self.input(role)?)
    }

    /// The result that a role must have.
    pub fn read_expected(&self, corpus: &Corpus, role: &str) -> Result<String, String> {
        corpus.read(self.expected(role).ok_or_else(|| format!("the case expects no '{role}'"))?)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
