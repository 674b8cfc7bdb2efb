// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a hypervisor must do itself so that a machine that runs can be held to a share of the host. What calls may
//! ask for, what definitions keep and what clients are told is shared.

use std::future::Future;

use virtus_api::Result;
use virtus_host::cgroup::CpuQuota;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::disk::{Disk, Iotune};
use virtus_xml::domain::memory::NumaMode;
use virtus_xml::domain::tuning::BlkioDevice;

use crate::machine::Machine;

/// Threads of a machine that are bound to CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// That of one vCPU; one that is not plugged in has none.
    Vcpu(u32),
    /// All that run neither a vCPU nor the guest's I/O.
    Emulator,
}

/// "No limit" of memory, in KiB, as clients say it.
pub const UNLIMITED: u64 = 9_007_199_254_740_991;

/// Limits of memory, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryLimits {
    pub hard: Option<u64>,
    pub soft: Option<u64>,
    pub swap_hard: Option<u64>,
}

/// A change of how disks of the host are shared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BlkioChange {
    /// The weight among all guests.
    pub weight: Option<u32>,
    /// The devices whose limits change, as they will be.
    pub devices: Vec<BlkioDevice>,
    /// Whether a weight of a single device is among the changes.
    pub device_weights: bool,
}

/// How limits of a disk's traffic that a call names meet those that the disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttling {
    /// The total and the single limits replace each other; a burst must be above a limit.
    Replace,
    /// What is not named stays; no limit may be above its burst, not even if there is no burst.
    Add,
}

/// A hypervisor whose machines can be held to a share of the host's memory and disks while they run.
pub trait Shares: Machine {
    /// The limits that hold; `noted` is what the definition says.
    fn memory_limits(&self, running: &Self::Running, noted: MemoryLimits) -> Result<MemoryLimits>;

    /// Sets those limits that are named.
    fn limit_memory(&self, running: &Self::Running, limits: MemoryLimits) -> Result<()>;

    /// The weight that holds; `noted` is what the definition says.
    fn blkio_weight(&self, running: &Self::Running, noted: Option<u32>) -> Result<Option<u32>>;

    /// Shares disks of the host anew.
    fn share_disks(&self, running: &Self::Running, change: &BlkioChange) -> Result<()>;
}

/// Threads of a machine that are limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each vCPU; all of a container.
    Vcpu,
    /// What is neither vCPU nor I/O thread.
    Emulator,
    /// Everything.
    Global,
    /// Each I/O thread.
    Iothread,
}

/// A hypervisor whose machines can be held to a share of the host's CPUs while they run.
pub trait Scheduled: Machine {
    /// What can be limited.
    const SCOPES: &'static [Scope];

    /// Whether this host can do it.
    fn can_schedule(&self) -> Result<()>;

    /// The machine's share among all.
    fn cpu_shares(&self, running: &Self::Running) -> Result<u64>;

    /// Sets that share; answers what holds then.
    fn set_cpu_shares(&self, running: &Self::Running, shares: u64) -> Result<u64>;

    /// The limit of some threads; of several alike, that of the first.
    fn cpu_quota(
        &self,
        running: &Self::Running,
        scope: Scope,
    ) -> impl Future<Output = Result<CpuQuota>> + Send;

    /// Limits threads, each by itself.
    fn set_cpu_quota(
        &self,
        running: &Self::Running,
        scope: Scope,
        limit: CpuQuota,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A hypervisor whose machines have vCPUs, disks and memory of their own that can be tuned while they run.
pub trait Tuner: Shares {
    /// How new limits of a disk's traffic meet those that there are.
    const THROTTLING: Throttling;

    /// How many CPUs the host has.
    fn host_cpus(&self) -> usize;

    /// Lets threads run on these CPUs only.
    fn bind(
        &self,
        running: &Self::Running,
        threads: Threads,
        cpus: &CpuSet,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The limits that hold of a disk's traffic; the disk is that of the live definition.
    fn throttled(
        &self,
        running: &Self::Running,
        disk: &Disk,
    ) -> impl Future<Output = Result<Iotune>> + Send;

    /// Limits a disk's traffic, all limits at once.
    fn throttle(
        &self,
        running: &Self::Running,
        disk: &Disk,
        tune: &Iotune,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Takes memory from these nodes of the host from now on.
    fn set_memory_nodes(
        &self,
        running: &Self::Running,
        mode: NumaMode,
        nodes: &CpuSet,
    ) -> Result<()>;
}
