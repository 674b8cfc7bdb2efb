// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Gives a client the namespaces of a container, to enter them.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use virtus_api::{Error, ErrorDomain, LxcDomainOpenNamespace, Result};
use virtus_core::{Call, Routes};
use virtus_domain::routes::check_flags;

use super::running;
use crate::driver::LxcDriver;

/// In the order in which they are entered: with the first come the rights for the others.
const NAMESPACES: [&str; 6] = ["user", "ipc", "uts", "net", "pid", "mnt"];

/// The routes of this file.
pub(super) fn routes() -> Routes<LxcDriver> {
    Routes::new().on_with_fds(open).in_domain(ErrorDomain::Lxc)
}

async fn open(
    driver: Arc<LxcDriver>,
    _: Call,
    request: LxcDomainOpenNamespace,
) -> Result<((), Vec<OwnedFd>)> {
    check_flags(request.flags, 0, "virDomainLxcOpenNamespace")?;
    let (container, _) = running(&driver, &request.dom)?;
    // Held while its files are opened: the number stays its own.
    let init = container.init_process()?;
    let mut namespaces = Vec::new();
    for name in NAMESPACES {
        let path = format!("/proc/{}/ns/{name}", init.pid());
        match File::open(&path) {
            Ok(file) => namespaces.push(file.into()),
            // A kernel that is built without it.
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::system(format!("cannot open '{path}'"), &cause)),
        }
    }
    Ok(((), namespaces))
}
