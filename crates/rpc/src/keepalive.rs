// SPDX-License-Identifier: Apache-2.0 OR MIT
//! When to ping a silent peer and when to give it up. Pure: it is told the time.
//!
//! ```text
//! last message ─ interval ─ ping 1 ─ interval ─ … ─ ping N ─ interval ─ dead
//! ```
//! Every message that comes in starts this anew. A daemon pings only clients that asked for keepalive
//! (feature 10): a client without an event loop drops the connection on a ping.

use std::time::{Duration, Instant};

/// Interval and number of pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Silence before each ping.
    pub interval: Duration,
    /// Pings without an answer before the peer counts as dead.
    pub count: u32,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Ping,
    Dead,
}

/// The pings of one peer.
pub(crate) struct Keepalive {
    policy: Policy,
    sent: u32,
    last_heard: Instant,
}

impl Keepalive {
    pub(crate) fn new(policy: Policy, now: Instant) -> Self {
        Self { policy, sent: 0, last_heard: now }
    }

    /// A message came in.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.sent = 0;
        self.last_heard = now;
    }

    /// When [`Keepalive::due`] should be asked next.
    pub(crate) fn deadline(&self) -> Instant {
        self.last_heard + self.policy.interval * (self.sent + 1)
    }

    /// What is due at `now`; a ping counts as sent.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        if now < self.deadline() {
            return None;
        }
        if self.sent == self.policy.count {
            return Some(Due::Dead);
        }
        self.sent += 1;
        Some(Due::Ping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_pings_then_dead_thirty_seconds_after_the_last_message() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let policy = Policy { interval: Duration::from_secs(5), count: 5 };
        let mut keepalive = Keepalive::new(policy, start);
        assert_eq!(keepalive.due(at(4)), None);
        keepalive.heard(at(4));
        for ping in 1..=5 {
            assert_eq!(keepalive.deadline(), at(4 + 5 * ping));
            assert_eq!(keepalive.due(at(4 + 5 * ping)), Some(Due::Ping));
            assert_eq!(keepalive.due(at(4 + 5 * ping)), None);
        }
        assert_eq!(keepalive.due(at(34)), Some(Due::Dead));
        keepalive.heard(at(34));
        assert_eq!(keepalive.due(at(39)), Some(Due::Ping));
    }
}
