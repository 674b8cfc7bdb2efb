// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a group limits and counts. Values are the kernel's own of the version at hand, as libvirt passes
//! them: CPU shares are 2 to 262144 in version 1 and weights of 1 to 10000 in version 2.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::group::Part;
use super::{Controller, Group};

/// No limit, as callers say it.
pub const UNLIMITED: u64 = u64::MAX;

/// CPU time that a group may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuQuota {
    /// In microseconds.
    pub period: u64,
    /// In microseconds of each period; `None` is "no limit".
    pub quota: Option<u64>,
}

impl CpuQuota {
    /// What a group has that nobody limited.
    pub const UNLIMITED: Self = Self { period: 100_000, quota: None };

    /// The limit that a definition says, if it says any; zero is "not set", a negative quota "no limit".
    #[must_use]
    pub fn of(period: Option<u64>, quota: Option<i64>) -> Option<Self> {
        if period.is_none() && quota.is_none() {
            return None;
        }
        Some(Self {
            period: period.filter(|period| *period > 0).unwrap_or(Self::UNLIMITED.period),
            quota: quota.and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0),
        })
    }
}

/// CPU time that a group has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuUsage {
    /// All of it.
    pub total: Duration,
    /// In user space.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// What a group may do with one disk, by its number; `None` is "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BlkioDevice {
    /// The device's major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Bytes read per second.
    pub read_bytes: Option<u64>,
    /// Bytes written per second.
    pub write_bytes: Option<u64>,
    /// Reads per second.
    pub read_operations: Option<u64>,
    /// Writes per second.
    pub write_operations: Option<u64>,
}

impl Group {
    /// Sets the share of CPU time against other groups.
    ///
    /// # Errors
    /// Where the controller is not there or the kernel refuses the value.
    pub fn set_cpu_shares(&self, shares: u64) -> Result<()> {
        let part = self.part(Controller::Cpu)?;
        let name = if part.unified { "cpu.weight" } else { "cpu.shares" };
        part.write(name, &shares.to_string())
    }

    /// The share of CPU time.
    ///
    /// # Errors
    /// Where the controller is not there.
    pub fn cpu_shares(&self) -> Result<u64> {
        let part = self.part(Controller::Cpu)?;
        number(part, if part.unified { "cpu.weight" } else { "cpu.shares" })
    }

    /// Limits CPU time.
    ///
    /// # Errors
    /// Where the controller is not there or the kernel refuses the value.
    pub fn set_cpu_quota(&self, limit: CpuQuota) -> Result<()> {
        let part = self.part(Controller::Cpu)?;
        if part.unified {
            let quota = limit.quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
            return part.write("cpu.max", &format!("{quota} {}", limit.period));
        }
        part.write("cpu.cfs_period_us", &limit.period.to_string())?;
        let quota = limit.quota.map_or_else(|| "-1".to_owned(), |quota| quota.to_string());
        part.write("cpu.cfs_quota_us", &quota)
    }

    /// The limit of CPU time.
    ///
    /// # Errors
    /// Where the controller is not there.
    pub fn cpu_quota(&self) -> Result<CpuQuota> {
        let part = self.part(Controller::Cpu)?;
        if part.unified {
            let text = part.read("cpu.max")?;
            let (quota, period) = text.split_once(' ').unwrap_or((&text, "100000"));
            let period = parse(part, "cpu.max", period)?;
            return Ok(CpuQuota { period, quota: quota.parse().ok() });
        }
        let period = number(part, "cpu.cfs_period_us")?;
        Ok(CpuQuota { period, quota: part.read("cpu.cfs_quota_us")?.parse().ok() })
    }

    /// The CPU time that was used.
    ///
    /// # Errors
    /// Where nothing counts it.
    pub fn cpu_usage(&self) -> Result<CpuUsage> {
        let part = self.part(Controller::Cpuacct)?;
        if part.unified {
            let text = part.read("cpu.stat")?;
            let time = |key| Duration::from_micros(field(&text, key));
            return Ok(CpuUsage {
                total: time("usage_usec"),
                user: time("user_usec"),
                system: time("system_usec"),
            });
        }
        let text = part.read("cpuacct.stat")?;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let time = |key| Duration::from_nanos(field(&text, key) * (1_000_000_000 / per_second));
        Ok(CpuUsage {
            total: Duration::from_nanos(number(part, "cpuacct.usage")?),
            user: time("user"),
            system: time("system"),
        })
    }

