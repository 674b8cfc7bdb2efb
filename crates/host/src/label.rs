// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Gives files to the user of a guest for as long as the guest uses them, and back afterwards.
//!
//! The owner before the first use is remembered in extended attributes of the file itself, as libvirt
//! does, with a count of users: several guests, several daemons and a restart in between all lead back to
//! it. What is remembered counts only until the host restarts.
//!
//! Invariant: [`apply`] changes all or nothing; devices that the whole host shares are never given away.

mod memory;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, fstat, open};
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::access::{Want, obstacle};
use crate::user::Identity;

/// Reading what is remembered and changing it must not be done by two at once.
static TURN: Mutex<()> = Mutex::new(());

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl From<&Identity> for Owner {
    fn from(identity: &Identity) -> Self {
        Self { uid: identity.uid, gid: identity.gid }
    }
}

/// How a guest uses a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It alone, reading and writing.
    Own,
    /// It reads, and others may at the same time.
    ReadOnly,
    /// It writes, and others may at the same time.
    Shared,
}

/// One file to give away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub path: PathBuf,
    /// To whom.
    pub owner: Owner,
    /// Whether the owner before is remembered, to be restored.
    pub remember: bool,
}

/// Decides which of `files` have to be given to `identity`: not those that it can read anyway and only
/// reads, nor devices of the whole host. Looks, but changes nothing.
#[must_use]
pub fn plan<'a>(
    files: impl IntoIterator<Item = (&'a Path, Use)>,
    identity: &Identity,
) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (path, how) in files {
        let enough = how == Use::ReadOnly && obstacle(path, identity, Want::Read).is_none();
        if enough || of_whole_host(path) || steps.iter().any(|step| step.path == path) {
            continue;
        }
        steps.push(Step { path: path.to_owned(), owner: identity.into(), remember: true });
    }
    steps
}

/// Devices that every process needs as they are.
fn of_whole_host(path: &Path) -> bool {
    const SHARED: [&str; 10] =
        ["null", "zero", "full", "random", "urandom", "kvm", "ptmx", "tty", "net/tun", "vhost-net"];
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let device = fs::metadata(&real).is_ok_and(|facts| facts.file_type().is_char_device());
    device && SHARED.iter().any(|name| real == Path::new("/dev").join(name))
}

/// Gives the files away. Where one fails, those before it are taken back.
///
/// # Errors
/// Where a file is missing, is in use by a guest of another user, or its file system refuses.
pub fn apply(steps: &[Step]) -> Result<()> {
    for (done, step) in steps.iter().enumerate() {
        if let Err(error) = give(step) {
            restore(&steps[..done]);
            return Err(error);
        }
    }
    Ok(())
}

/// Takes the files back, the last one first. A file that is gone or still used by another guest is left;
/// what else fails is logged, since the guest has ended whatever happens.
pub fn restore(steps: &[Step]) {
    for step in steps.iter().rev().filter(|step| step.remember) {
        if let Err(error) = take_back(step) {
            tracing::warn!(%error, path = %step.path.display(), "owner not restored");
        }
    }
}

fn give(step: &Step) -> Result<()> {
    let path = &step.path;
    let failed = |attempt: &str, cause: &io::Error| {
        Error::system(format!("cannot {attempt} '{}'", path.display()), cause)
            .in_domain(ErrorDomain::Security)
    };
    let file = open_path(path).map_err(|cause| failed("open", &cause))?;
    let now = owner_of(&file).map_err(|cause| failed("look at", &cause))?;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut remembered = false;
    if step.remember {
        match memory::add_user(&file, now) {
            Ok(memory::Added::First) => remembered = true,
            Ok(memory::Added::Another) if now == step.owner => remembered = true,
            Ok(memory::Added::Another) => {
                memory::drop_user(&file).ok();
                let text = format!(
                    "Setting different DAC user or group on '{}' which is already in use by \
                     another guest of {}:{}",
                    path.display(),
                    now.uid,
                    now.gid
                );
                return Err(Error::new(ErrorCode::OperationInvalid, text)
                    .in_domain(ErrorDomain::Security)
                    .hint("guests that share a file must run as the same user"));
            }
            Err(cause) => {
                tracing::debug!(%cause, path = %path.display(), "owner not remembered");
            }
        }
    }
    if now == step.owner {
        return Ok(());
    }
    match change_owner(&file, step.owner) {
        Ok(()) => Ok(()),
        // Such a file system has no owners, or is not to be changed: its modes decide.
        Err(cause) if has_no_owners(&cause) => {
            tracing::info!(%cause, path = %path.display(), "owner not changed");
            Ok(())
        }
        Err(cause) => {
            if remembered {
                memory::drop_user(&file).ok();
            }
            let (uid, gid) = (step.owner.uid, step.owner.gid);
            Err(failed(&format!("give to {uid}:{gid} the file"), &cause).hint(
                "the file system does not let the daemon change owners (NFS with root_squash?): \
                 set dynamic_ownership = 0 in qemu.conf and the owner by hand",
            ))
        }
    }
}

fn take_back(step: &Step) -> io::Result<()> {
    let file = match open_path(&step.path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let owner = match memory::drop_user(&file) {
        Ok(memory::Dropped::Last(owner)) => owner,
        Ok(memory::Dropped::StillUsed) => return Ok(()),
        // Nothing could be remembered: libvirt gives such files to root.
        Ok(memory::Dropped::Unknown) | Err(_) => Owner { uid: 0, gid: 0 },
    };
    match change_owner(&file, owner) {
        Err(cause) if has_no_owners(&cause) => Ok(()),
        result => result,
    }
}

fn has_no_owners(cause: &io::Error) -> bool {
    matches!(
        cause.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EROFS | libc::EINVAL | libc::ENOSYS)
    )
}

/// Holds the file itself, so that a name that is changed meanwhile leads nobody astray.
fn open_path(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

fn owner_of(file: &OwnedFd) -> io::Result<Owner> {
    let facts = fstat(file)?;
    Ok(Owner { uid: facts.st_uid, gid: facts.st_gid })
}

fn change_owner(file: &OwnedFd, owner: Owner) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    Ok(chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}

/// Whose `path` is now.
///
/// # Errors
/// Where it cannot be looked at.
pub fn owner(path: &Path) -> io::Result<Owner> {
    fs::metadata(path).map(|facts| Owner { uid: facts.uid(), gid: facts.gid() })
}

#[cfg(test)]
mod tests;
