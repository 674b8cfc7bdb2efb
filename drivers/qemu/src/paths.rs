// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the driver keeps what: libvirt's own places.
//!
//! ```text
//! /var/lib/libvirt/qemu/               0750  root of QEMU's folders, owned by the QEMU user
//!   domain-ID-NAME/                    0750  monitor.sock, master-key.aes of one run
//!   nvram/                             0750  firmware variables
//!   channel/target/ save/ dump/ snapshot/ checkpoint/ ram/
//! /run/libvirt/qemu/                   0755  NAME.xml, NAME.pid
//!   channel/ID-NAME/  swtpm/  dbus/  passt/  slirp/
//! /var/log/libvirt/qemu/NAME.log       0600
//! /var/cache/libvirt/qemu/capabilities 0755
//! ```

use std::path::{Path, PathBuf};

use virtus_core::Paths;

use crate::plan::{Dirs, short_name};

/// The folders of the driver.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// `/etc/libvirt/qemu`.
    pub(crate) config: PathBuf,
    /// `/run/libvirt/qemu`.
    pub(crate) run: PathBuf,
    /// `/var/lib/libvirt/qemu`.
    pub(crate) lib: PathBuf,
    /// `/var/lib/libvirt/swtpm`.
    pub(crate) swtpm: PathBuf,
    /// `/var/log/libvirt/qemu`.
    pub(crate) log: PathBuf,
    /// `/var/log/swtpm/libvirt/qemu`, or beside the other logs when paths are moved.
    pub(crate) swtpm_log: PathBuf,
    /// `/var/cache/libvirt/qemu`.
    pub(crate) cache: PathBuf,
}

impl Places {
    /// The folders below those of the daemon.
    #[must_use]
    pub(crate) fn new(paths: &Paths) -> Self {
        Self {
            config: paths.config.join("qemu"),
            // A session keeps what runs one folder deeper, as libvirt does.
            run: paths.run.join(if paths.system { "qemu" } else { "qemu/run" }),
            lib: paths.lib.join("qemu"),
            swtpm: paths.lib.join("swtpm"),
            log: paths.log.join("qemu"),
            swtpm_log: match paths.log.parent().filter(|_| paths.system) {
                Some(log) => log.join("swtpm/libvirt/qemu"),
                None => paths.log.join("swtpm"),
            },
            cache: paths.cache.join("qemu"),
        }
    }

    /// The folders as the planner wants them.
    #[must_use]
    pub(crate) fn dirs(&self) -> Dirs {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        Dirs {
            lib: text(self.lib.clone()),
            channel: text(self.run.join("channel")),
            ram: text(self.lib.join("ram")),
            nvram: text(self.lib.join("nvram")),
            dbus: text(self.run.join("dbus")),
            passt: text(self.run.join("passt")),
        }
    }

    /// The folder of one run of a guest.
    #[must_use]
    pub(crate) fn domain(&self, id: i32, name: &str) -> PathBuf {
        self.lib.join(format!("domain-{}", short_name(id, name)))
    }

    /// The monitor's socket of one run of a guest.
    #[must_use]
    pub(crate) fn monitor(&self, id: i32, name: &str) -> PathBuf {
        self.domain(id, name).join("monitor.sock")
    }

    /// The sockets of the channels of one run of a guest.
    #[must_use]
    pub(crate) fn channel(&self, id: i32, name: &str) -> PathBuf {
        self.run.join("channel").join(short_name(id, name))
    }

    /// The file that names the process.
    #[must_use]
    pub(crate) fn pid_file(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.pid"))
    }

    /// The guest's log.
    #[must_use]
    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.log.join(format!("{name}.log"))
    }

    /// The socket of the emulated TPM of one run of a guest.
    #[must_use]
    pub(crate) fn swtpm_socket(&self, id: i32, name: &str) -> PathBuf {
        self.run.join("swtpm").join(format!("{}-swtpm.sock", short_name(id, name)))
    }

    /// The file that names the process of the emulated TPM.
    #[must_use]
    pub(crate) fn swtpm_pid_file(&self, id: i32, name: &str) -> PathBuf {
        self.run.join("swtpm").join(format!("{}-swtpm.pid", short_name(id, name)))
    }

    /// The folders that are made when the driver starts, with their modes, and whether they belong to
    /// the QEMU user.
    pub(crate) fn standing(&self) -> Vec<(PathBuf, u32, bool)> {
        let owned = |path: &Path, mode| (path.to_owned(), mode, true);
        let mut all = vec![
            (self.config.clone(), 0o700, false),
            (self.config.join("autostart"), 0o700, false),
            (self.run.clone(), 0o755, false),
            (self.log.clone(), 0o755, false),
            (self.cache.clone(), 0o750, true),
            (self.cache.join("capabilities"), 0o755, true),
            (self.swtpm.clone(), 0o711, false),
            owned(&self.lib, 0o751),
        ];
        for name in ["nvram", "save", "dump", "snapshot", "checkpoint", "ram", "channel"] {
            all.push(owned(&self.lib.join(name), 0o750));
        }
        all.push(owned(&self.lib.join("channel/target"), 0o750));
        for (name, mode) in [
            ("channel", 0o755),
            ("swtpm", 0o770),
            ("dbus", 0o770),
            ("passt", 0o755),
            ("slirp", 0o770),
        ] {
            all.push(owned(&self.run.join(name), mode));
        }
        all
    }
}
