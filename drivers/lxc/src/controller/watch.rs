// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a controller does while its container runs: wait for whatever comes first.

use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::process::WaitIdStatus;
use virtus_host::cgroup::Group;

use super::boot::Boot;
use super::console::Pump;
use super::daemons::Daemons;
use super::held::Held;
use super::meminfo::Meminfo;
use super::obey;
use crate::blueprint::{Blueprint, OnReboot};
use crate::failure::{Attempt, Step};
use crate::monitor::Ending;

const INIT: u64 = 0;
const SIGNAL: u64 = 1;
const DAEMONS: u64 = 2;
const MEMINFO: u64 = 3;
/// Consoles have the numbers from here on.
const CONSOLES: u64 = 4;

/// What follows when init has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Boot again.
    Reboot,
    /// It is over.
    End(Ending),
}

/// Serves the container until its init has ended, or until a signal says that it is to end.
pub(super) fn until_end(
    boot: &mut Boot,
    held: &mut Held,
    daemons: &mut Daemons,
    signal: &OwnedFd,
    mut meminfo: Option<&mut Meminfo>,
    group: &Group,
    blueprint: &mut Blueprint,
) -> Step<After> {
    let poll = epoll::create(CreateFlags::CLOEXEC).attempt(|| "watch the container")?;
    let watch = |fd: std::os::fd::BorrowedFd<'_>, number: u64, flags: EventFlags| {
        epoll::add(&poll, fd, EventData::new_u64(number), flags).attempt(|| "watch the container")
    };
    watch(boot.pidfd().as_fd(), INIT, EventFlags::IN)?;
    watch(signal.as_fd(), SIGNAL, EventFlags::IN)?;
    watch(daemons.as_fd(), DAEMONS, EventFlags::IN)?;
    if let Some(meminfo) = &meminfo {
        watch(meminfo.as_fd(), MEMINFO, EventFlags::IN)?;
    }
    for (number, pump) in (CONSOLES..).zip(&boot.consoles) {
        for end in pump.ends() {
            watch(end, number, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
        }
    }
    let mut killed = false;
    let mut events: Vec<Event> = Vec::with_capacity(16);
    loop {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno).attempt(|| "wait for the container"),
        }
        for event in &events {
            match event.data.u64() {
                INIT => {
                    // What it wrote last is still in its terminals.
                    boot.consoles.iter_mut().for_each(Pump::flow);
                    let status = boot.reap()?;
                    super::log(&format!("init ended: {}", described(&status)));
                    return Ok(if killed {
                        After::End(Ending::ShutDown)
                    } else {
                        after(status, blueprint.on_reboot)
                    });
                }
                SIGNAL => {
                    let mut taken = [0; 128];
                    // Which of them it was does not matter.
                    let _ = rustix::io::read(signal, &mut taken[..]);
                    killed = true;
                    group.kill();
                }
                DAEMONS => {
                    daemons.attend(boot.pid(), |order| obey::obey(order, boot, held, blueprint));
                }
                MEMINFO => {
                    let Some(meminfo) = &mut meminfo else { continue };
                    meminfo.serve();
                    // It is unmounted, which the kernel would tell without end.
                    if { event.flags }.contains(EventFlags::ERR) {
                        epoll::delete(&poll, meminfo.as_fd())
                            .attempt(|| "watch '/proc/meminfo' no longer")?;
                    }
                }
                console => {
                    if let Some(pump) = boot.consoles.get_mut((console - CONSOLES) as usize) {
                        pump.flow();
                    }
                }
            }
        }
    }
}

fn described(status: &WaitIdStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (_, Some(signal)) => format!("killed by signal {signal}"),
        _ => "no status".to_owned(),
    }
}

/// The kernel ends a namespace's init with these signals when something in it calls `reboot()`.
fn after(status: WaitIdStatus, on_reboot: OnReboot) -> After {
    match (status.terminating_signal(), on_reboot) {
        (Some(libc::SIGHUP), OnReboot::Restart) => After::Reboot,
        (Some(libc::SIGHUP), OnReboot::End) => After::End(Ending::Reboot),
        _ => After::End(Ending::ShutDown),
    }
}
