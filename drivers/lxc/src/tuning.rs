// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Holds a container to a share of the host's CPUs, memory and disks, by its control group.

use virtus_api::Result;
use virtus_domain::{BlkioChange, MemoryLimits, Scheduled, Scope, Shares, UNLIMITED, unsupported};
use virtus_host::cgroup::{CpuQuota, UNLIMITED as NO_LIMIT};

use crate::container::Container;
use crate::driver::Lxc;
use crate::start::limit;

impl Shares for Lxc {
    fn memory_limits(&self, running: &Container, noted: MemoryLimits) -> Result<MemoryLimits> {
        let group = &running.group;
        Ok(MemoryLimits {
            hard: Some(in_kib(group.memory_limit()?)),
            soft: Some(in_kib(group.memory_soft_limit()?)),
            // Not every kernel counts swap.
            swap_hard: group
                .memory_and_swap_limit()
                .map_or(noted.swap_hard, |limit| Some(in_kib(limit))),
        })
    }

    /// In an order in which no limit is above the next at any time.
    fn limit_memory(&self, running: &Container, limits: MemoryLimits) -> Result<()> {
        let group = &running.group;
        let hard = limits.hard.map(in_bytes);
        let swap = limits.swap_hard.map(in_bytes);
        let rises = hard.is_some_and(|hard| group.memory_limit().is_ok_and(|now| hard > now));
        let set_hard = || hard.map_or(Ok(()), |hard| group.set_memory_limit(hard));
        let set_swap = || swap.map_or(Ok(()), |swap| group.set_memory_and_swap_limit(swap));
        if rises && group.memory_and_swap_limit().is_ok() && swap.is_some() {
            set_swap()?;
            set_hard()?;
        } else {
            set_hard()?;
            set_swap()?;
        }
        limits.soft.map_or(Ok(()), |soft| group.set_memory_soft_limit(in_bytes(soft)))
    }

    fn blkio_weight(&self, running: &Container, noted: Option<u32>) -> Result<Option<u32>> {
        // Where no I/O scheduler has weights there is none to tell.
        Ok(match running.group.blkio_weight() {
            Ok(weight) => u32::try_from(weight).ok(),
            Err(_) => noted,
        })
    }

    fn share_disks(&self, running: &Container, change: &BlkioChange) -> Result<()> {
        if change.device_weights {
            let text = "the weight of single devices cannot be changed while the container runs";
            return Err(unsupported(text).hint("set it for the next start with '--config'"));
        }
        for device in &change.devices {
            running.group.set_blkio_device(&limit(device)?)?;
        }
        change.weight.map_or(Ok(()), |weight| running.group.set_blkio_weight(u64::from(weight)))
    }
}

impl Scheduled for Lxc {
    const SCOPES: &'static [Scope] = &[Scope::Vcpu];

    fn can_schedule(&self) -> Result<()> {
        Ok(())
    }

    fn cpu_shares(&self, running: &Container) -> Result<u64> {
        running.group.cpu_shares()
    }

    fn set_cpu_shares(&self, running: &Container, shares: u64) -> Result<u64> {
        running.group.set_cpu_shares(shares)?;
        running.group.cpu_shares()
    }

    async fn cpu_quota(&self, running: &Container, _: Scope) -> Result<CpuQuota> {
        running.group.cpu_quota()
    }

    async fn set_cpu_quota(&self, running: &Container, _: Scope, limit: CpuQuota) -> Result<()> {
        running.group.set_cpu_quota(limit)
    }
}

fn in_kib(bytes: u64) -> u64 {
    if bytes == NO_LIMIT { UNLIMITED } else { bytes / 1024 }
}

fn in_bytes(kib: u64) -> u64 {
    if kib >= UNLIMITED { NO_LIMIT } else { kib.saturating_mul(1024) }
}
