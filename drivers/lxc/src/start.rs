// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Starts a container: from a plan to a controller that has built everything, with an init that waits.
//!
//! ```text
//! namespaces of others -> devices' numbers -> terminals -> network devices -> hook -> log -> controller
//! ```
//! Invariant: every step that leaves something behind has pushed its inverse before the next step begins.

mod devices;
mod network;
mod shares;

use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::Signal;
use tokio::time::timeout;
use virtus_api::{Error, ErrorDomain, Result};
use virtus_domain::{Before, Launched, Notices, Private, State, Status, Undo};
use virtus_host::process::{Process, Spawn};
use virtus_xml::domain::chardev::ChardevSource;
use virtus_xml::tree::Tree;

use crate::container::Container;
use crate::driver::Lxc;
use crate::end;
use crate::home::Home;
use crate::launch::Starting;
use crate::log;
use crate::monitor::Monitor;
use crate::paths::controller;
use crate::plan::Plan;
use crate::terminal;
use crate::watch::watch;

pub(crate) use devices::{find_usb, limit, node};
pub(crate) use network::connect;

/// Carries a plan out.
pub(crate) async fn start(
    lxc: &Lxc,
    mut plan: Plan,
    undo: &mut Undo,
    notices: Notices,
) -> Result<Launched<Lxc>> {
    let name = plan.def.name.clone();
    let (log_file, pid_file) = (lxc.places.log_file(&name), lxc.places.pid_file(&name));
    let program = controller();
    let mut spawn = Spawn::new(&program).pass_env("PATH").pid_file(&pid_file);
    shares::open(lxc, &mut plan, &mut spawn)?;
    let _until_the_controller_has_them = devices::number(&mut plan).await?;
    terminals(&mut plan, &mut spawn)?;
    files(&mut plan, &mut spawn)?;
    network::make(&lxc.peers, &mut plan, undo).await?;
    lxc.hooks.ask(Before::Start, &plan.def).await?;

    let words = format!("{} --name {name}", program.display());
    let log = log::open(&log_file, &words)?;
    let spawn = match log.try_clone() {
        Ok(copy) => spawn.stdout(copy).stderr(log),
        Err(_) => spawn.stderr(log),
    };
    let left: Vec<PathBuf> = vec![plan.blueprint.socket.clone(), pid_file];
    undo.push("files of the run", end::remove_files(left));
    let failed = |error: Error| {
        error.or_domain(ErrorDomain::Lxc).context(format!("cannot start container '{name}'"))
    };
    let spawned = Starting::spawn(spawn, &plan.blueprint).await.map_err(failed)?;
    let home = Home::make(&lxc.cgroups, &plan, spawned.process().pid(), undo).await;
    let group = lxc.cgroups.group(&home.group);
    // Mostly its controller has removed it, unless it had to be killed.
    undo.push("control group", end::end_group(group.clone()));
    let (pid, time) = (spawned.process().pid(), spawned.process().start_time());
    undo.push("controller", forsake(pid, time));
    let starting = spawned.build(home.place().as_ref()).await.map_err(failed)?;
    let lost = || crate::launch::lost("has ended before its container ran");
    let process = Process::open(pid, Some(time))?.ok_or_else(lost)?;
    let monitor = Monitor::connect(&plan.blueprint.socket).await?;
    if let Some(registration) = &home.registration {
        registration.lead(starting.init).await;
    }
    let mut private = Private::default();
    home.note(&mut private);
    let known = (group, home.registration);
    let container = Container::new(&name, process, known, notices, log_file).waiting(starting);
    plan.def.id = container.init().try_into().ok();
    let mut status =
        Status { state: State::STARTING, pid: Some(pid), monitor: None, def: plan.def, private };
    note_init(&mut status, container.init());
    let container = Arc::new(container);
    lxc.note(&container);
    watch(container.clone(), Some(monitor));
    Ok(Launched { running: container, status })
}

/// Ends a controller whose start has failed elsewhere; by itself it removes all that it has made.
async fn forsake(pid: u32, time: u64) {
    let Ok(Some(process)) = Process::open(pid, Some(time)) else { return };
    // It may have ended already.
    let _ = process.signal(Signal::TERM);
    if timeout(end::CLEANING, process.exited()).await.is_err()
        && let Err(error) = end::kill(&process).await
    {
        tracing::error!("{error}");
    }
}

/// Writes the first process down where libvirt's daemon does.
pub(crate) fn note_init(status: &mut Status, pid: u32) {
    status.private.others.retain(|tree| tree.name != "init");
    status.private.others.push(Tree::new("init").with("pid", pid));
}

/// Passes on what a client has sent along.
fn files(plan: &mut Plan, spawn: &mut Spawn) -> Result<()> {
    for file in plan.files.iter() {
        let file = file.try_clone();
        let file = file.map_err(|cause| Error::system("cannot pass a descriptor on", &cause))?;
        plan.blueprint.init.descriptors.push(spawn.inherit(file));
    }
    Ok(())
}

/// Makes the terminals of the consoles.
fn terminals(plan: &mut Plan, spawn: &mut Spawn) -> Result<()> {
    for console in &mut plan.def.devices.consoles {
        let (master, path) = terminal::open()?;
        plan.blueprint.consoles.push(spawn.inherit(master));
        console.tty = Some(path.clone());
        console.backend.sources =
            vec![ChardevSource { path: Some(path), ..ChardevSource::default() }];
    }
    Ok(())
}
