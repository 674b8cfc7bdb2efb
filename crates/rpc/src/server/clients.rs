// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who is connected, and who has to make room.
//!
//! A client is *silent* until it has opened a connection. Silent ones cost others nothing: when a
//! new client comes and `max_anonymous_clients` are silent, the one that has been silent longest
//! goes, if it had [`GRACE`] to speak; when `max_clients` is reached it goes at once. The new client
//! always gets in unless `max_clients` have really opened connections. (A silent client also has a
//! deadline of its own, in its task.)
//!
//! No user but root has more than `max_user_clients` open connections, so that nobody takes all places. Clients of whom
//! nothing is proven count as one user.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;
use virtus_api::{ClientTransport, Result};
use virtus_core::Identity;

use super::user::User;
use super::{Access, Limits};
use crate::bell::{Bell, Ring};
use crate::errors;

/// How long a silent client is safe from being replaced by the next: time enough to say something
/// on a busy machine, so that a crowd of honest clients does not throw out its own.
const GRACE: Duration = Duration::from_secs(5);

/// What an administrator may know of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its number: unique in this server, counted from 1.
    pub id: u64,
    /// When it connected.
    pub since: SystemTime,
    /// How it is connected.
    pub transport: ClientTransport,
    /// Whether its connection is read-only.
    pub read_only: bool,
    /// Where it is connected from, if that is a network address.
    pub address: Option<String>,
    /// What is proven about it.
    pub identity: Identity,
}

#[derive(Default)]
pub(super) struct Clients {
    list: Mutex<List>,
    left: Notify,
}

#[derive(Default)]
struct List {
    arrived: u64,
    /// Whoever comes now should not begin anything.
    stopping: bool,
    /// In the order of their arrival.
    all: BTreeMap<u64, Entry>,
    silent: BTreeMap<u64, Instant>,
    /// How many connections each user has, or is about to have.
    users: HashMap<User, usize>,
}

struct Entry {
    bell: Arc<Bell>,
    /// Known as soon as the peer was looked at.
    info: Option<ClientInfo>,
    /// Known as soon as it opens a connection.
    user: Option<User>,
}

