// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The program `libvirt_lxc`: builds one container, owns it, and outlives the daemon that started it.
//!
//! ```text
//! seal the own program -> read the blueprint -> hear where the groups are to be -> group, socket
//!   -> boot: stage the root, clone init, tell "ready", wait for "run", tell "running"
//!   -> serve consoles, /proc/meminfo and daemons until init ends -> boot again, or tell and end
//! ```
//! SIGTERM kills the container, and the controller ends when all of it is gone. A controller that is killed takes init
//! with it (the kernel kills init), and leaves its control group and socket for a daemon to remove.

mod boot;
mod console;
mod daemons;
mod dev;
mod filesystem;
mod group;
mod held;
mod inside;
mod meminfo;
mod network;
mod obey;
mod own_exe;
mod stage;
mod sys;
mod tree;
mod users;
mod watch;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use self::boot::Boot;
use self::daemons::Daemons;
use self::group::Payload;
use self::held::Held;
use self::meminfo::Meminfo;
use self::watch::After;
use crate::blueprint::Blueprint;
use crate::failure::{Attempt, Failure, Step};
use crate::launch::{Place, RUN, Report};
use crate::monitor::{Ending, News};

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log(&virtus_api::Error::from(failure).to_string());
            ExitCode::FAILURE
        }
    }
}

fn start() -> Step<()> {
    let (handshake, blueprint) = arguments(std::env::args().skip(1))?;
    own_exe::seal()?;
    rustix::thread::set_name(c"libvirt_lxc").attempt(|| "name the controller")?;
    sys::close_at_exec().attempt(|| "keep descriptors from the container")?;
    let bad = |what: &str| format!("take over the {what} (started by hand?)");
    let handshake = sys::taken(handshake).attempt(|| bad("handshake"))?;
    let text = File::from(sys::taken(blueprint).attempt(|| bad("blueprint"))?);
    let mut daemon = Handshake(UnixStream::from(handshake));
    let result = serde_json::from_reader(BufReader::new(text))
        .map_err(|cause| Failure::refused(format!("the blueprint cannot be read: {cause}")))
        .and_then(|mut blueprint| own(&mut blueprint, &mut daemon));
    if let Err(failure) = &result {
        daemon.report(&Report::Failed(failure.clone()));
    }
    result
}

/// From a blueprint to the end of its container.
fn own(blueprint: &mut Blueprint, daemon: &mut Handshake) -> Step<()> {
    let signal = sys::signals(&[libc::SIGTERM, libc::SIGINT]).attempt(|| "watch for signals")?;
    // Modes are those that are asked for.
    rustix::process::umask(Mode::empty());
    // What is mounted from here on nobody else sees; what the host unmounts goes here too.
    sys::unshare(UnshareFlags::NEWNS).attempt(|| "make a mount namespace")?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .attempt(|| "keep mounts from the host")?;
    if let Some(place) = daemon.place(&signal)? {
        group::enter(&place.controller)?;
        blueprint.cgroup = place.group;
    }
    let group = Payload::make(blueprint)?;
    let mut held = Held::of(&blueprint.devices)?;
    let mut daemons = Daemons::listen(&blueprint.socket)?;
    let mut first = Some(daemon);
    loop {
        let ended = one_life(blueprint, &group, &mut held, &mut daemons, &signal, first.take());
        match ended {
            Ok(After::Reboot) => {}
            Ok(After::End(ending)) => {
                // Whoever hears of the end finds nothing left.
                drop((group, held));
                daemons.tell(News::Ended(ending));
                return Ok(());
            }
            Err(failure) => {
                drop((group, held));
                daemons.tell(News::Ended(Ending::Failed));
                return Err(failure);
            }
        }
    }
}

/// From one boot to the end of its init.
fn one_life(
    blueprint: &mut Blueprint,
    group: &Payload,
    held: &mut Held,
    daemons: &mut Daemons,
    signal: &OwnedFd,
    daemon: Option<&mut Handshake>,
) -> Step<After> {
    let limited = blueprint.limits.memory.is_some();
    let meminfo = if limited { Meminfo::mount(group.limits())? } else { None };
    let (mut meminfo, mount) = meminfo.unzip();
    let mut boot = Boot::prepare(blueprint, group, mount)?;
    match daemon {
        None => {
            boot.run()?;
            daemons.tell(News::Init(boot.pid().into()));
        }
        Some(daemon) => {
            daemon.report(&Report::Ready(boot.pid()));
            daemon.wait_for_run(signal)?;
            boot.run()?;
            daemon.report(&Report::Running);
        }
    }
    let after = watch::until_end(
        &mut boot,
        held,
        daemons,
        signal,
        meminfo.as_mut(),
        group.limits(),
        blueprint,
    )?;
    if let After::End(_) = after {
        boot.is_over();
    }
    Ok(after)
}

/// The daemon that starts the container.
struct Handshake(UnixStream);

impl Handshake {
    fn report(&mut self, report: &Report) {
        let mut line = serde_json::to_vec(report).unwrap_or_default();
        line.push(b'\n');
        // A daemon that is gone needs no report; before "run" its absence is noticed there.
        let _ = self.0.write_all(&line);
    }

    /// Waits to hear where the container's groups are to be.
    fn place(&mut self, signal: &OwnedFd) -> Step<Option<Place>> {
        let line = self.hear(signal)?;
        serde_json::from_slice(&line)
            .map_err(|_| Failure::refused("the daemon went away before the container was built"))
    }

    /// Waits for the word to run.
    fn wait_for_run(&mut self, signal: &OwnedFd) -> Step<()> {
        if self.hear(signal)? != RUN {
            return Err(Failure::refused("the daemon went away before the container ran"));
        }
        Ok(())
    }

    /// The next line of the daemon.
    fn hear(&mut self, signal: &OwnedFd) -> Step<Vec<u8>> {
        let mut polled = [PollFd::new(&self.0, PollFlags::IN), PollFd::new(signal, PollFlags::IN)];
        while let Err(rustix::io::Errno::INTR) = poll(&mut polled, None) {}
        if !polled[1].revents().is_empty() {
            return Err(Failure::refused("the start was called off"));
        }
        let mut line = Vec::new();
        // It says nothing more before it has an answer.
        let read = BufReader::new(&self.0).read_until(b'\n', &mut line);
        read.attempt(|| "hear the daemon")?;
        Ok(line)
    }
}

/// The numbers of the descriptors for the handshake and the blueprint.
fn arguments(mut args: impl Iterator<Item = String>) -> Step<(i32, i32)> {
    let usage = || {
        Failure::refused("usage: libvirt_lxc --name NAME --handshake FD --blueprint FD").hint(
            "the daemon of the LXC driver starts this program; containers are started with virsh",
        )
    };
    let (mut handshake, mut blueprint) = (None, None);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(usage)?;
        match name.as_str() {
            // For people who look at the list of processes.
            "--name" => {}
            "--handshake" => handshake = value.parse().ok(),
            "--blueprint" => blueprint = value.parse().ok(),
            _ => return Err(usage()),
        }
    }
    handshake.zip(blueprint).ok_or_else(usage)
}

/// Into the container's log, which is this program's standard error.
fn log(line: &str) {
    // There is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "libvirt_lxc: {line}");
}
