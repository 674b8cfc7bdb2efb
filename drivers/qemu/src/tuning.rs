// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Holds a guest's QEMU to a share of the host: by its control groups, and thread by thread.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::{BlkioChange, MemoryLimits, Shares, Threads, Throttling, Tuner, UNLIMITED};
use virtus_host::cgroup::{BlkioDevice as Limit, Controller, Group, UNLIMITED as NO_LIMIT};
use virtus_host::process::ThreadStat;
use virtus_xml::cpuset::CpuSet;
use virtus_xml::domain::disk::{Disk, Iotune};
use virtus_xml::domain::memory::NumaMode;
use virtus_xml::domain::tuning::BlkioDevice;

use crate::cpu_map;
use crate::driver::Qemu;
use crate::guest::{Guest, QUERY, WORK};
use crate::launch::cgroup;
use crate::readings::block::alias_of;
use crate::readings::throttle;
use crate::routes::iothreads;

impl Shares for Qemu {
    fn memory_limits(&self, guest: &Guest, noted: MemoryLimits) -> Result<MemoryLimits> {
        let group = with_memory(self, guest)?;
        Ok(MemoryLimits {
            hard: Some(in_kib(group.memory_limit()?)),
            soft: Some(in_kib(group.memory_soft_limit()?)),
            swap_hard: noted.swap_hard,
        })
    }

    fn limit_memory(&self, guest: &Guest, limits: MemoryLimits) -> Result<()> {
        if limits.swap_hard.is_some() {
            return Err(Error::new(
                ErrorCode::OperationUnsupported,
                "the swap limit of a running domain cannot be changed on this host",
            )
            .hint("set it for the next start with '--config'"));
        }
        let group = with_memory(self, guest)?;
        if let Some(hard) = limits.hard {
            group.set_memory_limit(in_bytes(hard))?;
        }
        limits.soft.map_or(Ok(()), |soft| group.set_memory_soft_limit(in_bytes(soft)))
    }

    fn blkio_weight(&self, guest: &Guest, noted: Option<u32>) -> Result<Option<u32>> {
        // Where no I/O scheduler has weights there is none to tell.
        Ok(match with_blkio(self, guest)?.blkio_weight() {
            Ok(weight) => u32::try_from(weight).ok(),
            Err(_) => noted,
        })
    }

    fn share_disks(&self, guest: &Guest, change: &BlkioChange) -> Result<()> {
        let group = with_blkio(self, guest)?;
        if change.weight.is_some_and(|weight| weight > 10_000) {
            let text = "weight must be in range [100, 1000]";
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        if change.device_weights {
            return Err(Error::new(
                ErrorCode::OperationUnsupported,
                "the weight of single devices cannot be changed while the domain runs",
            )
            .hint("set it for the next start with '--config'"));
        }
        for device in &change.devices {
            group.set_blkio_device(&limit(device)?)?;
        }
        change.weight.map_or(Ok(()), |weight| group.set_blkio_weight(u64::from(weight)))
    }
}

impl Tuner for Qemu {
    const THROTTLING: Throttling = Throttling::Replace;

    fn host_cpus(&self) -> usize {
        self.node.topology().cpus.len()
    }

    async fn bind(&self, guest: &Guest, threads: Threads, cpus: &CpuSet) -> Result<()> {
        match threads {
            Threads::Vcpu(number) => {
                let place = usize::try_from(number).unwrap_or(usize::MAX);
                // One that is not plugged in yet is bound when it is.
                match guest.vcpu_threads().get(place) {
                    Some(tid) => bind(self, guest, &format!("vcpu{number}"), &[*tid], cpus),
                    None => Ok(()),
                }
            }
            Threads::Emulator => {
                let threads = emulator_threads(guest).await?;
                bind(self, guest, "emulator", &threads, cpus)
            }
        }
    }

    async fn throttled(&self, guest: &Guest, disk: &Disk) -> Result<Iotune> {
        Ok(device(guest, disk).await?.tune)
    }

    async fn throttle(&self, guest: &Guest, disk: &Disk, tune: &Iotune) -> Result<()> {
        let arguments = throttle::arguments(&device(guest, disk).await?.qdev, tune);
        guest.execute("block_set_io_throttle", arguments, WORK).await.map(drop)
    }