    /// The CPU time that was used on each CPU; empty in version 2, which does not count it.
    ///
    /// # Errors
    /// Where nothing counts it.
    pub fn cpu_usage_by_cpu(&self) -> Result<Vec<Duration>> {
        let part = self.part(Controller::Cpuacct)?;
        if part.unified {
            return Ok(Vec::new());
        }
        let text = part.read("cpuacct.usage_percpu")?;
        let times = text.split_ascii_whitespace().filter_map(|field| field.parse().ok());
        Ok(times.map(Duration::from_nanos).collect())
    }

    /// Sets which CPUs may be used, as a list such as `0-3,8`.
    ///
    /// # Errors
    /// Where the controller is not there or the kernel refuses the list.
    pub fn set_cpus(&self, list: &str) -> Result<()> {
        self.part(Controller::Cpuset)?.write("cpuset.cpus", list)
    }

    /// Sets which NUMA nodes memory may come from.
    ///
    /// # Errors
    /// Where the controller is not there or the kernel refuses the list.
    pub fn set_memory_nodes(&self, list: &str) -> Result<()> {
        self.part(Controller::Cpuset)?.write("cpuset.mems", list)
    }

    /// Limits memory, in bytes; [`UNLIMITED`] lifts the limit.
    ///
    /// # Errors
    /// Where the controller is not there or the kernel refuses the value.
    pub fn set_memory_limit(&self, bytes: u64) -> Result<()> {
        self.set_bytes("memory.limit_in_bytes", "memory.max", bytes)
    }

    /// Limits memory when the host runs short of it, in bytes.
    ///
    /// # Errors
    /// As [`Self::set_memory_limit`].
    pub fn set_memory_soft_limit(&self, bytes: u64) -> Result<()> {
        self.set_bytes("memory.soft_limit_in_bytes", "memory.high", bytes)
    }

    /// Limits memory and swap together, in bytes; [`UNLIMITED`] lifts the limit. Version 1 takes no value
    /// below that of memory alone, version 2 counts from it: set that one first.
    ///
    /// # Errors
    /// As [`Self::set_memory_limit`].
    pub fn set_memory_and_swap_limit(&self, bytes: u64) -> Result<()> {
        let swap = match self.memory_limit()? {
            memory if self.part(Controller::Memory)?.unified && bytes != UNLIMITED => {
                bytes.saturating_sub(memory)
            }
            _ => bytes,
        };
        self.set_bytes("memory.memsw.limit_in_bytes", "memory.swap.max", swap)
    }

    /// The limit of memory and swap together, in bytes, or [`UNLIMITED`].
    ///
    /// # Errors
    /// Where the controller is not there.
    pub fn memory_and_swap_limit(&self) -> Result<u64> {
        let limit = self.bytes("memory.memsw.limit_in_bytes", "memory.swap.max")?;
        let memory = if self.part(Controller::Memory)?.unified { self.memory_limit()? } else { 0 };
        Ok(limit.saturating_add(memory))
    }

    /// Limits how many processes and threads there may be.
    ///
    /// # Errors
    /// Where the controller is not there.
    pub fn set_process_limit(&self, count: u64) -> Result<()> {
        self.part(Controller::Pids)?.write("pids.max", &count.to_string())
    }

    fn set_bytes(&self, first: &str, second: &str, bytes: u64) -> Result<()> {
        let part = self.part(Controller::Memory)?;
        let (name, unlimited) = if part.unified { (second, "max") } else { (first, "-1") };
        let value = if bytes == UNLIMITED { unlimited.to_owned() } else { bytes.to_string() };
        part.write(name, &value)
    }

    /// The limit of memory, in bytes, or [`UNLIMITED`].
    ///
    /// # Errors
    /// Where the controller is not there.
    pub fn memory_limit(&self) -> Result<u64> {
        self.bytes("memory.limit_in_bytes", "memory.max")
    }

    /// The limit of memory when the host runs short of it.
    ///
    /// # Errors
    /// Where the controller is not there.
    pub fn memory_soft_limit(&self) -> Result<u64> {
        self.bytes("memory.soft_limit_in_bytes", "memory.high")
    }

