// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The logs that are open, by their paths: one guest writes a log at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use virtus_api::{Error, LogDomain, Result};

use super::ask;
use super::pump::Order;
use crate::reexec::Kept;

/// Orders that wait for the task of a log.
const ORDERS: usize = 16;

/// Whose log it is.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) driver: String,
    pub(super) domain: LogDomain,
}

/// The open logs.
#[derive(Default)]
pub(super) struct Open(Mutex<BTreeMap<PathBuf, Log>>);

struct Log {
    orders: mpsc::Sender<Order>,
    origin: Origin,
    /// What its task reads, as soon as it does.
    pipe: Option<Arc<AsyncFd<OwnedFd>>>,
}

/// A log's place among them, as long as it is open.
pub(super) struct Place {
    open: Arc<Open>,
    path: PathBuf,
}

impl Open {
    fn logs(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Log>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a log, and what will be asked of it.
    ///
    /// # Errors
    /// `VIR_ERR_SYSTEM_ERROR` if somebody writes to that path.
    pub(super) async fn enter(
        self: &Arc<Self>,
        path: &Path,
        origin: Origin,
    ) -> Result<(Place, mpsc::Receiver<Order>)> {
        if let Some(orders) = self.find(path) {
            // A log that nobody can write any more ends as soon as its pipe is looked at.
            let _ended = ask(&orders, Order::Position).await;
            if ask(&orders, Order::Position).await.is_ok() {
                return Err(busy(path, &self.logs()));
            }
        }
        self.insert(path, origin)
    }

    /// A place for a log that nobody can have opened before.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub(super) fn insert(
        self: &Arc<Self>,
        path: &Path,
        origin: Origin,
    ) -> Result<(Place, mpsc::Receiver<Order>)> {
        let (orders, taken) = mpsc::channel(ORDERS);
        let mut logs = self.logs();
        if logs.contains_key(path) {
            return Err(busy(path, &logs));
        }
        logs.insert(path.to_owned(), Log { orders, origin, pipe: None });
        Ok((Place { open: self.clone(), path: path.to_owned() }, taken))
    }

    /// What a successor needs of all of them.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub(super) fn describe(&self, kept: &mut Kept) -> io::Result<Vec<Value>> {
        let logs = self.logs();
        let piped = logs.iter().filter_map(|(path, log)| Some((path, log, log.pipe.as_ref()?)));
        let describe = |(path, log, pipe): (&PathBuf, &Log, &Arc<AsyncFd<OwnedFd>>)| {
            let Origin { driver, domain } = &log.origin;
            Ok(json!({
                "pipefd": kept.keep(pipe.get_ref())?, "path": path.to_string_lossy(),
                "driver": driver, "domname": domain.name, "domuuid": domain.uuid.to_string(),
            }))
        };
        piped.map(describe).collect()
    }

    pub(super) fn find(&self, path: &Path) -> Option<mpsc::Sender<Order>> {
        self.logs().get(path).map(|log| log.orders.clone())
    }

    pub(super) fn all(&self) -> Vec<mpsc::Sender<Order>> {
        self.logs().values().map(|log| log.orders.clone()).collect()
    }

    pub(super) fn paths(&self) -> BTreeSet<PathBuf> {
        self.logs().keys().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.logs().len()
    }
}

impl Place {
    /// Says what the log's task reads.
    pub(super) fn set_pipe(&self, pipe: Arc<AsyncFd<OwnedFd>>) {
        if let Some(log) = self.open.logs().get_mut(&self.path) {
            log.pipe = Some(pipe);
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.logs().remove(&self.path);
    }
}

fn busy(path: &Path, logs: &BTreeMap<PathBuf, Log>) -> Error {
    let what = format!("Cannot open log file: '{}'", path.display());
    let error = Error::system(what, &rustix::io::Errno::BUSY.into());
    match logs.get(path).map(|log| &log.origin) {
        Some(Origin { driver, domain }) => {
            error.hint(format!("{driver} domain '{}' writes to it", domain.name))
        }
        None => error,
    }
}
