// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is locked, in a file: a daemon that was killed has a successor that locks it again, for those who live on.
//!
//! The kernel takes the locks away from a daemon that ends without a word. Between that and the successor, which systemd
//! starts at once, only other hosts can be quicker; then the log says whose lock is lost.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tracing::warn;
use virtus_core::store;
use virtus_host::lock::Lock;

use super::spaces::{Name, Noted, Owner, Resources};

/// The file, which goes with the host's uptime.
pub(super) struct Journal {
    path: PathBuf,
    /// What it says as far as we know. One writer at a time, so that the last to write has seen all.
    written: Mutex<String>,
}

impl Journal {
    /// That of the daemon with this folder for its state.
    pub(super) fn new(run: &Path) -> Self {
        Self { path: run.join("virtlockd-locks.json"), written: Mutex::default() }
    }

    /// Writes down what `now` answers, unless it is there already. Blocks.
    pub(super) fn write(&self, now: impl Fn() -> Value) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let text = now().to_string();
        if *written == text {
            return;
        }
        written.clear();
        match store::write(&self.path, text.as_bytes(), store::PRIVATE) {
            Ok(()) => *written = text,
            Err(error) => {
                warn!("a virtlockd that is killed now will not find its locks again: {error}");
            }
        }
    }

    /// The folders and locks that a predecessor has written down; none without one.
    pub(super) fn read(&self) -> (Vec<String>, Vec<(Name, Noted)>) {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Default::default(),
            Err(error) => {
                warn!("locks of a predecessor are lost: '{}': {error}", self.path.display());
                return Default::default();
            }
        };
        // Written whole or not at all: what is none of ours holds none of our locks.
        let spaces: Value = serde_json::from_slice(&text).unwrap_or_default();
        let mut folders = Vec::new();
        let mut entries = Vec::new();
        for space in spaces.as_array().into_iter().flatten() {
            let folder = space["directory"].as_str().unwrap_or_default();
            folders.push(folder.to_owned());
            let locks = space["locks"].as_array().into_iter().flatten();
            entries.extend(locks.filter_map(|lock| entry(folder, lock)));
        }
        (folders, entries)
    }
}

/// All of it, as the journal has it.
pub(super) fn describe(folders: &BTreeMap<String, Resources>) -> Value {
    let owner = |owner: &Owner| json!([owner.pid, owner.start_time]);
    let space = |(folder, resources): (&String, &Resources)| {
        let mut locks = Vec::new();
        for (name, slot) in resources {
            let Some(Noted { how, autocreate, owners }) = slot.noted() else { continue };
            let owners: Vec<Value> = owners.iter().map(owner).collect();
            let shared = how == Lock::Shared;
            locks.push(json!({ "name": name, "shared": shared, "autocreate": autocreate, "owners": owners }));
        }
        json!({ "directory": folder, "locks": locks })
    };
    folders.iter().map(space).collect()
}

fn entry(folder: &str, lock: &Value) -> Option<(Name, Noted)> {
    let owner = |owner: &Value| {
        let pid = owner[0].as_u64()?.try_into().ok()?;
        Some(Owner { pid, start_time: owner[1].as_u64()? })
    };
    let name = Name { space: folder.to_owned(), name: lock["name"].as_str()?.to_owned() };
    let noted = Noted {
        how: if lock["shared"].as_bool()? { Lock::Shared } else { Lock::Exclusive },
        autocreate: lock["autocreate"].as_bool()?,
        owners: lock["owners"].as_array()?.iter().filter_map(owner).collect(),
    };
    Some((name, noted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_already_is_not_written_again() {
        let folder = std::env::temp_dir().join(format!("virtus-journal-{}", std::process::id()));
        let journal = Journal::new(&folder);
        let write = |what: &str| {
            journal.write(|| json!([{ "directory": what, "locks": [] }]));
            fs::remove_file(&journal.path).is_ok()
        };
        assert_eq!(["a", "a", "b"].map(write), [true, false, true]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
