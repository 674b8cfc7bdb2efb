// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `--timeout`: the end of a daemon that nobody needs.

use std::time::Duration;

use tokio::time::Instant;

/// How often an idle daemon looks whether it still is.
pub(crate) const CHECK: Duration = Duration::from_millis(500);

/// Whether the daemon has been of no use for as long as `--timeout` says.
pub(crate) struct Idle {
    timeout: Option<Duration>,
    since: Option<Instant>,
    arrivals: u64,
}

impl Idle {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, since: None, arrivals: 0 }
    }

    pub(crate) fn matters(&self) -> bool {
        self.timeout.is_some()
    }

    /// `used_by` counts clients and running guests; `arrivals` also tells of those who came and
    /// went since the last look.
    pub(crate) fn is_over(&mut self, used_by: usize, arrivals: u64, now: Instant) -> bool {
        if used_by > 0 || arrivals != self.arrivals {
            self.arrivals = arrivals;
            self.since = None;
        }
        let since = *self.since.get_or_insert(now);
        used_by == 0 && self.timeout.is_some_and(|timeout| now - since >= timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_daemon_ends_after_its_timeout_and_not_before() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut idle = Idle::new(Some(Duration::from_secs(10)));
        assert!(!idle.is_over(0, 0, at(0)));
        assert!(!idle.is_over(1, 1, at(9)), "a client");
        assert!(!idle.is_over(0, 1, at(12)), "counts from the last use");
        assert!(!idle.is_over(0, 2, at(21)), "somebody came and went");
        assert!(!idle.is_over(0, 2, at(30)));
        assert!(idle.is_over(0, 2, at(31)));
    }
}
