// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The logs that are open, by their paths: one guest writes a log at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use virtus_api::{Error, LogDomain, Result};

use super::ask;
use super::pump::Order;

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
        let (orders, taken) = mpsc::channel(ORDERS);
        let mut logs = self.logs();
        if logs.contains_key(path) {
            return Err(busy(path, &logs));
        }
        logs.insert(path.to_owned(), Log { orders, origin });
        Ok((Place { open: self.clone(), path: path.to_owned() }, taken))
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
