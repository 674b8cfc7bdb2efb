// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the host's CPUs have spent their time on.

use std::fs;
use std::time::Duration;

use super::Node;

/// Time since the host started, by use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTimes {
    /// Programs, niced ones too.
    pub user: Duration,
    /// The kernel, interrupts too.
    pub kernel: Duration,
    /// Nothing.
    pub idle: Duration,
    /// Nothing, while something waited for a disk.
    pub iowait: Duration,
    /// Interrupts alone.
    pub interrupts: Duration,
}

impl Node {
    /// The times of one CPU, or of all together. `None` if there is no such CPU.
    #[must_use]
    pub fn cpu_times(&self, cpu: Option<u32>) -> Option<CpuTimes> {
        let text = fs::read_to_string(self.proc.join("stat")).ok()?;
        let name = cpu.map_or_else(|| "cpu".to_owned(), |cpu| format!("cpu{cpu}"));
        let line = text.lines().find(|line| line.split(' ').next() == Some(&name))?;
        let mut fields = line.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
        let mut next = || ticks(fields.next().and_then(Result::ok).unwrap_or_default());
        let (user, nice, system, idle, iowait) = (next(), next(), next(), next(), next());
        let (irq, softirq) = (next(), next());
        Some(CpuTimes {
            user: user + nice,
            kernel: system + irq + softirq,
            idle,
            iowait,
            interrupts: irq + softirq,
        })
    }
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(count.saturating_mul(1_000_000_000 / per_second))
}
