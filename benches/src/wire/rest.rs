// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A daemon at rest, and the memory that it holds then.

use std::time::{Duration, Instant};

use virtus_tests::{Outcome, Testbed};

/// How long a daemon may take to start.
pub(crate) const START: Duration = Duration::from_secs(300);

/// What a daemon at rest may use of the processor in a second.
const LITTLE: Duration = Duration::from_millis(20);

/// How long a daemon is left alone before its memory is read.
const REST: Duration = Duration::from_secs(3);

/// Waits until a daemon that has started has nothing more to do: ours reads beside its work what it has only looked at.
pub(crate) fn wait_until_at_rest(bed: &Testbed) -> Outcome {
    let end = Instant::now() + START;
    let mut before = bed.daemon_cpu_time_ever()?;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = bed.daemon_cpu_time_ever()?;
        if now - before <= LITTLE {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("the daemon was busy for {START:?}").into());
        }
        before = now;
    }
}

/// MiB of memory that the daemon holds: all of it (`VmRSS`), or what is in no file (`RssAnon`).
pub(crate) fn memory(bed: &Testbed, which: &str) -> Outcome<f64> {
    let kib = u32::try_from(bed.daemon_memory(which)?)?;
    Ok(f64::from(kib) / 1024.0)
}

/// All that the daemon holds when it has had nothing to do for a while.
pub(crate) fn memory_at_rest(bed: &Testbed) -> Outcome<f64> {
    wait_until_at_rest(bed)?;
    std::thread::sleep(REST);
    memory(bed, "VmRSS")
}
