// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A stack of inverse steps: an error, a cancel or a panic unwinds what was done and nothing else.

use std::future::Future;
use std::pin::Pin;

type Step = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What must be undone if a start does not succeed, last step first.
#[derive(Default)]
pub struct Undo {
    steps: Vec<(&'static str, Step)>,
}

impl Undo {
    /// Nothing to undo yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the inverse of a step that has just been done. `what` names it in the log.
    pub fn push(&mut self, what: &'static str, inverse: impl Future<Output = ()> + Send + 'static) {
        self.steps.push((what, Box::pin(inverse)));
    }

    /// Whether there is nothing to undo.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The start succeeded: nothing will be undone.
    pub fn keep(mut self) {
        self.steps.clear();
    }

    /// Undoes everything, in reverse order.
    pub async fn unwind(mut self) {
        unwind(std::mem::take(&mut self.steps)).await;
    }
}

async fn unwind(mut steps: Vec<(&'static str, Step)>) {
    while let Some((what, step)) = steps.pop() {
        tracing::debug!(step = what, "undoing");
        step.await;
    }
}

/// A start that was cancelled (its future dropped) is undone in a task of its own.
impl Drop for Undo {
    fn drop(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !steps.is_empty() => {
                runtime.spawn(unwind(steps));
            }
            // The process ends: the next daemon cleans up by the status file.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Seen = Arc<Mutex<Vec<u8>>>;

    fn recorder() -> (Seen, impl Fn(&mut Undo, u8)) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let push = move |undo: &mut Undo, n: u8| {
            let log = log.clone();
            undo.push("step", async move { log.lock().unwrap().push(n) });
        };
        (seen, push)
    }

    #[tokio::test]
    async fn steps_are_undone_in_reverse() {
        let (seen, push) = recorder();
        let mut undo = Undo::new();
        push(&mut undo, 1);
        push(&mut undo, 2);
        undo.unwind().await;
        assert_eq!(*seen.lock().unwrap(), [2, 1]);
    }

    #[tokio::test]
    async fn a_kept_start_undoes_nothing() {
        let (seen, push) = recorder();
        let mut undo = Undo::new();
        push(&mut undo, 1);
        undo.keep();
        tokio::task::yield_now().await;
        assert!(seen.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_dropped_start_is_undone() {
        let (seen, push) = recorder();
        let mut undo = Undo::new();
        push(&mut undo, 1);
        drop(undo);
        tokio::task::yield_now().await;
        assert_eq!(*seen.lock().unwrap(), [1]);
    }
}
