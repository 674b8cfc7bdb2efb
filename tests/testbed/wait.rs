// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Waiting with a deadline, for what gives no event.

use std::time::{Duration, Instant};

use crate::Outcome;

/// How long anything ordinary may take on a small, loaded machine, a guest's boot included.
pub const DEADLINE: Duration = Duration::from_secs(60);

const STEP: Duration = Duration::from_millis(20);

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
