// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A machine that has other work to do.
#![expect(clippy::disallowed_methods, reason = "the threads end with what started them")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use virtus_tests::Outcome;

/// A thread of ordinary priority on each core that never rests, until this is dropped.
pub struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn on_every_core() -> Outcome<Self> {
        let cores = sched_getaffinity(None)?;
        let over = Arc::new(AtomicBool::new(false));
        let mut load = Self { over: over.clone(), threads: Vec::new() };
        for core in (0..CpuSet::MAX_CPU).filter(|core| cores.is_set(*core)) {
            let over = over.clone();
            load.threads.push(spawn(move || spin_on(core, &over)));
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic, and would have stopped if it had.
            let _ended = thread.join();
        }
    }
}

fn spin_on(core: usize, over: &AtomicBool) {
    let mut only = CpuSet::new();
    only.set(core);
    // Where that is refused, the scheduler spreads the threads by itself.
    let _kept = sched_setaffinity(None, &only);
    while !over.load(Ordering::Relaxed) {
        // No hint that it only spins: a hypervisor may take the core from whoever says so.
        black_box(core);
    }
}
