// SPDX-License-Identifier: Apache-2.0 OR MIT
//! virtlockd: sees to it that a disk has one user, on this host by its own books, among hosts by locks on files.
//!
//! A driver says on whose behalf it calls, and acquires. One connection of each guest is the *holder's*: it was opened
//! by the guest's own process, which keeps it open all its life. A guest's locks are held until they are released or its
//! process has ended; a process that closes its connection while it has locks is ended, since nobody would notice its
//! end later, and its locks are released when it is gone and not before. A daemon that was killed has a journal, by which
//! the next one locks again what the living had.

mod journal;
mod resource;
mod spaces;
mod state;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};
use virtus_api::{
    Error, ErrorCode, ErrorDomain, LockAcquireResource, LockAcquireResourceFlags,
    LockCreateLockspace, LockCreateResource, LockDeleteResource, LockNew, LockOwner, LockRegister,
    LockReleaseResource, LockRestrict, Program, Result,
};
use virtus_core::conf::Conf;
use virtus_core::flags::check_flags;
use virtus_core::{BoxFuture, Call, Paths, Responder, Routes, Service, Session};
use virtus_host::lock::Lock;
use virtus_host::process::Process;

use crate::own::{Keeper, Own, Starting};
use crate::reexec::{Kept, restless};
use journal::Journal;
use spaces::{Name, Spaces, no_space};

/// The program in the table of daemons.
pub(crate) const OWN: Own = Own { program: Program::Lock, start };

/// How long a caller waits for a file system.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a process may take to end by itself after it was asked to.
const POLITE: Duration = Duration::from_millis(1600);

struct Lockd {
    spaces: Arc<Spaces>,
    /// By session.
    clients: Mutex<HashMap<u64, Client>>,
    /// Processes whose end releases their locks, by their numbers.
    holders: Mutex<HashMap<u32, Arc<Process>>>,
    /// The daemon ends: who loses the connection to it has done nothing wrong.
    ending: AtomicBool,
}

/// On whose behalf a client calls.
#[derive(Clone)]
struct Client {
    owner: LockOwner,
    /// It may not call any more.
    restricted: bool,
    /// The owner's process, if this is its own connection.
    holder: Option<Arc<Process>>,
}

fn start(paths: &Paths, _: &Conf, left: Option<&Value>) -> Starting {
    let lockd = Arc::new(Lockd {
        spaces: Spaces::new(left, Journal::new(&paths.run)),
        clients: Mutex::default(),
        holders: Mutex::default(),
        ending: AtomicBool::new(false),
    });
    if left.is_some() {
        lockd.watch_owners();
    } else {
        for (owners, restored) in lockd.spaces.restore() {
            let lockd = lockd.clone();
            tokio::spawn(async move {
                restored.await;
                owners.into_iter().for_each(|owner| lockd.watch(Arc::new(owner)));
            });
        }
    }
    Ok(lockd)
}

impl Keeper for Lockd {
    fn responder(self: Arc<Self>) -> Arc<dyn Responder> {
        let routes = Routes::new()
            .on(register)
            .on(restrict)
            .on(new)
            .on(create_lockspace)
            .on(create_resource)
            .on(delete_resource)
            .on(acquire)
            .on(release);
        Service::new(self, routes.in_domain(ErrorDomain::Rpc), Self::gone)
    }

    fn busy(&self) -> usize {
        self.spaces.held()
    }

    fn reload(&self, _: &Conf) -> Result<()> {
        Ok(())
    }

    fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    fn rest(&self) -> BoxFuture<Result<()>> {
        let spaces = self.spaces.clone();
        Box::pin(async move {
            timeout(DEADLINE, spaces.rest()).await.map_err(|_| restless("the file of a resource"))
        })
    }

    fn state(&self, kept: &mut Kept) -> io::Result<Value> {
        self.spaces.describe(kept)
    }

    fn describe(&self, session: u64) -> Value {
        let Some(client) = self.clients().get(&session).cloned() else {
            return json!({
                "restricted": false, "ownerPid": 0, "ownerId": 0, "ownerName": "",
                "ownerUUID": "00000000-0000-0000-0000-000000000000",
            });
        };
        json!({
            "restricted": client.restricted, "ownerPid": client.owner.pid,
            "ownerId": client.owner.id, "ownerName": client.owner.name,
            "ownerUUID": client.owner.uuid.to_string(),
        })
    }

    fn adopt(self: Arc<Self>, session: &Session, described: &Value) {
        let number = |key: &str| described[key].as_u64().and_then(|number| number.try_into().ok());
        let text = |key: &str| described[key].as_str().unwrap_or_default();
        // One that has not said on whose behalf it calls has no process.
        let Some(pid) = number("ownerPid").filter(|pid: &u32| *pid != 0) else { return };
        let owner = LockOwner {
            uuid: text("ownerUUID").parse().unwrap_or_default(),
            name: text("ownerName").to_owned(),
            id: number("ownerId").unwrap_or_default(),
            pid,
        };
        let restricted = described["restricted"].as_bool().unwrap_or(false);
        match self.holder(session, pid) {
            Ok(holder) => {
                self.clients().insert(session.id(), Client { owner, restricted, holder });
            }
            Err(error) => warn!("process {pid} cannot be watched any more: {error}"),
        }
    }

