// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What takes a while to find out, and many clients may ask for at once.

use tokio::sync::{mpsc, oneshot};
use virtus_api::{Error, ErrorCode, Result};

/// Questions that wait; the next ones wait for a place among them.
const WAITING: usize = 64;

/// Finds out the same thing for all who ask, once at a time: those who ask meanwhile share the next answer. No answer
/// is older than its question.
pub struct SharedAnswer<T> {
    what: &'static str,
    questions: mpsc::Sender<oneshot::Sender<Result<T>>>,
}

impl<T: Clone + Send + 'static> SharedAnswer<T> {
    /// `find` finds out `what`. Nobody else is held up by it only if it leaves the runtime's threads to others meanwhile.
    pub fn new<F>(what: &'static str, find: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (questions, mut asked) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut waiting: Vec<oneshot::Sender<Result<T>>> = Vec::new();
            while asked.recv_many(&mut waiting, WAITING).await > 0 {
                let found = tokio::spawn(find()).await.unwrap_or_else(|cause| {
                    let text = format!("finding out {what} was broken off: {cause}");
                    Err(Error::new(ErrorCode::InternalError, text))
                });
                for who in waiting.drain(..) {
                    // Who does not wait any more needs no answer.
                    let _gone = who.send(found.clone());
                }
            }
        });
        Self { what, questions }
    }

    /// The answer.
    ///
    /// # Errors
    /// What finding it out failed with.
    pub async fn get(&self) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        // The task that finds out lives as long as this.
        let _asked = self.questions.send(answer).await;
        answered.await.unwrap_or_else(|_| {
            let text = format!("nobody finds out {} any more", self.what);
            Err(Error::new(ErrorCode::InternalError, text))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn who_asks_meanwhile_shares_the_next_answer() {
        let (begun, may_end) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
        let (count, end) = (begun.clone(), may_end.clone());
        let shared = Arc::new(SharedAnswer::new("the number", move || {
            let (number, end) = (count.fetch_add(1, Ordering::SeqCst), end.clone());
            async move {
                end.acquire().await.unwrap().forget();
                if number == 2 { panic!("the third one") } else { Ok(number) }
            }
        }));
        let ask = || {
            let shared = shared.clone();
            tokio::spawn(async move { shared.get().await })
        };
        let first = ask();
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let later: Vec<_> = (0..9).map(|_| ask()).collect();
        // All of them have asked before the first answer is there.
        tokio::task::yield_now().await;
        may_end.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), 0);
        for one in later {
            assert_eq!(one.await.unwrap().unwrap(), 1);
        }
        may_end.add_permits(2);
        assert!(ask().await.unwrap().is_err());
        assert_eq!(ask().await.unwrap().unwrap(), 3);
    }
}
