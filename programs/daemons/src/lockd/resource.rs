// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file that stands for a resource, and the lock on it. Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tracing::warn;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_host::lock::{Lock, lock};

/// A file that is locked.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) how: Lock,
    /// Whether the file is there for the lock alone, and goes with it.
    pub(super) autocreate: bool,
}

impl Locked {
    /// Locks the resource `name`, which is the file `path`.
    ///
    /// # Errors
    /// `VIR_ERR_RESOURCE_BUSY` if another host or daemon has it; `VIR_ERR_SYSTEM_ERROR` where it cannot be opened.
    pub(super) fn new(name: &str, path: &Path, how: Lock, autocreate: bool) -> Result<Self> {
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(autocreate).mode(0o600);
            let what = if autocreate { "open/create" } else { "open" };
            let file = options
                .open(path)
                .map_err(|cause| failed(&format!("Unable to {what} resource"), path, &cause))?;
            lock(&file, how).map_err(|cause| match cause.kind() {
                ErrorKind::WouldBlock | ErrorKind::PermissionDenied => busy(name),
                _ => failed("Unable to acquire lock on", path, &cause),
            })?;
            // Whoever had it may have removed it between our open and our lock: then we hold nothing.
            if !autocreate || same_file(&file, path) {
                return Ok(Self { path: path.to_owned(), file, how, autocreate });
            }
        }
    }

    /// Unlocks it; a file that is there for the lock alone goes, unless others still share the lock.
    pub(super) fn release(self) {
        let alone = || self.how == Lock::Exclusive || lock(&self.file, Lock::Exclusive).is_ok();
        if self.autocreate
            && alone()
            && let Err(cause) = fs::remove_file(&self.path)
            && cause.kind() != ErrorKind::NotFound
        {
            warn!("cannot remove resource '{}': {cause}", self.path.display());
        }
    }
}

/// Makes the file of a resource, which nobody locks.
pub(super) fn create(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let made = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|cause| failed("Unable to create resource", path, &cause))
}

/// Removes the file of a resource, which nobody locks.
pub(super) fn delete(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            Err(failed("Unable to delete lockspace resource", path, &cause))
        }
        _ => Ok(()),
    }
}

/// Makes the folder of a lockspace.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    let text = |what: &str| format!("{what} {}", folder.display());
    match fs::metadata(folder) {
        Ok(facts) if facts.is_dir() => Ok(()),
        Ok(_) => {
            let text =
                format!("Lockspace location {} exists, but is not a directory", folder.display());
            Err(Error::new(ErrorCode::OperationInvalid, text).in_domain(ErrorDomain::Lockspace))
        }
        Err(_) => {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|cause| {
                Error::system(text("Unable to create lockspace"), &cause)
                    .in_domain(ErrorDomain::Lockspace)
            })
        }
    }
}

/// The answer where somebody else has the resource.
pub(super) fn busy(name: &str) -> Error {
    Error::new(ErrorCode::ResourceBusy, format!("Lockspace resource '{name}' is locked"))
        .in_domain(ErrorDomain::Lockspace)
}

fn failed(what: &str, path: &Path, cause: &io::Error) -> Error {
    Error::system(format!("{what} {}", path.display()), cause).in_domain(ErrorDomain::Lockspace)
}

fn same_file(file: &File, path: &Path) -> bool {
    let identity = |facts: fs::Metadata| (facts.dev(), facts.ino());
    let (here, there) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((here, there), (Ok(here), Ok(there)) if here == there)
}