    fn stop(&self) -> BoxFuture<()> {
        Box::pin(async {})
    }
}

async fn register(lockd: Arc<Lockd>, call: Call, request: LockRegister) -> Result<()> {
    check_flags(request.flags, 0, "virLockSpaceProtocolDispatchRegister")?;
    lockd.check_free(&call)?;
    let owner = request.owner;
    let holder = lockd.holder(&call.session, owner.pid)?;
    lockd.clients().insert(call.session.id(), Client { owner, restricted: false, holder });
    Ok(())
}

async fn restrict(lockd: Arc<Lockd>, call: Call, request: LockRestrict) -> Result<()> {
    check_flags(request.flags, 0, "virLockSpaceProtocolDispatchRestrict")?;
    lockd.owner(&call)?;
    if let Some(client) = lockd.clients().get_mut(&call.session.id()) {
        client.restricted = true;
    }
    Ok(())
}

async fn new(lockd: Arc<Lockd>, call: Call, request: LockNew) -> Result<()> {
    check_flags(request.flags, 0, "virLockSpaceProtocolDispatchNew")?;
    lockd.owner(&call)?;
    if request.path.is_empty() {
        let text = "the default lockspace already exists";
        return Err(Error::new(ErrorCode::OperationInvalid, text));
    }
    if lockd.spaces.has(&request.path) {
        let text = format!("Lockspace for path {} already exists", request.path);
        return Err(Error::new(ErrorCode::OperationInvalid, text));
    }
    lockd.make_space(request.path).await
}

async fn create_lockspace(
    lockd: Arc<Lockd>,
    call: Call,
    request: LockCreateLockspace,
) -> Result<()> {
    lockd.check_free(&call)?;
    match lockd.spaces.has(&request.path) {
        true => Ok(()),
        false => lockd.make_space(request.path).await,
    }
}

async fn create_resource(lockd: Arc<Lockd>, call: Call, request: LockCreateResource) -> Result<()> {
    check_flags(request.flags, 0, "virLockSpaceProtocolDispatchCreateResource")?;
    lockd.owner(&call)?;
    let name = lockd.name(request.path, request.name)?;
    in_time(lockd.spaces.change_free(name, resource::create)).await
}

async fn delete_resource(lockd: Arc<Lockd>, call: Call, request: LockDeleteResource) -> Result<()> {
    check_flags(request.flags, 0, "virLockSpaceProtocolDispatchDeleteResource")?;
    lockd.owner(&call)?;
    let name = lockd.name(request.path, request.name)?;
    in_time(lockd.spaces.change_free(name, resource::delete)).await
}

async fn acquire(lockd: Arc<Lockd>, call: Call, request: LockAcquireResource) -> Result<()> {
    use LockAcquireResourceFlags as Flags;
    let known = Flags::all().bits();
    check_flags(request.flags, known, "virLockSpaceProtocolDispatchAcquireResource")?;
    let owner = lockd.owner(&call)?;
    let name = lockd.name(request.path, request.name)?;
    let flags = Flags::from_bits_truncate(request.flags);
    let how = if flags.contains(Flags::SHARED) { Lock::Shared } else { Lock::Exclusive };
    let autocreate = flags.contains(Flags::AUTOCREATE);
    lockd.release_of_the_gone().await;
    in_time(lockd.spaces.acquire(name, owner, how, autocreate)).await
}

async fn release(lockd: Arc<Lockd>, call: Call, request: LockReleaseResource) -> Result<()> {
    check_flags(request.flags, 0, "virLockSpaceProtocolDispatchReleaseResource")?;
    let owner = lockd.owner(&call)?;
    let name = lockd.name(request.path, request.name)?;
    in_time(lockd.spaces.release(name, owner)).await
}

impl Lockd {
    fn clients(&self) -> MutexGuard<'_, HashMap<u64, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<u32, Arc<Process>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The owner's process, watched from now on, if the session is its own.
    fn holder(self: &Arc<Self>, session: &Session, owner: u32) -> Result<Option<Arc<Process>>> {
        if session.identity.pid.map(i32::cast_unsigned) != Some(owner) {
            return Ok(None);
        }
        let process = Process::open(owner, None)?.map(Arc::new);
        if let Some(process) = process.clone() {
            self.watch(process);
        }
        Ok(process)
    }

    /// Watches who owns what a predecessor has handed over: not all of them still have a connection.
    fn watch_owners(self: &Arc<Self>) {
        for pid in self.spaces.owners() {
            match Process::open(pid, None) {
                Ok(Some(process)) => self.watch(Arc::new(process)),
                Ok(None) => {
                    let spaces = self.spaces.clone();
                    tokio::spawn(async move { spaces.release_all(pid).await });
                }
                Err(error) => warn!("process {pid} cannot be watched any more: {error}"),
            }
        }
    }

