// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an administrator may ask of a running server, and change.
//!
//! Every change holds at once: a higher limit lets in those who wait, a lower one ends nobody who
//! is there.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::{ClientInfo, Server};

/// How many clients there may be, and are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// Clients at the same time.
    pub max: usize,
    /// Clients connected now.
    pub now: usize,
    /// Clients that have not opened a connection, before the oldest of them may have to go.
    pub max_silent: usize,
    /// Clients that have not opened a connection yet.
    pub silent: usize,
}

/// The configured sizes of the pool of places for `Host` calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSizes {
    /// The number below which `max` may not be set. Places cost nothing while nobody uses them, so
    /// all `max` are always there.
    pub min: usize,
    /// Calls that may run at the same time.
    pub max: usize,
    /// Further calls of high priority.
    pub urgent: usize,
}

/// The pool of places for `Host` calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// What is configured.
    pub sizes: PoolSizes,
    /// Places that exist: `max`, and after it was lowered also those of calls that still run.
    pub places: usize,
    /// Places that no call has taken.
    pub free: usize,
    /// Calls that wait for a place.
    pub waiting: usize,
}

impl Server {
    /// Who is connected, in the order of arrival.
    #[must_use]
    pub fn client_infos(&self) -> Vec<ClientInfo> {
        self.clients.infos()
    }

    /// The client of this number, if it is connected.
    #[must_use]
    pub fn client_info(&self, id: u64) -> Option<ClientInfo> {
        self.clients.info(id)
    }

    /// Ends a client's connection; `false` if there is no such client. Its calls in flight are
    /// finished, but not answered.
    pub fn disconnect(&self, id: u64) -> bool {
        self.clients.kick(id)
    }

    /// Limits and numbers of clients.
    #[must_use]
    pub fn client_limits(&self) -> ClientLimits {
        let limits = self.limits();
        let (now, silent) = self.clients.counts();
        ClientLimits {
            max: limits.max_clients,
            now,
            max_silent: limits.max_anonymous_clients,
            silent,
        }
    }

    /// Sets what is given of `max_clients` and `max_anonymous_clients`.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` if there could be more silent clients than clients.
    pub fn set_client_limits(&self, max: Option<usize>, max_silent: Option<usize>) -> Result<()> {
        self.change_limits(|limits| {
            limits.max_clients = max.unwrap_or(limits.max_clients);
            limits.max_anonymous_clients = max_silent.unwrap_or(limits.max_anonymous_clients);
            if limits.max_clients < limits.max_anonymous_clients {
                let text = "The overall maximum number of clients must not be less than the \
                            number of clients waiting for authentication";
                return Err(invalid(text).in_domain(ErrorDomain::Rpc));
            }
            Ok(())
        })
    }

    /// Sizes and numbers of the places for `Host` calls.
    #[must_use]
    pub fn pool(&self) -> Pool {
        let limits = self.limits();
        self.workers.pool(PoolSizes {
            min: limits.min_workers,
            max: limits.max_workers,
            urgent: limits.prio_workers,
        })
    }

    /// Sets what is given of `min_workers`, `max_workers` and `prio_workers`.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` if the lower number is above the upper one, or no call could run.
    pub fn set_pool(
        &self,
        min: Option<usize>,
        max: Option<usize>,
        urgent: Option<usize>,
    ) -> Result<()> {
        self.change_limits(|limits| {
            limits.min_workers = min.unwrap_or(limits.min_workers);
            limits.max_workers = max.unwrap_or(limits.max_workers);
            limits.prio_workers = urgent.unwrap_or(limits.prio_workers);
            if limits.min_workers > limits.max_workers {
                return Err(invalid("minWorkers cannot be larger than maxWorkers"));
            }
            if limits.max_workers == 0 {
                let text = "maxWorkers must not be switched from zero to non-zero and vice versa";
                return Err(invalid(text).hint("at least one worker is needed"));
            }
            Ok(())
        })
    }
}

fn invalid(text: &'static str) -> Error {
    Error::new(ErrorCode::InvalidArg, text)
}
