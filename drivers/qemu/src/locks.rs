// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The locks that virtlockd holds for a guest while its vCPUs run (`lock_manager = "lockd"`).
//!
//! The guest's own process is the owner: it holds a connection that it has opened itself, by which virtlockd knows when
//! it is gone. This daemon acquires and releases on its behalf over connections of its own, so that locks neither depend
//! on its life nor end with it. One task for each guest does so, one thing after the other.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use virtus_api::{
    Error, ErrorDomain, LockAcquireResource, LockAcquireResourceFlags, LockCreateLockspace,
    LockOwner, LockRegister, LockReleaseResource, LockRestrict, Result,
};
use virtus_core::Paths;
use virtus_rpc::{Conversation, Neighbour};
use virtus_xml::Domain;
use virtus_xml::domain::disk::Disk;

use crate::config::{Config, LockRules};

mod resources;

use resources::Resource;

/// Orders that wait for the task of a guest.
const ORDERS: usize = 8;

/// How to lock for guests; nothing if nobody wants it.
pub(crate) struct LockManager {
    virtlockd: Neighbour,
    rules: LockRules,
}

/// What a guest that starts locks with.
pub(crate) struct Opening {
    manager: LockManager,
    resources: Vec<Resource>,
    /// The socket that the guest's process connects and keeps, as we see it.
    holder: OwnedFd,
}

/// The locks of a guest that runs; none if nobody wants them.
#[derive(Default)]
pub(crate) struct Locks(Option<mpsc::Sender<Order>>);

enum Order {
    /// To have all locks.
    Acquire(oneshot::Sender<Result<()>>),
    /// To have none.
    Release(oneshot::Sender<Result<()>>),
    /// To have one for this disk, too, while there are any.
    Add(Box<Disk>, oneshot::Sender<Result<()>>),
    /// To have none for this disk.
    Remove(Box<Disk>, oneshot::Sender<Result<()>>),
}

impl LockManager {
    /// The one that the configuration wants.
    pub(crate) fn new(config: &Config, paths: &Paths) -> Option<Self> {
        let rules = config.locks.clone()?;
        Some(Self { virtlockd: Neighbour::virtlockd(&paths.run), rules })
    }

    /// Prepares the locks of a guest that starts.
    ///
    /// # Errors
    /// Where virtlockd is not there, or the definition cannot be locked.
    pub(crate) async fn open(self, def: &Domain) -> Result<Opening> {
        let resources = resources::of_guest(def, &self.rules).await?;
        let virtlockd = self.virtlockd.connect().await?;
        let mut spaces: Vec<&str> = resources.iter().map(|resource| &*resource.space).collect();
        spaces.sort_unstable();
        spaces.dedup();
        for space in spaces.into_iter().filter(|space| !space.is_empty()) {
            virtlockd.ask(LockCreateLockspace { path: space.to_owned() }).await?;
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let holder = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let holder =
            holder.map_err(|errno| Error::system("cannot make a socket", &errno.into()))?;
        Ok(Opening { manager: self, resources, holder })
    }

    /// The locks of a guest that a former daemon has started, whatever it has locked.
    pub(crate) async fn again(self, def: &Domain, pid: u32) -> Locks {
        match resources::of_guest(def, &self.rules).await {
            Ok(resources) => Clerk::start(self, owner(def, pid), resources, None),
            Err(error) => {
                tracing::warn!("domain '{}' runs without locks: {error}", def.name);
                Locks::default()
            }
        }
    }
}

impl Opening {
    /// The socket for the guest's process, and where to connect it.
    pub(crate) fn holder(&self) -> Result<(OwnedFd, SocketAddrUnix)> {
        let explain = |cause| self.manager.virtlockd.absent(&cause);
        let address = SocketAddrUnix::new(self.manager.virtlockd.socket());
        let address = address.map_err(|errno| explain(errno.into()))?;
        Ok((self.holder.try_clone().map_err(explain)?, address))
    }

    /// Makes the process, which has connected its socket, the owner of locks to come.
    ///
    /// # Errors
    /// virtlockd's refusal.
    pub(crate) async fn started(self, def: &Domain, pid: u32) -> Result<Locks> {
        let Self { manager, resources, holder } = self;
        let owner = owner(def, pid);
        let explain = |cause| manager.virtlockd.absent(&cause);
        let stream = UnixStream::from_std(holder.into()).map_err(explain)?;
        let holder = manager.virtlockd.converse(stream)?;
        holder.ask(LockRegister { owner: owner.clone(), flags: 0 }).await?;
        // The guest itself is not to meddle with locks.
        holder.ask(LockRestrict { flags: 0 }).await?;
        Ok(Clerk::start(manager, owner, resources, Some(false)))
    }
}

fn owner(def: &Domain, pid: u32) -> LockOwner {
    LockOwner {
        uuid: def.uuid.unwrap_or_default(),
        name: def.name.clone(),
        id: def.id.unwrap_or_default().unsigned_abs(),
        pid,
    }
}

impl Locks {
    /// Locks all that the guest needs, before its vCPUs run.
    ///
    /// # Errors
    /// `VIR_ERR_RESOURCE_BUSY` if another has it; then nothing is locked.
    pub(crate) async fn acquire(&self) -> Result<()> {
        self.order(Order::Acquire).await
    }

