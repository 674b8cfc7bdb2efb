// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `virtlogd.conf` says about the logs themselves.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use virtus_api::Result;
use virtus_core::conf::{Conf, Value};

/// More are not kept: all of them are renamed each time.
const MOST_BACKUPS: usize = 32;

/// When a log is set aside, and when it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    /// Bytes of a file before it is set aside; 0: without limit.
    pub(super) max_size: u64,
    /// Files that are kept beside the one that is written.
    pub(super) max_backups: usize,
    /// Days that a log stays after it was last written; 0: for ever.
    pub(super) max_age_days: u64,
    /// Where logs are that may be too old.
    pub(super) root: PathBuf,
}

impl Default for Rules {
    fn default() -> Self {
        Self { max_size: 2 << 20, max_backups: 3, max_age_days: 0, root: PathBuf::new() }
    }
}

impl Rules {
    /// Reads the keys; logs are in `folder` if nobody says otherwise.
    pub(super) fn read(conf: &Conf, folder: &Path) -> Result<Self> {
        let usual = Self::default();
        Ok(Self {
            max_size: conf.number("max_size")?.unwrap_or(usual.max_size),
            max_backups: max_backups(conf)?.unwrap_or(usual.max_backups),
            max_age_days: conf.number("max_age_days")?.unwrap_or(usual.max_age_days),
            root: conf.text("log_root")?.map_or_else(|| folder.to_owned(), PathBuf::from),
        })
    }
}

fn max_backups(conf: &Conf) -> Result<Option<usize>> {
    conf.typed("max_backups", &format!("a number from 0 to {MOST_BACKUPS}"), |value| match value {
        Value::Number(number) => usize::try_from(*number).ok().filter(|n| *n <= MOST_BACKUPS),
        _ => None,
    })
}

/// The rules in force, which a reload changes for all logs.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<RwLock<Arc<Rules>>>);

impl Shared {
    pub(super) fn new(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    pub(super) fn now(&self) -> Arc<Rules> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}
