// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files of all packages, in memory until they are written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// All packages.
#[derive(Default)]
pub(crate) struct Tree {
    packages: BTreeMap<&'static str, Files>,
}

/// The files of one package.
#[derive(Default)]
pub(crate) struct Files {
    files: BTreeMap<String, File>,
}

struct File {
    kind: &'static str,
    /// None for a program, which cargo makes.
    text: Option<String>,
}

impl Files {
    /// The program `name`, in `folder`.
    pub(crate) fn program(&mut self, folder: &str, name: &str) {
        self.files.insert(format!("{folder}/{name}"), File { kind: "program", text: None });
    }

    /// A file with a text.
    pub(crate) fn add(&mut self, kind: &'static str, path: String, text: impl Into<String>) {
        self.files.insert(path, File { kind, text: Some(text.into()) });
    }
}

impl Tree {
    /// The package `name`.
    pub(crate) fn package(&mut self, name: &'static str) -> &mut Files {
        self.packages.entry(name).or_default()
    }

    /// Writes all files and lists below `out`, where nothing of an earlier run stays.
    pub(crate) fn write(&self, out: &Path) -> io::Result<()> {
        for part in ["root", "packages"] {
            match fs::remove_dir_all(out.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => fs::create_dir_all(out.join(part))?,
            }
        }
        for (package, files) in &self.packages {
            let mut list = String::new();
            for (path, file) in &files.files {
                list.push_str(&format!("{} {path}\n", file.kind));
                if let Some(text) = &file.text {
                    let target = out.join("root").join(path.trim_start_matches('/'));
                    if let Some(folder) = target.parent() {
                        fs::create_dir_all(folder)?;
                    }
                    fs::write(target, text)?;
                }
            }
            fs::write(out.join("packages").join(format!("{package}.files")), list)?;
        }
        Ok(())
    }
}

#[cfg(test)]
impl Tree {
    pub(crate) fn has(&self, package: &str, path: &str) -> bool {
        self.packages.get(package).is_some_and(|files| files.files.contains_key(path))
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.packages.values().flat_map(|files| &files.files);
        files.filter_map(|(path, file)| Some((path.as_str(), file.text.as_deref()?)))
    }
}