    fn bytes(&self, first: &str, second: &str) -> Result<u64> {
        let part = self.part(Controller::Memory)?;
        let name = if part.unified { second } else { first };
        let text = part.read(name)?;
        if text == "max" {
            return Ok(UNLIMITED);
        }
        let value = parse(part, name, &text)?;
        // Version 1 says the largest number of pages where there is no limit.
        Ok(if !part.unified && value >= i64::MAX as u64 / 4096 * 4096 { UNLIMITED } else { value })
    }

    /// The memory in use, in bytes.
    ///
    /// # Errors
    /// Where the controller is not there.
    pub fn memory_usage(&self) -> Result<u64> {
        let part = self.part(Controller::Memory)?;
        number(part, if part.unified { "memory.current" } else { "memory.usage_in_bytes" })
    }

    /// What the kernel counts of its memory, by the kernel's own names, which differ between the versions.
    ///
    /// # Errors
    /// Where the controller is not there.
    pub fn memory_counts(&self) -> Result<BTreeMap<String, u64>> {
        let text = self.part(Controller::Memory)?.read("memory.stat")?;
        let count = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(text.lines().filter_map(count).collect())
    }

    /// Sets the weight of the group's disk requests against those of others.
    ///
    /// # Errors
    /// Where the controller is not there, or no I/O scheduler with weights is in use.
    pub fn set_blkio_weight(&self, weight: u64) -> Result<()> {
        let part = self.part(Controller::Blkio)?;
        let value = weight.to_string();
        part.write(weight_file(part)?, &value)
    }

    /// The weight of the group's disk requests.
    ///
    /// # Errors
    /// As [`Self::set_blkio_weight`].
    pub fn blkio_weight(&self) -> Result<u64> {
        let part = self.part(Controller::Blkio)?;
        let name = weight_file(part)?;
        let text = part.read(name)?;
        parse(part, name, text.strip_prefix("default ").unwrap_or(&text))
    }

    /// Limits what may be done with one disk. In version 1 a limit is that of a group's own processes: it is set in the
    /// groups in this one too, if they are there already.
    ///
    /// # Errors
    /// Where the controller is not there or the kernel refuses the device.
    pub fn set_blkio_device(&self, limit: &BlkioDevice) -> Result<()> {
        let part = self.part(Controller::Blkio)?;
        let device = format!("{}:{}", limit.major, limit.minor);
        let rows = [
            (limit.read_bytes, "rbps", "blkio.throttle.read_bps_device"),
            (limit.write_bytes, "wbps", "blkio.throttle.write_bps_device"),
            (limit.read_operations, "riops", "blkio.throttle.read_iops_device"),
            (limit.write_operations, "wiops", "blkio.throttle.write_iops_device"),
        ];
        for (value, key, file) in rows {
            if part.unified {
                let value = value.map_or_else(|| "max".to_owned(), |value| value.to_string());
                part.write("io.max", &format!("{device} {key}={value}"))?;
                continue;
            }
            let value = format!("{device} {}", value.unwrap_or(0));
            part.write(file, &value)?;
            part.children().iter().try_for_each(|child| child.write(file, &value))?;
        }
        Ok(())
    }
}

fn weight_file(part: &Part) -> Result<&'static str> {
    let names: &[&str] = if part.unified {
        &["io.weight", "io.bfq.weight"]
    } else {
        &["blkio.weight", "blkio.bfq.weight"]
    };
    names.iter().find(|name| part.folder.join(name).exists()).copied().ok_or_else(|| {
        let text = "disk weights are not available: no I/O scheduler with weights is in use";
        Error::new(ErrorCode::OperationUnsupported, text)
            .in_domain(ErrorDomain::Cgroup)
            .hint("choose one, for example: echo bfq > /sys/block/DISK/queue/scheduler")
    })
}

fn number(part: &Part, name: &str) -> Result<u64> {
    parse(part, name, &part.read(name)?)
}

fn parse(part: &Part, name: &str, text: &str) -> Result<u64> {
    text.parse().map_err(|_| {
        let path = part.folder.join(name);
        let text = format!("cgroup file '{}' says '{text}', which is no number", path.display());
        Error::new(ErrorCode::OperationFailed, text).in_domain(ErrorDomain::Cgroup)
    })
}

/// The number after `key ` in a file of lines.
fn field(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or_default()
}
