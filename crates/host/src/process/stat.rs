// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the kernel counts of a process and of its threads.

use std::fs;
use std::time::Duration;

/// Times and sizes of one process or thread, from its `stat` file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stat {
    /// The name of the program or thread, at most 15 bytes.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, `T`, …
    pub state: char,
    /// CPU time in user space.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// How many threads.
    pub threads: u32,
    /// When it was started, in clock ticks since the host did.
    pub start_time: u64,
    /// Resident memory in KiB.
    pub rss_kib: u64,
    /// The host CPU that it ran on last.
    pub last_cpu: u32,
}

impl Stat {
    /// Reads it for a process; `None` if there is none with this number.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Whether it has ended and only waits for its parent to notice.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// CPU time altogether.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        self.user + self.system
    }

    /// The name may contain blanks and parentheses: the fields start after the last one.
    fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        // proc(5) counts from 1, and `fields` starts with the third.
        Some(Self {
            name: name.to_owned(),
            state: fields.first()?.chars().next()?,
            user: ticks(number(11)?),
            system: ticks(number(12)?),
            threads: u32::try_from(number(17)?).ok()?,
            start_time: number(19)?,
            rss_kib: number(21)?.saturating_mul(rustix::param::page_size() as u64) / 1024,
            last_cpu: number(36).and_then(|cpu| u32::try_from(cpu).ok()).unwrap_or_default(),
        })
    }
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(count.saturating_mul(1_000_000_000 / per_second))
}

/// Memory of one process, from its `status` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Resident memory in KiB.
    pub rss_kib: u64,
    /// Its largest ever.
    pub peak_kib: u64,
    /// Address space in KiB.
    pub size_kib: u64,
    /// Locked memory in KiB.
    pub locked_kib: u64,
}

impl Status {
    /// Reads it for a process; `None` if there is none with this number.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let place = match key {
                "VmRSS" => &mut status.rss_kib,
                "VmHWM" => &mut status.peak_kib,
                "VmSize" => &mut status.size_kib,
                "VmLck" => &mut status.locked_kib,
                _ => continue,
            };
            *place = value.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        }
        Some(status)
    }
}

/// One thread of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadStat {
    /// The thread's number.
    pub tid: u32,
    /// Times by the clock tick.
    pub stat: Stat,
    /// CPU time to the nanosecond, where the kernel counts it.
    pub on_cpu: Option<Duration>,
    /// How long it could run but no CPU was free.
    pub waited: Option<Duration>,
}

impl ThreadStat {
    /// One thread; `None` if it has ended.
    #[must_use]
    pub fn read(pid: u32, tid: u32) -> Option<Self> {
        let folder = format!("/proc/{pid}/task/{tid}");
        let stat = Stat::parse(&fs::read_to_string(format!("{folder}/stat")).ok()?)?;
        let counts = fs::read_to_string(format!("{folder}/schedstat")).unwrap_or_default();
        let mut counts = counts
            .split_ascii_whitespace()
            .map_while(|field| field.parse().ok())
            .map(Duration::from_nanos);
        Some(Self { tid, stat, on_cpu: counts.next(), waited: counts.next() })
    }

    /// The threads of a process, in the order of their numbers.
    #[must_use]
    pub fn of_process(pid: u32) -> Vec<Self> {
        let Ok(folder) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
        let mut threads: Vec<Self> = folder
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|tid| Self::read(pid, tid))
            .collect();
        threads.sort_by_key(|thread| thread.tid);
        threads
    }

    /// CPU time, as exact as the kernel tells.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        self.on_cpu.unwrap_or_else(|| self.stat.cpu_time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 77 4096 10 \
                    18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 5 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.name, "a) b (c");
        assert_eq!((stat.state, stat.threads, stat.start_time, stat.last_cpu), ('S', 3, 77, 5));
        assert_eq!(stat.cpu_time(), Duration::from_secs(3));
        assert_eq!(Stat::parse("42 (x"), None);
    }

    #[test]
    fn we_ourselves_have_threads_and_memory() {
        let pid = std::process::id();
        assert!(Status::read(pid).unwrap().rss_kib > 0);
        assert!(!ThreadStat::of_process(pid).is_empty());
        assert!(Stat::read(pid).unwrap().rss_kib > 0);
    }
}
