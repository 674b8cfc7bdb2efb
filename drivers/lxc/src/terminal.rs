// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Consoles: a pseudo terminal on the host for each. The controller gets the master, clients open the slave.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use virtus_api::{Error, Result};

/// A new terminal without line discipline: its master, and the path of its slave.
pub(crate) fn open() -> Result<(OwnedFd, String)> {
    made().map_err(|cause| Error::system("cannot make a pseudo terminal", &cause.into()))
}

fn made() -> rustix::io::Result<(OwnedFd, String)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?.to_string_lossy().into_owned();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(&path, flags, Mode::empty())?;
    let mut settings = tcgetattr(&slave)?;
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    Ok((master, path))
}
