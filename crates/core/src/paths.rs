// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where everything lives: libvirt's own places, for the system and for one user's session.
//!
//! One variable, `VIRTUS_ROOT=/dir`, moves them all below a folder, so that a test or a trial runs
//! beside a live libvirt without touching it.

use std::env;
use std::path::{Path, PathBuf};

/// The variable that moves every path below a folder.
pub const ROOT_VARIABLE: &str = "VIRTUS_ROOT";

/// The folders of one daemon (`--sysconfdir`, `--runstatedir`, … of libvirt, with `/libvirt` added).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Whether these are the system's (`qemu:///system`) or one user's (`qemu:///session`).
    pub system: bool,
    /// Configuration and definitions: `/etc/libvirt`, `~/.config/libvirt`.
    pub config: PathBuf,
    /// Sockets, PID files, state of what runs: `/run/libvirt`, `$XDG_RUNTIME_DIR/libvirt`.
    pub run: PathBuf,
    /// Data that stays: `/var/lib/libvirt`; a session keeps it with its configuration.
    pub lib: PathBuf,
    /// What can be made again: `/var/cache/libvirt`, `~/.cache/libvirt`.
    pub cache: PathBuf,
    /// Logs: `/var/log/libvirt`; a session keeps them in its cache.
    pub log: PathBuf,
    /// The folder of PID files: `/run`, or the session's runtime folder.
    pub pid: PathBuf,
}

impl Paths {
    /// The system's folders.
    #[must_use]
    pub fn system() -> Self {
        Self::system_below(&root())
    }

    /// The system's folders below `root`.
    #[must_use]
    pub fn system_below(root: &Path) -> Self {
        Self {
            system: true,
            config: root.join("etc/libvirt"),
            run: root.join("run/libvirt"),
            lib: root.join("var/lib/libvirt"),
            cache: root.join("var/cache/libvirt"),
            log: root.join("var/log/libvirt"),
            pid: root.join("run"),
        }
    }

    /// The calling user's folders, by the XDG base directory rules that libvirt follows.
    #[must_use]
    pub fn session(uid: u32) -> Self {
        let below = |variable: &str, fallback: &str| {
            absolute(variable).unwrap_or_else(|| {
                absolute("HOME").unwrap_or_else(|| PathBuf::from("/")).join(fallback)
            })
        };
        let config = below("XDG_CONFIG_HOME", ".config").join("libvirt");
        let cache = below("XDG_CACHE_HOME", ".cache").join("libvirt");
        let run = absolute("XDG_RUNTIME_DIR")
            .unwrap_or_else(|| PathBuf::from(format!("/run/user/{uid}")))
            .join("libvirt");
        Self {
            system: false,
            lib: config.clone(),
            log: cache.join("log"),
            pid: run.clone(),
            config,
            cache,
            run,
        }
        .below(&root())
    }

    /// The administrator's hook scripts, which a user's own daemon runs too.
    #[must_use]
    pub fn hooks(&self) -> PathBuf {
        let config = if self.system { &self.config } else { &Self::system().config };
        config.join("hooks")
    }

    fn below(self, root: &Path) -> Self {
        if root == Path::new("/") {
            return self;
        }
        let move_one = |path: PathBuf| match path.strip_prefix("/") {
            Ok(relative) => root.join(relative),
            Err(_) => path,
        };
        Self {
            system: self.system,
            config: move_one(self.config),
            run: move_one(self.run),
            lib: move_one(self.lib),
            cache: move_one(self.cache),
            log: move_one(self.log),
            pid: move_one(self.pid),
        }
    }
}

fn root() -> PathBuf {
    absolute(ROOT_VARIABLE).unwrap_or_else(|| PathBuf::from("/"))
}

fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
