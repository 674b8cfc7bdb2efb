// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guests of a world: they do at once whatever they are asked for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;
use virtus_api::{DomainSnapshotCreateFlags as Create, ErrorDomain, Result};
use virtus_domain::{
    Asked, End, GuestChannel, Keeper, Launched, Machine, Notices, Origin, Private, Start, State,
    Status, Stop, Undo, Usage, unsupported,
};
use virtus_xml::domain::LifecycleAction;
use virtus_xml::domain::interface::Interface;
use virtus_xml::domain::video::VideoType;
use virtus_xml::moment::CheckpointMode;
use virtus_xml::units::Kib;
use virtus_xml::{Checkpoint, Domain, Snapshot};

/// The vendor part of the MAC addresses that guests get.
const MAC_PREFIX: [u8; 3] = [0x52, 0x54, 0x00];
/// What a definition means that names no architecture.
pub(crate) const ARCH: &str = "i686";
/// What the clock of a guest that has just booted shows.
pub(crate) const FIRST_TIME: i64 = 627_319_920;
/// Where the file systems of a guest are mounted.
pub(crate) const MOUNTS: [&str; 2] = ["/", "/boot"];

/// The hypervisor.
pub(crate) struct Test {
    /// How many CPUs its host has room for.
    pub(crate) cpus: usize,
}

/// A guest that runs.
pub(crate) struct Guest {
    /// Its end is the guest's end.
    _alive: Notices,
    inside: Mutex<Inside>,
}

/// What can change inside a guest.
pub(crate) struct Inside {
    /// Seconds and nanoseconds since the epoch, as the guest's clock shows them; it stands.
    pub(crate) time: (i64, u32),
    /// Which of [`MOUNTS`] are frozen.
    pub(crate) frozen: [bool; 2],
}

impl Guest {
    /// What is inside.
    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine for Test {
    type Plan = Domain;
    type Running = Guest;

    const ERROR_DOMAIN: ErrorDomain = ErrorDomain::Test;
    const NAME: &'static str = "test";
    const TELLS_FIRST_RESUME: bool = false;

    fn complete(&self, def: &mut Domain, _: Origin) -> Result<()> {
        def.name_missing(MAC_PREFIX, &mut random);
        def.os.kind.arch.get_or_insert_with(|| ARCH.to_owned());
        settle_videos(def);
        def.add_needed_controllers();
        name_interfaces(def);
        Ok(())
    }

    fn plan(&self, def: &Domain, start: &Start) -> Result<Domain> {
        let mut live = def.clone();
        live.id = Some(start.id);
        Ok(live)
    }

    async fn launch(&self, plan: Domain, _: &mut Undo, alive: Notices) -> Result<Launched<Self>> {
        let inside = Inside { time: (FIRST_TIME, 0), frozen: [false; 2] };
        let running = Guest { _alive: alive, inside: Mutex::new(inside) };
        let status = Status {
            state: State::STARTING,
            pid: None,
            monitor: None,
            def: plan,
            private: Default::default(),
        };
        Ok(Launched { running: Arc::new(running), status })
    }

    /// Nothing outlives its world, so there is nothing to come back to.
    async fn reattach(&self, _: &Status, _: Notices) -> Result<Launched<Self>> {
        Err(unsupported("guests of the test driver end with their world"))
    }

    async fn stop(&self, _: &Guest, _: Stop) -> Result<()> {
        Ok(())
    }

    async fn clean_up(&self, _: &Domain, _: &Private) {}

    async fn pause(&self, _: &Guest) -> Result<()> {
        Ok(())
    }

    async fn resume(&self, _: &Guest) -> Result<()> {
        Ok(())
    }

    async fn reset(&self, _: &Guest) -> Result<()> {
        Ok(())
    }

    async fn shut_down(&self, _: &Guest, live: &Domain, _: GuestChannel) -> Result<Asked> {
        Ok(asked(live.on_poweroff.unwrap_or(LifecycleAction::Destroy)))
    }

    async fn reboot(&self, _: &Guest, live: &Domain, _: GuestChannel) -> Result<Asked> {
        Ok(asked(live.on_reboot.unwrap_or(LifecycleAction::Restart)))
    }

    async fn set_memory(&self, _: &Guest, live: &mut Domain, kib: u64) -> Result<()> {
        live.current_memory = Some(Kib(kib));
        Ok(())
    }

    async fn set_vcpus(&self, _: &Guest, live: &mut Domain, count: u32) -> Result<()> {
        let vcpu = live.vcpu.get_or_insert_default();
        vcpu.current = (count != vcpu.max).then_some(count);
        Ok(())
    }

    /// A guest has always worked, before it was there and when it is off.
    fn usage(&self, _: Option<&Guest>) -> Usage {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        Usage { cpu_time: micros.saturating_mul(1000), memory: None }
    }
}

/// Guests that are only memory need nothing kept beside their documents.
impl Keeper for Test {
    const SNAPSHOT_FLAGS: Create = Create::REDEFINE
        .union(Create::CURRENT)
        .union(Create::HALT)
        .union(Create::QUIESCE)
        .union(Create::ATOMIC)
        .union(Create::LIVE)
        .union(Create::VALIDATE);

