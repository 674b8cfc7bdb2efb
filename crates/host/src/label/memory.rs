// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a file remembers of its owner: libvirt's extended attributes.
//!
//! ```text
//! trusted.libvirt.security.dac            +0:+0     the owner before the first user
//! trusted.libvirt.security.ref_dac        2         how many use it now
//! trusted.libvirt.security.timestamp_dac  17…       when the host started: older ones do not count
//! ```

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{XattrFlags, getxattr, removexattr, setxattr};

use super::Owner;

const OWNER: &str = "trusted.libvirt.security.dac";
const USERS: &str = "trusted.libvirt.security.ref_dac";
const STARTED: &str = "trusted.libvirt.security.timestamp_dac";

/// What adding a user found.
pub(super) enum Added {
    /// Nobody used it: the owner is remembered now.
    First,
    /// Others use it: the owner was remembered before.
    Another,
}

/// What dropping a user found.
pub(super) enum Dropped {
    /// Nobody uses it any more: this was its owner.
    Last(Owner),
    /// Others use it.
    StillUsed,
    /// It remembers nothing.
    Unknown,
}

/// Counts one more user; remembers `owner` if it is the first.
pub(super) fn add_user(file: &OwnedFd, owner: Owner) -> io::Result<Added> {
    let path = through_proc(file);
    forget_if_stale(&path)?;
    if let Some(users) = users(&path)? {
        set(&path, USERS, &(users + 1).to_string())?;
        return Ok(Added::Another);
    }
    set(&path, OWNER, &format!("+{}:+{}", owner.uid, owner.gid))?;
    set(&path, USERS, "1")?;
    set(&path, STARTED, &host_start())?;
    Ok(Added::First)
}

/// Counts one user less; forgets all with the last one.
pub(super) fn drop_user(file: &OwnedFd) -> io::Result<Dropped> {
    let path = through_proc(file);
    forget_if_stale(&path)?;
    let Some(users) = users(&path)? else { return Ok(Dropped::Unknown) };
    if users > 1 {
        set(&path, USERS, &(users - 1).to_string())?;
        return Ok(Dropped::StillUsed);
    }
    let owner = get(&path, OWNER)?.as_deref().and_then(parse_owner);
    forget(&path)?;
    Ok(owner.map_or(Dropped::Unknown, Dropped::Last))
}

fn users(path: &str) -> io::Result<Option<u32>> {
    let count = get(path, USERS)?.and_then(|text| text.parse().ok());
    Ok(count.filter(|count| *count > 0))
}

fn forget_if_stale(path: &str) -> io::Result<()> {
    let remembers = get(path, USERS)?.is_some();
    if remembers && get(path, STARTED)?.as_deref() != Some(&host_start()) {
        forget(path)?;
    }
    Ok(())
}

fn forget(path: &str) -> io::Result<()> {
    for name in [OWNER, USERS, STARTED] {
        match removexattr(path, name) {
            Err(rustix::io::Errno::NODATA) | Ok(()) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

fn get(path: &str, name: &str) -> io::Result<Option<String>> {
    let mut buffer = [0_u8; 256];
    match getxattr(path, name, &mut buffer) {
        Ok(size) => Ok(buffer
            .get(..size)
            .map(|bytes| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned())),
        Err(rustix::io::Errno::NODATA) => Ok(None),
        Err(cause) => Err(cause.into()),
    }
}

fn set(path: &str, name: &str, value: &str) -> io::Result<()> {
    Ok(setxattr(path, name, value.as_bytes(), XattrFlags::empty())?)
}

/// Attributes cannot be reached through a descriptor that only holds a file; its name in `/proc` leads to
/// the same file, whatever has happened to the real name.
fn through_proc(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// `+0:+107`, as libvirt writes it.
fn parse_owner(text: &str) -> Option<Owner> {
    let (uid, gid) = text.split_once(':')?;
    let number = |text: &str| text.trim_start_matches('+').parse().ok();
    Some(Owner { uid: number(uid)?, gid: number(gid)? })
}

/// When this host was started, in seconds since the epoch.
fn host_start() -> String {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line.unwrap_or("0").trim().to_owned()
}