impl Clients {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        self.list().all.len()
    }

    /// A place for a new client; `None` if everyone has one and keeps it.
    pub(super) fn enter(&self, limits: &Limits, now: Instant) -> Option<(u64, Arc<Bell>)> {
        let mut list = self.list();
        let full = list.all.len() >= limits.max_clients;
        let crowded =
            limits.max_anonymous_clients > 0 && list.silent.len() >= limits.max_anonymous_clients;
        if full || crowded {
            let oldest = list.silent.first_key_value().map(|(id, since)| (*id, *since));
            match oldest.filter(|(_, since)| full || now.duration_since(*since) >= GRACE) {
                Some((id, _)) => drop(list.kick(id)),
                None if full => return None,
                None => {}
            }
        }
        list.arrived += 1;
        let id = list.arrived;
        let bell = Arc::<Bell>::default();
        if list.stopping {
            bell.ring(Ring::Stop);
        }
        list.all.insert(id, Entry { bell: bell.clone(), info: None, user: None });
        list.silent.insert(id, now);
        Some((id, bell))
    }

    /// Whether the client may open a connection as `user`; counts it if so.
    fn may_open(&self, id: u64, user: User, limit: usize) -> bool {
        let mut list = self.list();
        let List { all, users, .. } = &mut *list;
        // One who was kicked is out of the list already, and hears no answer.
        let Some(client) = all.get_mut(&id).filter(|client| client.user.is_none()) else {
            return true;
        };
        if user.is_root() {
            return true;
        }
        let count = users.entry(user.clone()).or_default();
        if *count >= limit {
            return false;
        }
        *count += 1;
        client.user = Some(user);
        true
    }

    fn opened(&self, id: u64) {
        self.list().silent.remove(&id);
    }

    fn leave(&self, id: u64) {
        // One who was kicked is out of the list already.
        let _client = self.list().remove(id);
        self.left.notify_waiters();
    }

    /// Tells all who are there, and all who will come, to finish.
    pub(super) fn stop(&self) {
        let mut list = self.list();
        list.stopping = true;
        list.all.values().for_each(|client| client.bell.ring(Ring::Stop));
    }

    pub(super) fn kick_all(&self) {
        self.list().all.values().for_each(|client| client.bell.ring(Ring::Kick));
    }

    /// Ends one client; `false` if it is not there.
    pub(super) fn kick(&self, id: u64) -> bool {
        let kicked = self.list().kick(id);
        self.left.notify_waiters();
        kicked
    }

    /// Who is there, in the order of arrival.
    pub(super) fn infos(&self) -> Vec<ClientInfo> {
        self.list().all.values().filter_map(|client| client.info.clone()).collect()
    }

    pub(super) fn info(&self, id: u64) -> Option<ClientInfo> {
        self.list().all.get(&id)?.info.clone()
    }

    /// How many there are, and how many of them are silent.
    pub(super) fn counts(&self) -> (usize, usize) {
        let list = self.list();
        (list.all.len(), list.silent.len())
    }

    fn change_info(&self, id: u64, change: impl FnOnce(&mut Option<ClientInfo>)) {
        if let Some(client) = self.list().all.get_mut(&id) {
            change(&mut client.info);
        }
    }

    /// The limits have changed: those who wait for a place ask again.
    pub(super) fn may_enter(&self) {
        self.left.notify_waiters();
    }

    /// Resolves when a place may have become free.
    pub(super) fn some_left(&self) -> Notified<'_> {
        self.left.notified()
    }

    pub(super) async fn none_left(&self) {
        loop {
            let left = self.left.notified();
            if self.count() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl List {
    fn kick(&mut self, id: u64) -> bool {
        let kicked = self.remove(id);
        if let Some(client) = &kicked {
            client.bell.ring(Ring::Kick);
        }
        kicked.is_some()
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        self.silent.remove(&id);
        let client = self.all.remove(&id)?;
        if let Some(user) = &client.user
            && let Some(count) = self.users.get_mut(user)
        {
            *count -= 1;
            if *count == 0 {
                self.users.remove(user);
            }
        }
        Some(client)
    }
}

/// A client's entry in the list, as long as it lives.
pub(crate) struct Place {
    server: Arc<super::Server>,
    id: u64,
}

impl Place {
    pub(super) fn new(server: Arc<super::Server>, id: u64) -> Self {
        Self { server, id }
    }

    /// Says who the client is.
    pub(super) fn describe(
        &self,
        access: Access,
        identity: &Identity,
        (transport, address): (ClientTransport, Option<String>),
    ) {
        let (id, since) = (self.id, SystemTime::now());
        self.server.clients.change_info(id, |info| {
            *info = Some(ClientInfo {
                id,
                since,
                transport,
                read_only: access.read_only,
                address,
                identity: identity.clone(),
            });
        });
    }

    /// More is proven of the client than when it came.
    pub(crate) fn proven(&self, identity: &Identity) {
        self.server.clients.change_info(self.id, |info| {
            if let Some(info) = info {
                info.identity = identity.clone();
            }
        });
    }

    /// Refuses a client whose user has enough connections.
    ///
    /// # Errors
    /// `VIR_ERR_RESOURCE_BUSY`.
    pub(crate) fn may_open(&self, identity: &Identity) -> Result<()> {
        let limit = self.server.limits().max_user_clients;
        match self.server.clients.may_open(self.id, User::of(identity), limit) {
            true => Ok(()),
            false => Err(errors::too_many_of_user(limit)),
        }
    }

    /// The client has opened a connection and will not be asked to make room any more.
    pub(crate) fn opened(&self) {
        self.server.clients.opened(self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.clients.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn kicked(bell: &Bell) -> bool {
        bell.end(false).now_or_never().is_some()
    }

    #[test]
    fn the_longest_silent_makes_room() {
        let limits = Limits { max_anonymous_clients: 2, max_clients: 10, ..Limits::default() };
        let clients = Clients::default();
        let start = Instant::now();
        let (first, first_bell) = clients.enter(&limits, start).unwrap();
        let (_, second_bell) = clients.enter(&limits, start).unwrap();
        clients.opened(first);
        clients.enter(&limits, start).unwrap();
        clients.enter(&limits, start + GRACE / 2).unwrap();
        assert!(!kicked(&second_bell), "it had no time to speak yet");
        clients.enter(&limits, start + GRACE).unwrap();
        assert!(kicked(&second_bell) && !kicked(&first_bell));
    }

    #[test]
    fn at_the_limit_only_silent_ones_go() {
        let limits = Limits { max_clients: 2, ..Limits::default() };
        let clients = Clients::default();
        let now = Instant::now();
        let (first, _) = clients.enter(&limits, now).unwrap();
        let (second, second_bell) = clients.enter(&limits, now).unwrap();
        clients.opened(first);
        let (third, _) = clients.enter(&limits, now).unwrap();
        assert!(kicked(&second_bell));
        clients.leave(second);
        clients.opened(third);
        assert!(clients.enter(&limits, now).is_none());
        clients.leave(first);
        assert!(clients.enter(&limits, now).is_some());
    }

    #[test]
    fn nobody_but_root_takes_all_places() {
        let clients = Clients::default();
        let ids = [0; 4].map(|_| clients.enter(&Limits::default(), Instant::now()).unwrap().0);
        let user = |uid| User::of(&Identity { uid: Some(uid), ..Identity::default() });
        assert!(clients.may_open(ids[0], user(7), 1));
        assert!(clients.may_open(ids[0], user(7), 1), "it is counted already");
        assert!(!clients.may_open(ids[1], user(7), 1));
        assert!(clients.may_open(ids[2], user(8), 1));
        assert!(clients.may_open(ids[3], user(0), 0));
        clients.leave(ids[0]);
        assert!(clients.may_open(ids[1], user(7), 1));
        clients.leave(ids[1]);
        clients.kick(ids[2]);
        assert!(clients.list().users.is_empty());
    }
}
