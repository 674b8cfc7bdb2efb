// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One boot of a container: from a blueprint to an init that waits, and from there to one that runs.
//!
//! ```text
//! controller                              init
//!   stage the root, clone -------------->   (wait)
//!   id maps, network devices
//!   "go" -------------------------------> mounts, root, identity
//!       <------------------ Ready | Failed (wait)
//!   "run" ------------------------------> execute
//!       <------------- Failed, or the end of the socket
//! ```
//! Invariant: whatever fails, init is killed and reaped, the devices it had are gone or back, and its root is unmounted.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send};
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::console::Pump;
use super::dev;
use super::group::Payload;
use super::inside::{self, Belongings};
use super::network::{Network, namespace};
use super::stage::Stage;
use super::sys::{self, Cloned};
use super::tree::Tree;
use super::users;
use crate::blueprint::{Blueprint, Namespace};
use crate::failure::{Attempt, Failure, Step};
use crate::launch::Report;

const GO: &[u8] = b"go";
/// Below this number init may find what it inherits.
const HIGH: i32 = 256;

/// A container with an init.
pub(super) struct Boot {
    init: Cloned,
    /// Where init waits for the word to run; gone once it does.
    word: Option<OwnedFd>,
    reaped: bool,
    over: bool,
    pub(super) consoles: Vec<Pump>,
    /// Its `/dev`.
    pub(super) dev: Tree,
    /// Where its network devices are, if it does not share somebody's.
    pub(super) network: Option<Network>,
}

impl Boot {
    /// Everything up to an init that waits.
    pub(super) fn prepare(
        blueprint: &Blueprint,
        group: &Payload,
        meminfo: Option<OwnedFd>,
    ) -> Step<Self> {
        let users = blueprint.id_map.as_ref().filter(|_| is_id_mapped(blueprint));
        let users = users.map(users::namespace).transpose()?;
        let (stage, dev::Dev { tree: dev, consoles }) =
            Stage::build(blueprint, users.as_ref().map(AsFd::as_fd))?;
        let belongings =
            Belongings { join_files: group.join_files()?, kinds: group.kinds.clone(), meminfo };
        let unified = group.unified()?;
        let attempt = || "make a socket pair";
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .attempt(attempt)?;
        let theirs = rustix::io::fcntl_dupfd_cloexec(&theirs, HIGH).attempt(attempt)?;
        let Some(init) = clone(blueprint, unified.as_ref())? else {
            drop(ours);
            be_init(blueprint, belongings, &theirs);
        };
        drop(theirs);
        drop(stage);
        let mut boot = Self {
            init,
            word: Some(ours),
            reaped: false,
            over: false,
            consoles: Vec::new(),
            dev,
            network: None,
        };
        boot.consoles = consoles.into_iter().map(Pump::new).collect::<Step<_>>()?;
        if let Some(ids) = &blueprint.id_map {
            users::map(boot.init.pid, ids)?;
        }
        boot.move_links(blueprint)?;
        boot.say(GO)?;
        match boot.hear()? {
            Some(Report::Failed(failure)) => Err(failure),
            Some(_) => Ok(boot),
            None => Err(Failure::refused("the container's init died before it could run")),
        }
    }

    /// Lets init execute its program.
    pub(super) fn run(&mut self) -> Step<()> {
        self.say(crate::launch::RUN)?;
        let answer = self.hear()?;
        self.word = None;
        match answer {
            None => Ok(()),
            Some(Report::Failed(failure)) => Err(failure),
            Some(_) => Err(Failure::refused("the container's init repeats itself")),
        }
    }

    /// Init's number on the host.
    pub(super) fn pid(&self) -> u32 {
        self.init.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Readable when init has ended.
    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.init.pidfd
    }

    /// Kills init and with it everything in its namespace of processes.
    pub(super) fn kill(&self) {
        // It may have ended already.
        let _ = pidfd_send_signal(&self.init.pidfd, Signal::KILL);
    }

    /// How init ended, once it has. The kernel tells only when all processes of the container are gone.
    pub(super) fn reap(&mut self) -> Step<WaitIdStatus> {
        let status = waitid(WaitId::PidFd(self.init.pidfd.as_fd()), WaitIdOptions::EXITED)
            .attempt(|| "wait for the container's init")?;
        self.reaped = true;
        status.ok_or_else(|| Failure::refused("the container's init has no end"))
    }