    async fn keep_snapshot(&self, _: Option<&Guest>, _: &Snapshot) -> Result<()> {
        Ok(())
    }

    async fn drop_snapshot(&self, _: Option<&Guest>, _: &Snapshot) -> Result<()> {
        Ok(())
    }

    async fn keep_checkpoint(&self, _: &Guest, _: &Checkpoint) -> Result<()> {
        Ok(())
    }

    async fn drop_checkpoint(&self, _: Option<&Guest>, _: &Checkpoint) -> Result<()> {
        Ok(())
    }

    /// A kilobyte changes on each disk.
    async fn measure(&self, _: &Guest, checkpoint: &mut Checkpoint) -> Result<()> {
        for disk in checkpoint.disks.iter_mut().flat_map(|disks| &mut disks.disks) {
            disk.size = (disk.mode == Some(CheckpointMode::Bitmap)).then_some(1024);
        }
        Ok(())
    }
}

/// A guest that restarts is back at once.
fn asked(action: LifecycleAction) -> Asked {
    match action {
        LifecycleAction::Restart | LifecycleAction::RenameRestart => Asked::Later,
        _ => Asked::Ended(End::Shutdown),
    }
}

/// The card that a definition means which names none, and the memory of all cards.
fn settle_videos(def: &mut Domain) {
    let kind = match (def.os.kind.name.as_str(), def.os.kind.arch.as_deref()) {
        ("xen" | "linux", _) => VideoType::Xen,
        (_, Some("ppc64" | "ppc64le")) => VideoType::Vga,
        _ => VideoType::Cirrus,
    };
    for video in &mut def.devices.videos {
        if video.model.kind == VideoType::Default {
            video.model.kind = kind;
        }
        video.model.settle();
    }
}

/// Interfaces are called testnet0, testnet1, … on the host's side.
fn name_interfaces(def: &mut Domain) {
    let name = |interface: &Interface| interface.target.as_ref().and_then(|t| t.dev.clone());
    let mut taken: HashSet<String> = def.devices.interfaces.iter().filter_map(name).collect();
    let mut free = 0..;
    for interface in &mut def.devices.interfaces {
        let target = interface.target.get_or_insert_default();
        if target.dev.is_none() {
            let next = free.by_ref().map(|number: u32| format!("testnet{number}"));
            target.dev = next.into_iter().find(|name| taken.insert(name.clone()));
        }
    }
}

/// UUIDs are the workspace's source of chance.
fn random(bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(16) {
        chunk.copy_from_slice(&Uuid::new_v4().as_bytes()[..chunk.len()]);
    }
}
