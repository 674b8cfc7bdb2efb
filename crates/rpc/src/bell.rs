// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What wakes a client's task beside its socket: one thing to wait for, however many reasons there are.
//!
//! Invariant: a ring is heard, whether it comes before somebody waits or while; rings for the same reason are one.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// Why a bell rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Ring {
    /// The server stops: the client may finish what it has begun. Stays.
    Stop = 1,
    /// The client has to go now. Stays.
    Kick = 2,
    /// Something waits to be written. Heard once.
    Output = 4,
}

/// The bell of one client, for whose task alone it rings.
#[derive(Default)]
pub(crate) struct Bell {
    rung: AtomicU8,
    listener: AtomicWaker,
}

impl Bell {
    pub(crate) fn ring(&self, why: Ring) {
        self.rung.fetch_or(why as u8, Ordering::AcqRel);
        self.listener.wake();
    }

    fn has_rung(&self, why: Ring) -> bool {
        self.rung.load(Ordering::Acquire) & why as u8 != 0
    }

    /// Resolves when the client has to end: whether at once, the only way unless `may_stop`. Whoever waits is woken for
    /// whatever reason it rings.
    pub(crate) async fn end(&self, may_stop: bool) -> bool {
        poll_fn(|context| {
            self.listener.register(context.waker());
            if self.has_rung(Ring::Kick) {
                Poll::Ready(true)
            } else if may_stop && self.has_rung(Ring::Stop) {
                Poll::Ready(false)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Resolves when something waits to be written. Only for a task that waits for the [end](Self::end) too, which has it
    /// woken. The two are apart because somebody who gets much is still to be listened to, in between.
    pub(crate) async fn output(&self) {
        poll_fn(|_| {
            if !self.has_rung(Ring::Output) {
                return Poll::Pending;
            }
            self.rung.fetch_and(!(Ring::Output as u8), Ordering::AcqRel);
            Poll::Ready(())
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_ring_is_heard_before_and_while_somebody_waits() {
        let bell = Arc::new(Bell::default());
        bell.ring(Ring::Output);
        bell.ring(Ring::Output);
        assert!(bell.output().now_or_never().is_some());
        assert!(bell.output().now_or_never().is_none());
        let waiting = tokio::spawn({
            let bell = bell.clone();
            async move {
                tokio::select! {
                    biased;
                    end = bell.end(false) => Some(end),
                    () = bell.output() => None,
                }
            }
        });
        tokio::task::yield_now().await;
        bell.ring(Ring::Stop);
        tokio::task::yield_now().await;
        bell.ring(Ring::Output);
        assert_eq!(waiting.await.unwrap(), None);
        for _ in 0..2 {
            assert_eq!(bell.end(true).now_or_never(), Some(false));
            assert_eq!(bell.end(false).now_or_never(), None);
        }
        bell.ring(Ring::Kick);
        for may_stop in [true, false] {
            assert_eq!(bell.end(may_stop).now_or_never(), Some(true));
        }
    }
}