    /// There is no next boot: devices that belong to the container can go with it.
    pub(super) fn is_over(&mut self) {
        self.over = true;
    }

    fn move_links(&mut self, blueprint: &Blueprint) -> Step<()> {
        if blueprint.network != Namespace::Own {
            return Ok(());
        }
        let network = self.network.insert(Network::of(self.pid())?);
        blueprint.links.iter().try_for_each(|link| network.take(link))
    }

    fn word(&self) -> Step<&OwnedFd> {
        self.word.as_ref().ok_or_else(|| Failure::refused("the container's init runs already"))
    }

    fn say(&self, what: &[u8]) -> Step<()> {
        send(self.word()?, what, SendFlags::NOSIGNAL)
            .attempt(|| "speak to the container's init")
            .map(|_| ())
    }

    /// What init says; `None` when its end of the socket is gone.
    fn hear(&self) -> Step<Option<Report>> {
        let mut message = [0; 16384];
        match recv(self.word()?, &mut message[..], RecvFlags::empty()) {
            Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET) => Ok(None),
            Ok((_, length)) => serde_json::from_slice(&message[..length])
                .map(Some)
                .map_err(|_| Failure::refused("the container's init cannot be understood")),
            Err(errno) => Err(errno).attempt(|| "listen to the container's init"),
        }
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            // Nobody else waits for it, so that this cannot fail.
            let _ = self.reap();
        }
        if let Some(network) = &mut self.network {
            network.give_all_back(self.over);
        }
    }
}

/// Clones init into its namespaces. The ones that it shares with others are entered for that moment.
fn clone(blueprint: &Blueprint, group: Option<&File>) -> Step<Option<Cloned>> {
    let mut flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    if blueprint.id_map.is_some() {
        flags |= libc::CLONE_NEWUSER;
    }
    let spaces = [
        (blueprint.network, libc::CLONE_NEWNET, LinkNameSpaceType::Network, "net"),
        (blueprint.ipc, libc::CLONE_NEWIPC, LinkNameSpaceType::InterProcessCommunication, "ipc"),
        (blueprint.uts, libc::CLONE_NEWUTS, LinkNameSpaceType::HostNameAndNISDomainName, "uts"),
    ];
    let enter = |fd: std::os::fd::BorrowedFd<'_>, kind, name: &str| {
        move_into_link_name_space(fd, Some(kind))
            .attempt(|| format!("enter the shared namespace '{name}'"))
    };
    let mut own = Vec::new();
    let mut entered = Ok(());
    for (space, flag, kind, name) in spaces {
        match space {
            Namespace::Own => flags |= flag,
            Namespace::Host => {}
            Namespace::Shared(fd) if entered.is_ok() => {
                own.push((namespace("self", name)?, kind, name));
                entered = sys::inherited(fd)
                    .attempt(|| format!("enter the shared namespace '{name}'"))
                    .and_then(|fd| enter(fd, kind, name));
            }
            Namespace::Shared(_) => {}
        }
    }
    let cloned = entered.and_then(|()| {
        sys::clone(flags, group.map(AsFd::as_fd)).attempt(|| "make the container's namespaces")
    });
    if let Ok(None) = cloned {
        return Ok(None);
    }
    for (namespace, kind, name) in &own {
        enter(namespace.as_fd(), *kind, name)?;
    }
    cloned
}

/// What the clone does: never comes back to what its parent was doing.
fn be_init(blueprint: &Blueprint, belongings: Belongings, word: &OwnedFd) -> ! {
    let heard = |what: &[u8]| {
        let mut message = [0; 16];
        let heard = recv(word, &mut message[..], RecvFlags::empty());
        heard.is_ok_and(|(_, length)| &message[..length] == what)
    };
    let say = |report: &Report| {
        let text = serde_json::to_vec(report).unwrap_or_default();
        // A controller that does not listen any more has nothing to be told.
        let _ = send(word, &text, SendFlags::NOSIGNAL);
    };
    if heard(GO) {
        match inside::prepare(blueprint, belongings) {
            Ok(()) => {
                say(&Report::Ready(0));
                if heard(crate::launch::RUN) {
                    say(&Report::Failed(inside::execute(blueprint)));
                }
            }
            Err(failure) => say(&Report::Failed(failure)),
        }
    }
    sys::leave(1)
}

fn is_id_mapped(blueprint: &Blueprint) -> bool {
    blueprint.root.id_mapped || blueprint.mounts.iter().any(|mount| mount.id_mapped)
}
