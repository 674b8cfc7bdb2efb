// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guests that are only memory take nothing of the host: what their definitions say is what holds.

use virtus_api::Result;
use virtus_domain::{BlkioChange, MemoryLimits, Shares, Threads, Throttling, Tuner};
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::disk::{Disk, Iotune};
use virtus_xml::domain::memory::NumaMode;

use crate::guest::{Guest, Test};

impl Shares for Test {
    fn memory_limits(&self, _: &Guest, noted: MemoryLimits) -> Result<MemoryLimits> {
        Ok(noted)
    }

    fn limit_memory(&self, _: &Guest, _: MemoryLimits) -> Result<()> {
        Ok(())
    }

    fn blkio_weight(&self, _: &Guest, noted: Option<u32>) -> Result<Option<u32>> {
        Ok(noted)
    }

    fn share_disks(&self, _: &Guest, _: &BlkioChange) -> Result<()> {
        Ok(())
    }
}

impl Tuner for Test {
    /// As libvirt's test driver has it.
    const THROTTLING: Throttling = Throttling::Add;

    fn host_cpus(&self) -> usize {
        self.cpus
    }

    async fn bind(&self, _: &Guest, _: Threads, _: &CpuSet) -> Result<()> {
        Ok(())
    }

    async fn throttled(&self, _: &Guest, disk: &Disk) -> Result<Iotune> {
        Ok(disk.iotune.as_deref().cloned().unwrap_or_default())
    }

    async fn throttle(&self, _: &Guest, _: &Disk, _: &Iotune) -> Result<()> {
        Ok(())
    }

    fn set_memory_nodes(&self, _: &Guest, _: NumaMode, _: &CpuSet) -> Result<()> {
        Ok(())
    }
}
