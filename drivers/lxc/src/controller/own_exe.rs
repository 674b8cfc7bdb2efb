// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keeps the controller's program out of a container's reach.
//!
//! Init is a copy of the controller until it executes the container's program, and a hostile container can make that
//! program `/proc/self/exe`: it then runs the controller's file, sees it in `/proc/1/exe`, and could overwrite it for
//! the next container (CVE-2019-5736 was that). So the controller first executes itself once more through a read-only
//! mount that belongs to no namespace: nobody can write through it, and nobody can make it writable.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{CWD, StatVfsMountFlags, statvfs};
use rustix::mount::{OpenTreeFlags, open_tree};

use super::sys::{self, MountChange, Program};
use crate::failure::{Attempt, Failure, Step};

const OWN: &str = "/proc/self/exe";

/// Comes back when the program runs from a read-only mount.
pub(super) fn seal() -> Step<()> {
    let stat = statvfs(OWN).attempt(|| format!("look at '{OWN}'"))?;
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let copy =
        open_tree(CWD, OWN, flags).attempt(|| "copy the mount of the controller's program")?;
    let change = MountChange { set: libc::MOUNT_ATTR_RDONLY, ..MountChange::default() };
    sys::set_mount(&copy, &change).attempt(|| "make the controller's program read-only")?;
    let text = |text: Vec<u8>| CString::new(text).unwrap_or_default();
    let args: Vec<CString> = std::env::args_os().map(|arg| text(arg.into_vec())).collect();
    let pair = |(mut name, value): (std::ffi::OsString, std::ffi::OsString)| {
        name.push("=");
        name.push(value);
        text(name.into_vec())
    };
    let env: Vec<CString> = std::env::vars_os().map(pair).collect();
    let cause = sys::execute(Program::Open(std::os::fd::AsFd::as_fd(&copy)), &args, &env);
    Err(Failure {
        attempt: "execute the controller from a read-only mount".to_owned(),
        errno: cause.raw_os_error().unwrap_or_default(),
        hint: None,
    })
}
