// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Shares the host's CPUs with a running guest, by its cgroup: the whole guest in its own, each kind of threads in one below.
//!
//! A group of threads is made when it is first needed; until then what holds for it is what the kernel gives to
//! every new group.

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::{Scheduled, Scope};
use virtus_host::cgroup::{Controller, CpuQuota, Group};

use crate::driver::Qemu;
use crate::guest::Guest;
use crate::launch::cgroup;
use crate::routes::iothreads;
use crate::tuning::emulator_threads;

impl Scheduled for Qemu {
    const SCOPES: &'static [Scope] =
        &[Scope::Vcpu, Scope::Emulator, Scope::Global, Scope::Iothread];

    fn can_schedule(&self) -> Result<()> {
        if self.cgroups.has(Controller::Cpu) { Ok(()) } else { Err(no_controller()) }
    }

    fn cpu_shares(&self, guest: &Guest) -> Result<u64> {
        existing(self, guest)?.cpu_shares()
    }

    fn set_cpu_shares(&self, guest: &Guest, shares: u64) -> Result<u64> {
        let group = existing(self, guest)?;
        group.set_cpu_shares(shares)?;
        group.cpu_shares()
    }

    async fn cpu_quota(&self, guest: &Guest, scope: Scope) -> Result<CpuQuota> {
        let group = existing(self, guest)?;
        let limited = match scope {
            Scope::Global => Some(group),
            Scope::Vcpu => Some(group.child("vcpu0")),
            Scope::Emulator => Some(group.child("emulator")),
            Scope::Iothread => {
                let first = iothreads::numbers_of(guest).await?.first().copied();
                first.map(|id| group.child(&format!("iothread{id}")))
            }
        };
        limited.filter(Group::exists).map_or(Ok(CpuQuota::UNLIMITED), |group| group.cpu_quota())
    }

    async fn set_cpu_quota(&self, guest: &Guest, scope: Scope, limit: CpuQuota) -> Result<()> {
        let group = existing(self, guest)?;
        match scope {
            Scope::Global => group.set_cpu_quota(limit)?,
            Scope::Vcpu => {
                for (number, tid) in guest.vcpu_threads().into_iter().enumerate() {
                    of_threads(&group, &format!("vcpu{number}"), &[tid], limit)?;
                }
            }
            Scope::Emulator => {
                let threads = emulator_threads(guest).await?;
                of_threads(&group, "emulator", &threads, limit)?;
            }
            Scope::Iothread => {
                for thread in iothreads::of_guest(guest).await? {
                    of_threads(&group, &format!("iothread{}", thread.id), &[thread.tid], limit)?;
                }
            }
        }
        Ok(())
    }
}

/// Puts threads into a group of their own and limits it.
fn of_threads(group: &Group, name: &str, threads: &[u32], limit: CpuQuota) -> Result<()> {
    let own = group.child(name).make_for_threads()?;
    own.set_cpu_quota(limit)?;
    threads.iter().try_for_each(|tid| own.put_thread(*tid))
}

/// The group of a guest that runs in one.
fn existing(qemu: &Qemu, guest: &Guest) -> Result<Group> {
    let group = cgroup::of(&qemu.cgroups, guest.facts.id, &guest.facts.name);
    if group.exists() { Ok(group) } else { Err(no_controller()) }
}

/// The answer where CPU time cannot be limited.
fn no_controller() -> Error {
    Error::new(ErrorCode::OperationInvalid, "cgroup CPU controller is not mounted")
        .hint("see which controllers this host has: cat /proc/self/cgroup /sys/fs/cgroup/cgroup.controllers")
}
