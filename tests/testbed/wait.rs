// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Waiting with a deadline, for what gives no event.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::run::Done;

/// How long anything ordinary may take on a small, loaded machine, a guest's boot included.
pub const DEADLINE: Duration = Duration::from_secs(60);

const STEP: Duration = Duration::from_millis(20);

/// Far more than a call takes, far less than any deadline in a daemon.
const PROMPT: Duration = Duration::from_secs(3);

/// Makes a call that nobody may hold up. The fastest of a few tries counts: a busy machine may delay any of them.
pub fn promptly(mut call: impl FnMut() -> Outcome<Done>) -> Outcome<Done> {
    let mut took = Vec::new();
    for _ in 0..5 {
        let done = call()?;
        if done.took < PROMPT {
            return Ok(done);
        }
        took.push(done.took);
    }
    Err(format!("no call was answered promptly: they took {took:?}").into())
}

/// Asks `condition` until it holds; `what` completes "waited 60 s for …".
pub fn wait_for(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Outcome<bool>,
) -> Outcome {
    let end = Instant::now() + deadline;
    while !condition()? {
        if Instant::now() >= end {
            return Err(format!("waited {deadline:?} for {what}").into());
        }
        std::thread::sleep(STEP);
    }
    Ok(())
}
