// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is due at a time: pings, and the ends of clients that are silent, do not read, or are gone.
//!
//! A client has a timer only while something is due: with one in the runtime, the kernel sets one for each call.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use virtus_wire::program::KEEPALIVE_PING;

use super::behind::Behind;
use super::{Client, End};
use crate::keepalive::Due;

/// A client that has not read a single byte for so long, although some wait, is disconnected.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// How often a client that is not read is looked after: whether it is still there.
pub(super) const HANG_UP_CHECK: Duration = Duration::from_secs(1);

impl Client {
    /// The next moment at which something may be due, if anything may.
    fn deadline(&self, may_take: bool) -> Option<Instant> {
        let silent = self.must_open_by();
        let keepalive = self.keepalive.as_ref().map(|keepalive| keepalive.deadline().into());
        let write = self.write_since.map(|since| since + WRITE_LIMIT);
        let behind = self.behind().and_then(Behind::deadline).map(Instant::from_std);
        let hang_up = (!may_take).then(|| Instant::now() + HANG_UP_CHECK);
        [silent, keepalive, write, behind, hang_up].into_iter().flatten().min()
    }

    /// Sets the timer for what is due next. An earlier one stays, and so does any one as long as a stream would set it and
    /// take it away with each packet.
    pub(super) fn set_timer(&self, mut timer: Pin<&mut Option<Sleep>>, may_take: bool) {
        let set = timer.as_ref().as_pin_ref().map(|timer| timer.deadline());
        match self.deadline(may_take) {
            Some(due) if set.is_none_or(|set| due < set) => timer.set(Some(sleep_until(due))),
            None if set.is_some() && self.streams.is_empty() => timer.set(None),
            _ => {}
        }
    }

    pub(super) fn on_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.must_open_by().is_some_and(|end| now >= end) {
            return Err(End::Silent);
        }
        if self.write_since.is_some_and(|since| now >= since + WRITE_LIMIT) {
            return Err(End::NotReading);
        }
        if !self.may_take() {
            if self.transport.has_hung_up() {
                return Err(End::HungUp);
            }
            // We do not listen at the moment, so silence proves nothing.
            self.heard();
        }
        self.ping_behind(now)?;
        match self.keepalive.as_mut().and_then(|keepalive| keepalive.due(now.into_std())) {
            Some(Due::Dead) => return Err(End::Dead),
            Some(Due::Ping) => self.send_keepalive(KEEPALIVE_PING),
            None => {}
        }
        Ok(())
    }
}

/// Resolves when the timer has run out, if there is one.
pub(super) async fn run_out(timer: Pin<&mut Option<Sleep>>) {
    match timer.as_pin_mut() {
        Some(timer) => timer.await,
        None => pending().await,
    }
}
