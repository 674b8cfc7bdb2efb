// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a test has spent of its thread's CPU time: unlike the clock on the wall it does not depend on who else is
//! at work on the machine, so that a bound can mean the code.

use std::time::Duration;

/// A moment in the life of the thread.
pub(crate) struct Effort(Duration);

impl Effort {
    /// From now on.
    pub(crate) fn begin() -> Self {
        Self(spent_by_thread())
    }

    /// CPU time of this thread since then.
    pub(crate) fn spent(&self) -> Duration {
        spent_by_thread().saturating_sub(self.0)
    }
}

#[expect(clippy::unwrap_used, reason = "without the kernel's count there is no test")]
fn spent_by_thread() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = text.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanoseconds)
}
