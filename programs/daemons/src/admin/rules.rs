// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the configuration says about the admin socket.

use virtus_api::Result;
use virtus_core::conf::Conf;
use virtus_rpc::Limits;

use crate::config::{at_least_one, mode};
use crate::table::Daemon;

/// The admin socket and its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdminRules {
    /// Mode of the socket.
    pub(crate) mode: u32,
    /// Clients that may wait in the socket.
    pub(crate) queue: i32,
    /// Limits of the server.
    pub(crate) limits: Limits,
}

impl AdminRules {
    pub(crate) fn read(daemon: &Daemon, conf: &Conf) -> Result<Self> {
        let count = |name, usual| at_least_one(conf, name).map(|found| found.unwrap_or(usual));
        let few = if daemon.own.is_some() { 5 } else { 5000 };
        let max_workers = count("admin_max_workers", 20)?;
        Ok(Self {
            mode: mode(conf, "unix_sock_admin_perms")?.unwrap_or(0o700),
            queue: count("admin_max_queued_clients", 20)?.try_into().unwrap_or(i32::MAX),
            // All clients here are the same user.
            limits: Limits {
                max_clients: count("admin_max_clients", few)?,
                max_user_clients: usize::MAX,
                // Nobody has to open a connection here.
                max_anonymous_clients: 0,
                max_client_requests: count("admin_max_client_requests", 5)?,
                max_user_requests: usize::MAX,
                min_workers: conf.number("admin_min_workers")?.unwrap_or(5).min(max_workers),
                max_workers,
                prio_workers: 0,
                // There is no way to ask for it here, and a client that did not ask is not pinged.
                keepalive: None,
            },
        })
    }
}
