// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the kernel knows of the daemon and of other processes of the testbed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{DEADLINE, Outcome, Testbed, wait_for};

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

    /// The CPU time of all threads that the daemon has or had, to a hundredth of a second.
    pub fn daemon_cpu_time_ever(&self) -> Outcome<Duration> {
        let text = std::fs::read_to_string(self.daemon_folder()?.join("stat"))?;
        let (_, fields) = text.rsplit_once(')').ok_or("a process without a name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(Duration::from_millis(10 * ticks.sum::<Result<u64, _>>()?))
    }

    /// Lets the daemon's threads run on these cores only.
    pub fn keep_daemon_on(&self, cores: &CpuSet) -> Outcome {
        for task in std::fs::read_dir(self.daemon_folder()?.join("task"))? {
            let thread = task?.file_name().to_str().unwrap_or_default().parse()?;
            match sched_setaffinity(Pid::from_raw(thread), cores) {
                // It has ended meanwhile.
                Err(Errno::SRCH) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// How many descriptors the daemon has open.
    pub fn daemon_descriptors(&self) -> Outcome<usize> {
        Ok(std::fs::read_dir(self.daemon_folder()?.join("fd"))?.count())
    }

    /// Stops a process and waits until all its threads stand: after the signal they run on until they next meet the kernel.
    pub fn freeze(&self, pid: u32) -> Outcome {
        let folder = self.process_folder(pid)?;
        self.signal("STOP", pid)?;
        wait_for("a process to stand still", DEADLINE, || all_stopped(&folder))
    }

    fn daemon_folder(&self) -> Outcome<PathBuf> {
        self.process_folder(self.daemon_pid()?)
    }

    fn process_folder(&self, pid: u32) -> Outcome<PathBuf> {
        let found = self.processes()?.into_iter().find(|process| process.pid == pid);
        let pid = found.ok_or("there is no such process any more")?.host_pid;
        Ok(format!("/proc/{pid}").into())
    }
}

/// Whether every thread of the process is stopped by a signal.
fn all_stopped(process: &Path) -> Outcome<bool> {
    for task in std::fs::read_dir(process.join("task"))? {
        // A thread may end meanwhile.
        let stat = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}
