// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the driver keeps what: libvirt's own places.
//!
//! ```text
//! /etc/libvirt/lxc/NAME.xml        definitions, autostart/
//! /run/libvirt/lxc/NAME.xml        status     NAME.pid, NAME.sock of the controller
//! /var/log/libvirt/lxc/NAME.log    what the controller says
//! ```

use std::path::{Path, PathBuf};

use virtus_core::Paths;
use virtus_host::process::find_program;

/// The controller's program.
const CONTROLLER: &str = "libvirt_lxc";

/// The folders of the driver.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// `/etc/libvirt/lxc`.
    pub(crate) config: PathBuf,
    /// `/run/libvirt/lxc`.
    pub(crate) run: PathBuf,
    /// `/var/log/libvirt/lxc`.
    pub(crate) log: PathBuf,
}

impl Places {
    /// The folders below those of the daemon.
    pub(crate) fn new(paths: &Paths) -> Self {
        Self {
            config: paths.config.join("lxc"),
            run: paths.run.join("lxc"),
            log: paths.log.join("lxc"),
        }
    }

    /// The folders that are made when the driver starts, with their modes.
    pub(crate) fn standing(&self) -> [(PathBuf, u32); 4] {
        let autostart = self.config.join("autostart");
        [(&self.config, 0o700), (&autostart, 0o700), (&self.run, 0o755), (&self.log, 0o700)]
            .map(|(folder, mode)| (folder.clone(), mode))
    }

    /// Where a container's controller listens.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.sock"))
    }

    /// The file that names the controller's process.
    pub(crate) fn pid_file(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.pid"))
    }

    /// What a container's controller says.
    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.log.join(format!("{name}.log"))
    }
}

/// The controller of this installation: beside the daemon in a tree that was just built, else where packages
/// put it.
pub(crate) fn controller() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|daemon| daemon.with_file_name(CONTROLLER));
    let packaged =
        ["/usr/libexec", "/usr/lib/libvirt"].map(|folder| Path::new(folder).join(CONTROLLER));
    let [default, _] = &packaged;
    let default = default.clone();
    beside.into_iter().chain(packaged).find_map(find_program).unwrap_or(default)
}

/// Whether `path` names a controller, be it of this installation or of another.
pub(crate) fn is_controller(path: &str) -> bool {
    Path::new(path).file_name().is_some_and(|name| name == CONTROLLER)
}
