// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daemons' log, with libvirt's levels, filters, outputs and line format.
//!
//! `tracing` events come in; lines such as
//! `2026-11-21 02:37:00.123+0000: 4711: info : rpc.client:12 : text` go out, to standard error, a
//! file, syslog or the journal. Filters match a part of the category, which is the module without
//! our prefix (`qemu.monitor`), so `1:qemu` and `3:rpc` mean what they mean to libvirt.
//!
//! Invariants: settings change while the daemon runs, whole or not at all; a message that no output
//! wants costs one atomic load; an output that fails never fails its caller.

mod settings;
mod sink;
mod subscriber;
mod time;

use std::sync::Arc;

use tracing::Metadata;
use tracing::metadata::LevelFilter;
use virtus_api::Result;

pub use settings::{Filter, Output, Settings, Target};
use subscriber::Active;
pub use time::Stamp;

/// libvirt's log priorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 1: everything.
    Debug = 1,
    /// 2: what an operator may want to follow.
    Info = 2,
    /// 3: works, but should be looked at.
    Warning = 3,
    /// 4: something that was asked for failed.
    Error = 4,
}

impl Level {
    /// The level that a configuration file or variable calls `text`: `1`…`4` or its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "1" | "debug" => Some(Self::Debug),
            "2" | "info" => Some(Self::Info),
            "3" | "warn" | "warning" => Some(Self::Warning),
            "4" | "error" => Some(Self::Error),
            _ => None,
        }
    }

    fn of(metadata: &Metadata<'_>) -> Self {
        match *metadata.level() {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG | tracing::Level::TRACE => Self::Debug,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warning => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::TRACE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The syslog severity, which is also the journal's `PRIORITY`.
    fn severity(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }
}

/// The category of a module: `virtus_qemu::monitor::greeting` is `qemu.monitor.greeting`.
fn category(target: &str) -> String {
    target.strip_prefix("virtus_").unwrap_or(target).replace("::", ".")
}

/// The process's log. Clones are the same log.
#[derive(Clone)]
pub struct Log(Arc<Active>);

impl Log {
    /// Makes this the process's log. May succeed once per process.
    ///
    /// # Errors
    /// An output that cannot be opened, named with its cause.
    pub fn install(settings: Settings) -> Result<Self> {
        let active = Arc::new(Active::open(settings)?);
        // In a test process that has a log already the first one stays.
        let _second = tracing::subscriber::set_global_default(active.subscriber());
        Ok(Self(active))
    }

    /// Changes of level, filters and outputs what `change` changes, which may be asked more than
    /// once; files are opened anew, so a rotated log starts afresh. Blocks while it opens them.
    ///
    /// # Errors
    /// An output that cannot be opened; then everything stays as it was.
    pub fn change(&self, change: impl Fn(&mut Settings)) -> Result<()> {
        self.0.change(change)?;
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// What holds now.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.0.settings()
    }
}

#[cfg(test)]
mod tests;
