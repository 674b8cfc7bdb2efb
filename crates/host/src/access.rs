// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Why somebody cannot open a file: which part of its path stands in the way, and what to do about it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode};

use crate::user::{Identity, group_name, user_by_id};

/// What somebody wants to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Read it.
    Read,
    /// Read and change it.
    ReadWrite,
}

impl Want {
    fn bits(self) -> u32 {
        match self {
            Self::Read => 4,
            Self::ReadWrite => 6,
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "write",
        }
    }
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The file that was wanted.
    pub path: PathBuf,
    /// The part of its path that stands in the way; the whole path if it is the file itself.
    pub at: PathBuf,
    /// What is wrong there.
    pub trouble: Trouble,
    who: String,
    want: Want,
}

/// What is wrong with a part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is not there.
    Missing,
    /// A folder was expected.
    NotAFolder,
    /// It is a folder, where a file was expected.
    IsAFolder,
    /// A folder that may not be passed through.
    NoSearch,
    /// The file's own mode forbids it.
    NoPermission,
    /// The file system is mounted read-only.
    ReadOnly,
    /// Something else.
    Other(String),
}

/// Looks for what keeps `who` from opening `path`. `None` where nothing does, as far as modes tell;
/// access lists and security modules are not looked at.
#[must_use]
pub fn obstacle(path: &Path, who: &Identity, want: Want) -> Option<Obstacle> {
    let found = |at: &Path, trouble: Trouble| {
        Some(Obstacle {
            path: path.to_owned(),
            at: at.to_owned(),
            trouble,
            who: who.user_name(),
            want,
        })
    };
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.retain(|folder| !folder.as_os_str().is_empty());
    for folder in folders.into_iter().rev() {
        match fs::metadata(folder) {
            Err(cause) => return found(folder, trouble(&cause)),
            Ok(facts) if !facts.is_dir() => return found(folder, Trouble::NotAFolder),
            Ok(facts) if !allowed(&facts, who, 1) => return found(folder, Trouble::NoSearch),
            Ok(_) => {}
        }
    }
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(cause) => return found(path, trouble(&cause)),
    };
    if facts.is_dir() {
        return found(path, Trouble::IsAFolder);
    }
    if !allowed(&facts, who, want.bits()) {
        return found(path, Trouble::NoPermission);
    }
    if want == Want::ReadWrite && !facts.file_type().is_block_device() && on_read_only(path) {
        return found(path, Trouble::ReadOnly);
    }
    None
}

impl Obstacle {
    /// The obstacle as an error, with what would remove it.
    #[must_use]
    pub fn into_error(self) -> Error {
        let (at, path, who) = (self.at.display(), self.path.display(), &self.who);
        let itself = self.at == self.path;
        let verb = self.want.verb();
        let (cause, hint) = match &self.trouble {
            Trouble::Missing if itself => {
                ("it does not exist".to_owned(), "create it, or correct its path".to_owned())
            }
            Trouble::Missing => {
                (format!("'{at}' does not exist"), "create it, or correct the path".to_owned())
            }
            Trouble::NotAFolder => (format!("'{at}' is no folder"), "correct the path".to_owned()),
            Trouble::IsAFolder => ("it is a folder".to_owned(), "name the file in it".to_owned()),
            Trouble::NoSearch => (
                format!("user '{who}' may not search the folder '{at}'{}", mode_of(&self.at)),
                format!("setfacl -m u:{who}:x '{at}'    (or: chmod o+x '{at}')"),
            ),
            Trouble::NoPermission => {
                let letters = if self.want == Want::Read { "r" } else { "rw" };
                (
                    format!("user '{who}' may not {verb} it{}", mode_of(&self.at)),
                    format!("setfacl -m u:{who}:{letters} '{at}'    (or: chown {who} '{at}')"),
                )
            }
            Trouble::ReadOnly => (
                "its file system is mounted read-only".to_owned(),
                "mount it writable, or make the device read-only".to_owned(),
            ),
            Trouble::Other(cause) => (format!("'{at}': {cause}"), String::new()),
        };
        let code = match self.trouble {
            Trouble::NoSearch | Trouble::NoPermission => ErrorCode::OperationDenied,
            _ => ErrorCode::ConfigUnsupported,
        };
        let code = if matches!(self.trouble, Trouble::Missing | Trouble::Other(_)) {
            ErrorCode::SystemError
        } else {
            code
        };
        let error = Error::new(code, format!("Cannot access storage file '{path}': {cause}"));
        if hint.is_empty() { error } else { error.hint(hint) }
    }
}

fn trouble(cause: &io::Error) -> Trouble {
    match cause.kind() {
        io::ErrorKind::NotFound => Trouble::Missing,
        io::ErrorKind::NotADirectory => Trouble::NotAFolder,
        io::ErrorKind::PermissionDenied => Trouble::NoSearch,
        _ => Trouble::Other(cause.to_string()),
    }
}

/// Whether the mode gives `who` all of `bits` (4 read, 2 write, 1 search).
fn allowed(facts: &fs::Metadata, who: &Identity, bits: u32) -> bool {
    if who.is_root() {
        return true;
    }
    let shift = if facts.uid() == who.uid {
        6
    } else if who.in_group(facts.gid()) {
        3
    } else {
        0
    };
    (facts.mode() >> shift) & bits == bits
}

fn on_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path)
        .is_ok_and(|facts| facts.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// " (mode 0700, owner root:root)", if it can be told.
fn mode_of(path: &Path) -> String {
    let Ok(facts) = fs::metadata(path) else { return String::new() };
    let owner = user_by_id(facts.uid()).map_or_else(|| facts.uid().to_string(), |user| user.name);
    let group = group_name(facts.gid()).unwrap_or_else(|| facts.gid().to_string());
    format!(" (mode {:04o}, owner {owner}:{group})", facts.mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_part_in_the_way_is_named_and_what_removes_it() {
        let root = std::env::temp_dir().join(format!("virtus-access-{}", std::process::id()));
        let folder = root.join("closed");
        fs::create_dir_all(&folder).unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&root, 0o755);
        let image = folder.join("disk.img");
        fs::File::create(&image).unwrap();
        set(&image, 0o644);
        set(&folder, 0o700);
        let stranger = Identity { uid: 65534, gid: 65534, groups: Vec::new() };

        let found = obstacle(&image, &stranger, Want::Read).unwrap();
        assert_eq!((&found.at, &found.trouble), (&folder, &Trouble::NoSearch));
        let error = found.into_error();
        assert!(error.text().contains("may not search the folder"), "{error}");
        assert!(error.hint_text().unwrap().starts_with("setfacl -m u:"), "{error}");

        set(&folder, 0o755);
        assert_eq!(obstacle(&image, &stranger, Want::Read), None);
        let found = obstacle(&image, &stranger, Want::ReadWrite).unwrap();
        assert_eq!(found.trouble, Trouble::NoPermission);
        assert_eq!(obstacle(&image, &Identity::default(), Want::ReadWrite), None);

        let missing = obstacle(&folder.join("x/y"), &stranger, Want::Read).unwrap();
        assert_eq!((missing.at.ends_with("x"), missing.trouble), (true, Trouble::Missing));
        let below = obstacle(&image.join("y"), &stranger, Want::Read).unwrap();
        assert_eq!(below.trouble, Trouble::NotAFolder);
        assert_eq!(obstacle(&folder, &stranger, Want::Read).unwrap().trouble, Trouble::IsAFolder);
        fs::remove_dir_all(&root).unwrap();
    }
}
