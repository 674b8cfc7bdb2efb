// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What was decided a moment ago, so that a client that lists its guests and then looks at each is not asked about
//! twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Question;
use crate::Identity;

/// How long a decision holds: how late a changed rule may take effect.
const LIFE: Duration = Duration::from_secs(5);

/// Decisions kept at most, for all clients.
const MOST: usize = 16 * 1024;

type Known = HashMap<(Arc<Identity>, Question), (bool, Instant)>;

#[derive(Default)]
pub(super) struct Decisions(Mutex<Known>);

impl Decisions {
    fn all(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self, who: &Arc<Identity>, question: &Question) -> Option<bool> {
        let all = self.all();
        let (allowed, until) = all.get(&(who.clone(), question.clone()))?;
        (Instant::now() < *until).then_some(*allowed)
    }

    pub(super) fn keep(&self, who: &Arc<Identity>, question: Question, allowed: bool) {
        let now = Instant::now();
        let mut all = self.all();
        if all.len() >= MOST {
            all.retain(|_, (_, until)| now < *until);
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert((who.clone(), question), (allowed, now + LIFE));
    }
}

#[cfg(test)]
mod tests {
    use virtus_api::CallId;

    use super::*;
    use crate::access::Details;

    fn question(driver: &str) -> Question {
        let permission = CallId::ConnectOpen.meta().acl[0].permission;
        Question { permission, details: Details::of_connection(driver) }
    }

    #[tokio::test(start_paused = true)]
    async fn decisions_hold_for_a_moment_and_for_whom_they_were_made() {
        let decisions = Decisions::default();
        let one = Arc::new(Identity { uid: Some(1), ..Identity::default() });
        let two = Arc::new(Identity { uid: Some(2), ..Identity::default() });
        decisions.keep(&one, question("a"), true);
        decisions.keep(&one, question("b"), false);
        assert_eq!(decisions.known(&one, &question("a")), Some(true));
        assert_eq!(decisions.known(&one, &question("b")), Some(false));
        assert_eq!(decisions.known(&two, &question("a")), None);
        tokio::time::advance(LIFE).await;
        assert_eq!(decisions.known(&one, &question("a")), None);
    }

    #[tokio::test]
    async fn they_do_not_grow_without_bound() {
        let decisions = Decisions::default();
        let one = Arc::new(Identity::default());
        for number in 0..MOST + 10 {
            decisions.keep(&one, question(&number.to_string()), true);
        }
        assert!(decisions.all().len() <= MOST);
        assert_eq!(decisions.known(&one, &question(&(MOST + 9).to_string())), Some(true));
    }
}