    fn set_memory_nodes(&self, guest: &Guest, mode: NumaMode, nodes: &CpuSet) -> Result<()> {
        if !matches!(mode, NumaMode::Strict | NumaMode::Restrictive) {
            let text = "change of nodeset for running domain requires strict numa mode";
            return Err(Error::new(ErrorCode::OperationInvalid, text));
        }
        let group = group(self, guest);
        if !group.exists() || !group.has(Controller::Cpuset) {
            let text = "cgroup cpuset controller is not mounted";
            return Err(Error::new(ErrorCode::OperationInvalid, text)
                .hint("set it for the next start with '--config'"));
        }
        group.set_memory_nodes(&nodes.to_string())
    }
}

/// A disk as QEMU has it.
struct Device {
    qdev: String,
    tune: Iotune,
}

async fn device(guest: &Guest, disk: &Disk) -> Result<Device> {
    let alias = disk.info.alias.as_deref().unwrap_or_default();
    let reply = guest.execute("query-block", None, QUERY).await?;
    let entry = reply.as_array().into_iter().flatten().find_map(|entry| {
        let qdev = entry["qdev"].as_str().filter(|qdev| alias_of(qdev) == alias)?;
        Some(Device { qdev: qdev.to_owned(), tune: throttle::read(&entry["inserted"]) })
    });
    entry.ok_or_else(|| {
        let text = format!("QEMU has no device of the disk '{}' ({alias})", disk.target.dev);
        Error::new(ErrorCode::OperationFailed, text)
    })
}

fn group(qemu: &Qemu, guest: &Guest) -> Group {
    cgroup::of(&qemu.cgroups, guest.facts.id, &guest.facts.name)
}

/// The threads of QEMU that run neither a vCPU nor the guest's I/O.
pub(crate) async fn emulator_threads(guest: &Guest) -> Result<Vec<u32>> {
    let mut others = guest.vcpu_threads();
    others.extend(iothreads::of_guest(guest).await?.iter().map(|thread| thread.tid));
    let all = ThreadStat::of_process(guest.process.pid()).into_iter().map(|thread| thread.tid);
    Ok(all.filter(|tid| !others.contains(tid)).collect())
}

/// Binds threads to CPUs: by their group, where they have one of their own, and one by one.
pub(crate) fn bind(
    qemu: &Qemu,
    guest: &Guest,
    part: &str,
    threads: &[u32],
    set: &CpuSet,
) -> Result<()> {
    let group = group(qemu, guest).child(part);
    if group.exists() && group.has(Controller::Cpuset) {
        group.set_cpus(&set.to_string())?;
    }
    for tid in threads {
        match cpu_map::pin(*tid, set) {
            // QEMU's helper threads come and go.
            Err(_) if ThreadStat::read(guest.process.pid(), *tid).is_none() => {}
            result => result?,
        }
    }
    Ok(())
}

fn in_kib(bytes: u64) -> u64 {
    if bytes == NO_LIMIT { UNLIMITED } else { bytes / 1024 }
}

fn in_bytes(kib: u64) -> u64 {
    if kib >= UNLIMITED { NO_LIMIT } else { kib.saturating_mul(1024) }
}

/// A device's limits by its numbers.
fn limit(device: &BlkioDevice) -> Result<Limit> {
    let path = &device.path;
    let meta = std::fs::metadata(path)
        .map_err(|cause| Error::system(format!("cannot find the device '{path}'"), &cause))?;
    if !meta.file_type().is_block_device() {
        let text = format!("'{path}' is not a block device");
        return Err(Error::new(ErrorCode::InvalidArg, text)
            .hint("limits are for whole devices, such as /dev/sda"));
    }
    let number = meta.rdev();
    Ok(Limit {
        major: rustix::fs::major(number),
        minor: rustix::fs::minor(number),
        read_bytes: device.read_bytes_sec,
        write_bytes: device.write_bytes_sec,
        read_operations: device.read_iops_sec.map(u64::from),
        write_operations: device.write_iops_sec.map(u64::from),
    })
}

fn with_memory(qemu: &Qemu, guest: &Guest) -> Result<Group> {
    let group = group(qemu, guest);
    if group.exists() { Ok(group) } else { Err(not_mounted("memory")) }
}

fn with_blkio(qemu: &Qemu, guest: &Guest) -> Result<Group> {
    let group = group(qemu, guest);
    if group.exists() && group.has(Controller::Blkio) {
        Ok(group)
    } else {
        Err(not_mounted("blkio"))
    }
}

fn not_mounted(controller: &str) -> Error {
    let text = format!("cgroup {controller} controller is not mounted");
    Error::new(ErrorCode::OperationInvalid, text).hint(
        "see which controllers this host has: cat /proc/self/cgroup /sys/fs/cgroup/cgroup.controllers",
    )
}
