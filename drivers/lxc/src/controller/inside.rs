// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What init does in its new namespaces before it executes the container's program.
//!
//! It begins as a copy of the controller, with the controller's privileges over the namespaces that are
//! its own, and ends with those that the blueprint leaves it.

mod calls;
mod identity;
mod mounts;

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;
use virtus_host::cgroup::Kind;
use virtus_host::link::Links;

use super::network::set_up;
use super::sys::{self, Program};
use crate::blueprint::{Blueprint, Namespace};
use crate::failure::{Attempt, Failure, Step};

/// What init needs beside the blueprint.
pub(super) struct Belongings {
    /// The files of its control group.
    pub(super) join_files: Vec<File>,
    /// The hierarchies of control groups.
    pub(super) kinds: Vec<Kind>,
    /// A mount of the file that shows its memory, if there is one.
    pub(super) meminfo: Option<OwnedFd>,
}

/// Dies with the controller, whenever that is. A change of user undoes it, so it is said more than once.
fn die_with_controller() -> Step<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .attempt(|| "bind the container to its controller")
}

/// Everything up to the execution of the program.
pub(super) fn prepare(blueprint: &Blueprint, belongings: Belongings) -> Step<()> {
    die_with_controller()?;
    for mut file in belongings.join_files {
        file.write_all(b"0").attempt(|| "join the container's control group")?;
    }
    // Its root is the group that was just joined.
    sys::unshare(UnshareFlags::NEWCGROUP).attempt(|| "make a namespace of control groups")?;
    if blueprint.id_map.is_some() {
        sys::become_user(0, 0).attempt(|| "become the container's root")?;
        die_with_controller()?;
    }
    rustix::process::setsid().attempt(|| "open a session")?;
    if let (Some(name), Namespace::Own) = (&blueprint.hostname, blueprint.uts) {
        rustix::system::sethostname(name.as_bytes())
            .attempt(|| format!("set the host name '{name}'"))?;
    }
    mounts::enter(blueprint, &belongings.kinds, belongings.meminfo)?;
    network(blueprint)?;
    standard_descriptors(blueprint)?;
    let folder = blueprint.init.folder.as_deref().unwrap_or(Path::new("/"));
    rustix::process::chdir(folder)
        .attempt(|| format!("enter the container's folder '{}'", folder.display()))?;
    executable(&blueprint.init.program)?;
    if let Some(label) = &blueprint.label {
        File::options()
            .write(true)
            .open("/proc/self/attr/exec")
            .and_then(|mut file| file.write_all(label.as_bytes()))
            .attempt(|| format!("set the security label '{label}'"))?;
    }
    if blueprint.call_filter {
        calls::refuse()?;
    }
    identity::assume(blueprint)?;
    die_with_controller()
}

/// Becomes the container's program. Comes back only with why not.
pub(super) fn execute(blueprint: &Blueprint) -> Failure {
    let init = &blueprint.init;
    let text = |text: &[u8]| CString::new(text);
    let program = init.program.as_os_str().as_bytes();
    let args = std::iter::once(text(program)).chain(init.args.iter().map(|a| text(a.as_bytes())));
    let pair = |(name, value): &(String, String)| text(format!("{name}={value}").as_bytes());
    let parts = (|| {
        let args: Result<Vec<_>, _> = args.collect();
        let env: Result<Vec<_>, _> = init.env.iter().map(pair).collect();
        Ok::<_, std::ffi::NulError>((text(program)?, args?, env?))
    })();
    let Ok((path, args, env)) = parts else {
        return Failure::refused("an argument or variable of init contains a zero byte");
    };
    sys::unblock_signals();
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let errno = match hand_over(&init.descriptors) {
        Ok(()) => sys::execute(Program::Path(&path), &args, &env).raw_os_error(),
        Err(cause) => cause.raw_os_error(),
    };
    Failure {
        attempt: format!("run the container's '{}'", init.program.display()),
        errno: errno.unwrap_or_default(),
        hint: None,
    }
}

/// Puts what init inherits on the numbers from 3 on; nothing else survives.
fn hand_over(descriptors: &[i32]) -> std::io::Result<()> {
    // Copies above all that the blueprint names, so that none is overwritten before it is placed.
    let above = descriptors.iter().max().map_or(3, |highest| highest + 1);
    let copies: std::io::Result<Vec<OwnedFd>> = descriptors
        .iter()
        .map(|number| Ok(rustix::io::fcntl_dupfd_cloexec(sys::inherited(*number)?, above.max(64))?))
        .collect();
    sys::close_at_exec()?;
    for (number, copy) in (3..).zip(copies?) {
        sys::place(&copy, number)?;
    }
    Ok(())
}

/// A program that is missing is told while the start can still fail as a whole.
fn executable(program: &Path) -> Step<()> {
    let attempt = || format!("run the container's '{}'", program.display());
    let magic = ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(CWD, program, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), magic)
        .attempt(attempt)
        .map_err(|failure| failure.hint("init is a path in the container's root file system"))?;
    rustix::fs::access(program, rustix::fs::Access::EXEC_OK)
        .attempt(attempt)
        .map_err(|failure| failure.hint("make it executable in the container's root file system"))
}

/// The console, or nothing.
fn standard_descriptors(blueprint: &Blueprint) -> Step<()> {
    let console = !blueprint.consoles.is_empty();
    let path = if console { "/dev/pts/0" } else { "/dev/null" };
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .attempt(|| format!("open the container's '{path}'"))?;
    if console {
        rustix::process::ioctl_tiocsctty(&file)
            .attempt(|| "make the console the controlling terminal")?;
    }
    (0..=2).try_for_each(|number| sys::place(&file, number)).attempt(|| "open the console")
}

/// Devices have arrived already, switched off and without addresses.
fn network(blueprint: &Blueprint) -> Step<()> {
    if blueprint.network != Namespace::Own {
        return Ok(());
    }
    let links = Links::open()?;
    links.set("lo", None, true)?;
    blueprint.links.iter().try_for_each(|link| set_up(&links, link))
}
