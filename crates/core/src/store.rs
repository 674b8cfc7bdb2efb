// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What must survive a crash: files are replaced whole or not at all.
//!
//! Order of a write: temporary file in the same folder, data, fsync, rename, fsync of the folder.
//! A kill -9 or power loss at any instant leaves the old or the new text, never a mixture. These
//! functions block; call them on the blocking pool.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use virtus_api::{Error, Result};

/// Mode of definitions and state files: they may hold secrets (VNC passwords).
pub const PRIVATE: u32 = 0o600;

/// Replaces `path` with `text` durably; makes the folder if it is missing.
pub fn write(path: &Path, text: &[u8], mode: u32) -> Result<()> {
    let folder = folder_of(path);
    make_folder(folder, 0o700)?;
    let temporary = temporary_for(path);
    let written = fill(&temporary, text, mode)
        .and_then(|()| rename(&temporary, path))
        .and_then(|()| sync_folder(folder));
    written.map_err(|cause| {
        // The write has failed already; a leftover temporary file is only litter.
        let _litter = fs::remove_file(&temporary);
        Error::system(format!("cannot write '{}'", path.display()), &cause)
    })
}

/// Removes `path` durably. A file that is not there is removed already.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match fs::remove_file(path) {
        Ok(()) => sync_folder(folder_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|cause| Error::system(format!("cannot remove '{}'", path.display()), &cause))
}

/// Makes `link` a symbolic link to `target` (autostart), durably.
pub fn link(target: &Path, link: &Path) -> Result<()> {
    let folder = folder_of(link);
    make_folder(folder, 0o700)?;
    let temporary = temporary_for(link);
    std::os::unix::fs::symlink(target, &temporary)
        .and_then(|()| rename(&temporary, link))
        .and_then(|()| sync_folder(folder))
        .map_err(|cause| {
            let _litter = fs::remove_file(&temporary);
            Error::system(
                format!("cannot link '{}' to '{}'", link.display(), target.display()),
                &cause,
            )
        })
}

/// Makes a folder and its parents; the ones that it makes get `mode`.
pub fn make_folder(folder: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(|cause| {
        Error::system(format!("cannot create folder '{}'", folder.display()), &cause)
    })
}

/// The files of `folder` whose names end in `suffix`, with their names without it, sorted, for a program that starts
/// and alone writes there: what a kill cut off is swept away. A folder that is not there is empty.
pub fn open(folder: &Path, suffix: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for (name, path) in entries(folder)? {
        if is_temporary(&name) {
            // One that cannot be removed is only litter.
            let _litter = fs::remove_file(&path);
        } else if let Some(stem) = name.strip_suffix(suffix).filter(|stem| !stem.is_empty()) {
            found.push((stem.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// Names and paths of what is in a folder; one whose name is not text is nobody's here.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let explain = |cause| Error::system(format!("cannot list '{}'", folder.display()), &cause);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(explain(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(explain)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// A definition as it stands in its file: below a note that changes by hand are lost, and how else the
/// `word` ("network") called `name` is changed: by `command` ("virsh net-edit").
#[must_use]
pub fn with_note(word: &str, command: &str, name: &str, definition: &str) -> String {
    // Two hyphens may not stand in a comment; the name is only for the reader.
    let name = name.replace("--", "- - ");
    format!(
        "<!--\nThis file is written by the daemon; changes made here by hand are not seen and will be lost.\n\
         Change the {word} with:\n  {command} {name}\nor through the API.\n-->\n\n{definition}"
    )
}

fn fill(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that renames")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `.NAME.new` beside the file: hidden, so that a loader that lists `*.xml` never meets it.
fn temporary_for(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(NEW);
    path.with_file_name(name)
}

/// What ends the name of a file that is not whole yet.
const NEW: &str = ".new";

fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(NEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_a_folder_sweeps_what_a_kill_has_left() {
        let folder = std::env::temp_dir().join(format!("virtus-store-{}", uuid::Uuid::new_v4()));
        write(&folder.join("a.xml"), b"a", PRIVATE).unwrap();
        let left = temporary_for(&folder.join("b.xml"));
        fill(&left, b"b", PRIVATE).unwrap();
        fill(&folder.join("c.new"), b"c", PRIVATE).unwrap();
        let found = open(&folder, ".xml").unwrap();
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a"]);
        assert!(!left.exists() && folder.join("c.new").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
