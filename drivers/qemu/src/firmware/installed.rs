// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The firmware of this host.

use std::fs;
use std::path::Path;

use super::{Firmware, folders, in_force};

/// A descriptor is a page of text; what is larger is none.
const LARGEST: u64 = 1 << 20;

/// Reads all descriptors in force. What cannot be read or understood is told in the log and left out.
#[must_use]
pub fn installed() -> Vec<Firmware> {
    let folders = folders("firmware", None);
    in_force(folders.iter().map(|folder| files(Path::new(folder))).collect())
        .into_iter()
        .filter_map(|file| match Firmware::parse(&file.name, &file.text) {
            Ok(firmware) => Some(firmware),
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        })
        .collect()
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut out = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST) {
            match fs::read_to_string(&path) {
                Ok(text) => out.push((name.to_owned(), text)),
                Err(cause) => tracing::warn!("cannot read '{}': {cause}", path.display()),
            }
        }
    }
    out
}
