// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the kernel knows of the daemon.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Outcome, Testbed};

impl Testbed {
    /// A line of the daemon's memory, in KiB: `VmRSS` is what it uses, `VmHWM` the most it has used.
    pub fn daemon_memory(&self, name: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(self.daemon_folder()?.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.ok_or("no such line of memory")?.trim().trim_end_matches(" kB").parse()?)
    }

    /// CPU time that the daemon's threads have used.
    pub fn daemon_cpu_time(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(self.daemon_folder()?.join("task"))? {
            // A thread may end meanwhile.
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            nanoseconds += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// How many descriptors the daemon has open.
    pub fn daemon_descriptors(&self) -> Outcome<usize> {
        Ok(std::fs::read_dir(self.daemon_folder()?.join("fd"))?.count())
    }

    fn daemon_folder(&self) -> Outcome<PathBuf> {
        let pid = self.daemon_pid()?;
        let daemon = self.processes()?.into_iter().find(|process| process.pid == pid);
        let pid = daemon.ok_or("there is no daemon any more")?.host_pid;
        Ok(format!("/proc/{pid}").into())
    }
}