    /// Releases the locks of a process when it ends.
    fn watch(self: &Arc<Self>, process: Arc<Process>) {
        let (lockd, pid) = (self.clone(), process.pid());
        self.holders().insert(pid, process.clone());
        tokio::spawn(async move {
            process.exited().await;
            lockd.spaces.release_all(pid).await;
            let mut holders = lockd.holders();
            if holders.get(&pid).is_some_and(|known| Arc::ptr_eq(known, &process)) {
                holders.remove(&pid);
            }
        });
    }

    /// Releases what processes had that have ended: whoever saw such an end need not wait until we did.
    async fn release_of_the_gone(&self) {
        let ended = |process: &&Arc<Process>| process.try_exited().is_some();
        let gone: Vec<u32> = self.holders().values().filter(ended).map(|p| p.pid()).collect();
        for pid in gone {
            self.spaces.release_all(pid).await;
        }
    }

    fn client(&self, call: &Call) -> Option<Client> {
        self.clients().get(&call.session.id()).cloned()
    }

    /// Refuses a client that has given up its right to call.
    fn check_free(&self, call: &Call) -> Result<()> {
        match self.client(call) {
            Some(client) if client.restricted => {
                let text = "lock manager connection has been restricted";
                Err(Error::new(ErrorCode::OperationDenied, text))
            }
            _ => Ok(()),
        }
    }

    /// The process on whose behalf a client may call.
    fn owner(&self, call: &Call) -> Result<u32> {
        self.check_free(call)?;
        let client = self.client(call).ok_or_else(|| {
            let text = "lock owner details have not been registered";
            Error::new(ErrorCode::OperationInvalid, text)
        })?;
        Ok(client.owner.pid)
    }

    fn name(&self, space: String, name: String) -> Result<Name> {
        match self.spaces.has(&space) {
            true => Ok(Name { space, name }),
            false => Err(no_space(&space)),
        }
    }

    async fn make_space(&self, folder: String) -> Result<()> {
        let path = folder.clone();
        let made = spawn_blocking(move || resource::make_folder(Path::new(&path)));
        in_time(async { made.await.unwrap_or_else(|cause| Err(spaces::broken_off(&cause))) })
            .await?;
        self.spaces.add(folder).await;
        Ok(())
    }

    /// A client has closed its connection.
    fn gone(self: &Arc<Self>, session: &Arc<Session>) {
        let Some(client) = self.clients().remove(&session.id()) else { return };
        let Some(holder) = client.holder.filter(|_| !self.ending.load(Ordering::Acquire)) else {
            return;
        };
        if self.spaces.owns_any(holder.pid()) {
            tokio::spawn(end(holder, client.owner.name));
        }
    }
}

/// Ends a process that has locks and has closed its connection, which mostly it did by ending.
async fn end(process: Arc<Process>, name: String) {
    let what = format!("process {} of '{name}', which gave up its lock", process.pid());
    for signal in [Signal::TERM, Signal::KILL] {
        if process.try_exited().is_some() {
            return;
        }
        info!("ending {what}: {signal:?}");
        if let Err(error) = process.signal(signal) {
            warn!("cannot end {what}: {error}");
        }
        // One that cannot be ended keeps its locks.
        let _ended = timeout(POLITE, process.exited()).await;
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(DEADLINE, work).await.unwrap_or_else(|_| {
        let text =
            format!("the file of a resource cannot be locked within {} s", DEADLINE.as_secs());
        Err(Error::new(ErrorCode::OperationTimeout, text).hint("its file system does not answer"))
    })
}

#[cfg(test)]
mod tests {
    use virtus_core::events::NoEvents;
    use virtus_core::{Identity, Uri};

    use super::*;

    #[test]
    fn a_successor_knows_on_whose_behalf_a_client_calls() {
        let lockd = || {
            Arc::new(Lockd {
                spaces: Spaces::new(None, Journal::new(&std::env::temp_dir())),
                clients: Mutex::default(),
                holders: Mutex::default(),
                ending: AtomicBool::default(),
            })
        };
        let session =
            || Session::new(Identity::default(), false, Uri::default(), Arc::new(NoEvents));
        let (before, after) = (session(), session());
        let (gone, successor) = (lockd(), lockd());
        let uuid = "8369f1ac-7e46-e869-4ca5-759d51478066";
        let owner = LockOwner { uuid: uuid.parse().unwrap(), name: "a".to_owned(), id: 3, pid: 1 };
        let client = Client { owner, restricted: true, holder: None };
        gone.clients().insert(before.id(), client);
        let described = gone.describe(before.id());
        let expected = json!({
            "restricted": true, "ownerPid": 1, "ownerId": 3, "ownerName": "a", "ownerUUID": uuid,
        });
        assert_eq!(described, expected);
        successor.clone().adopt(&after, &described);
        assert_eq!(successor.describe(after.id()), described);
    }
}