    /// Unlocks all, after its vCPUs were stopped. A failure has no one to tell it to but the log.
    pub(crate) async fn release(&self) {
        if let Err(error) = self.order(Order::Release).await {
            tracing::warn!("locks of a guest that was paused stay: {error}");
        }
    }

    /// Locks a disk that is plugged in.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub(crate) async fn add(&self, disk: &Disk) -> Result<()> {
        self.order(|answer| Order::Add(Box::new(disk.clone()), answer)).await
    }

    /// Unlocks a disk that was taken out, or was not plugged in after all.
    pub(crate) async fn remove(&self, disk: &Disk) {
        let removed = self.order(|answer| Order::Remove(Box::new(disk.clone()), answer)).await;
        if let Err(error) = removed {
            tracing::warn!("the lock on a disk that was taken out stays: {error}");
        }
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<Result<()>>) -> Order) -> Result<()> {
        let Some(clerk) = &self.0 else { return Ok(()) };
        let (answer, answered) = oneshot::channel();
        // The task ends only with us, and all that it waits for has a deadline.
        match clerk.send(order(answer)).await {
            Ok(()) => answered.await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }
}

/// The task of one guest.
struct Clerk {
    manager: LockManager,
    owner: LockOwner,
    resources: Vec<Resource>,
    /// Whether all are locked; `None` if a former daemon knows.
    held: Option<bool>,
}

impl Clerk {
    fn start(
        manager: LockManager,
        owner: LockOwner,
        resources: Vec<Resource>,
        held: Option<bool>,
    ) -> Locks {
        let (orders, taken) = mpsc::channel(ORDERS);
        tokio::spawn(Self { manager, owner, resources, held }.work(taken));
        Locks(Some(orders))
    }

    async fn work(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.recv().await {
            let (answer, done) = match order {
                Order::Acquire(answer) => (answer, self.acquire().await),
                Order::Release(answer) => (answer, self.release().await),
                Order::Add(disk, answer) => (answer, self.add(&disk).await),
                Order::Remove(disk, answer) => (answer, self.remove(&disk).await),
            };
            // Whoever does not wait any more has given up.
            drop(answer.send(done));
        }
    }

    async fn acquire(&mut self) -> Result<()> {
        if self.held == Some(true) || self.resources.is_empty() {
            return Ok(());
        }
        let virtlockd = self.connect().await?;
        if self.held.is_none() {
            release_all(&virtlockd, &self.resources).await;
        }
        for (at, resource) in self.resources.iter().enumerate() {
            if let Err(error) = acquire(&virtlockd, resource).await {
                release_all(&virtlockd, &self.resources[..at]).await;
                self.held = Some(false);
                return Err(error);
            }
        }
        self.held = Some(true);
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        if self.held == Some(false) || self.resources.is_empty() {
            return Ok(());
        }
        release_all(&self.connect().await?, &self.resources).await;
        self.held = Some(false);
        Ok(())
    }

    async fn add(&mut self, disk: &Disk) -> Result<()> {
        let Some(resource) = resources::of_disk(disk, &self.manager.rules).await? else {
            return Ok(());
        };
        if self.held != Some(false) {
            let virtlockd = self.connect().await?;
            if !resource.space.is_empty() {
                virtlockd.ask(LockCreateLockspace { path: resource.space.clone() }).await?;
            }
            acquire(&virtlockd, &resource).await?;
        }
        self.resources.push(resource);
        Ok(())
    }

    async fn remove(&mut self, disk: &Disk) -> Result<()> {
        let resource = resources::of_disk(disk, &self.manager.rules).await?;
        let known = self.resources.iter().position(|known| Some(known) == resource.as_ref());
        let Some(at) = known else { return Ok(()) };
        let resource = self.resources.remove(at);
        if self.held != Some(false) {
            release_all(&self.connect().await?, &[resource]).await;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Conversation> {
        let virtlockd = self.manager.virtlockd.connect().await?;
        virtlockd.ask(LockRegister { owner: self.owner.clone(), flags: 0 }).await?;
        Ok(virtlockd)
    }
}

async fn acquire(virtlockd: &Conversation, resource: &Resource) -> Result<()> {
    let Resource { space, name, shared, autocreate } = resource.clone();
    let mut flags = LockAcquireResourceFlags::empty();
    flags.set(LockAcquireResourceFlags::SHARED, shared);
    flags.set(LockAcquireResourceFlags::AUTOCREATE, autocreate);
    let request = LockAcquireResource { path: space, name, flags: flags.bits() };
    virtlockd.ask(request).await.map_err(|error| error.or_domain(ErrorDomain::Locking))
}

/// Unlocks what is locked; what is not, is not.
async fn release_all(virtlockd: &Conversation, resources: &[Resource]) {
    for Resource { space, name, .. } in resources {
        let request = LockReleaseResource { path: space.clone(), name: name.clone(), flags: 0 };
        if let Err(error) = virtlockd.ask(request).await {
            tracing::debug!("{error}");
        }
    }
}
