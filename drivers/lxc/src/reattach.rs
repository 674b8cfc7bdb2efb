// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Takes over a container that a former daemon left running.
//!
//! Its controller is recognised by its number and by the container's name in its arguments, and held by a
//! descriptor from then on. Nothing is changed in the container.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use virtus_api::{DomainPausedReason, DomainRunningReason, Error, ErrorCode, Result};
use virtus_domain::{Launched, Notices, State, Status};
use virtus_host::process::Process;

use crate::container::Container;
use crate::driver::Lxc;
use crate::end::is_of_container;
use crate::home::Home;
use crate::monitor::Monitor;
use crate::start::note_init;
use crate::watch::watch;

/// How long a controller may take to listen.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Takes the container of a status file over.
pub(crate) async fn reattach(
    lxc: &Lxc,
    status: &Status,
    notices: Notices,
) -> Result<Launched<Lxc>> {
    let mut status = status.clone();
    let name = status.def.name.clone();
    let home = Home::find(&status.def, &status.private);
    let process = status.pid.map(|pid| Process::open(pid, None)).transpose()?.flatten();
    let process = process.filter(|process| is_of_container(process.pid(), &name));
    let process = process.ok_or_else(|| {
        let text = format!("the controller of container '{name}' has ended");
        Error::new(ErrorCode::OperationFailed, text)
    })?;
    // Its number, by which it was found where nothing was noted, changes when it reboots.
    home.note(&mut status.private);
    let known = (lxc.cgroups.group(&home.group), home.registration);
    let container = Container::new(&name, process, known, notices, lxc.places.log_file(&name));
    container.set_init(known_init(&status, &container.group.processes()).unwrap_or_default());
    let container = Arc::new(container);
    let monitor = timeout(PATIENCE, Monitor::connect(&lxc.places.socket(&name))).await;
    let monitor = match monitor {
        Ok(Ok(monitor)) => Some(monitor),
        Ok(Err(error)) => {
            tracing::warn!("{error}");
            None
        }
        Err(_) => None,
    };
    status.state = state_now(status.state, container.group.is_frozen().unwrap_or_default());
    note_init(&mut status, container.init());
    lxc.note(&container);
    watch(container.clone(), monitor);
    Ok(Launched { running: container, status })
}

/// The first process: mostly the container's number, if that is one of its `processes`. The one at its start is noted too.
fn known_init(status: &Status, processes: &BTreeSet<u32>) -> Option<u32> {
    let number = status.def.id.and_then(|id| id.try_into().ok());
    let noted = status.private.others.iter().find(|tree| tree.name == "init");
    let noted = || noted?.attr("pid")?.parse().ok();
    number.filter(|pid| processes.contains(pid)).or_else(noted)
}

/// The state by the kernel's word; what was known before is more exact where both agree.
fn state_now(before: State, frozen: bool) -> State {
    match (frozen, before) {
        (false, State::Running(_)) | (true, State::Paused(_)) => before,
        (false, _) => State::Running(DomainRunningReason::Unknown),
        (true, _) => State::Paused(DomainPausedReason::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use virtus_domain::Private;
    use virtus_xml::Domain;

    use super::*;

    #[test]
    fn the_first_process_is_one_of_the_containers() {
        let def = Domain { id: Some(7), ..Domain::default() };
        let mut status = Status {
            state: State::STARTING,
            pid: None,
            monitor: None,
            def,
            private: Private::default(),
        };
        note_init(&mut status, 8);
        assert_eq!(known_init(&status, &BTreeSet::from([7, 8])), Some(7));
        assert_eq!(known_init(&status, &BTreeSet::from([8, 9])), Some(8));
        status.private = Private::default();
        assert_eq!(known_init(&status, &BTreeSet::from([8, 9])), None);
    }

    #[test]
    fn what_the_kernel_says_of_the_state_counts() {
        let running = State::Running(DomainRunningReason::Booted);
        let paused = State::Paused(DomainPausedReason::User);
        assert_eq!(state_now(running, false), running);
        assert_eq!(state_now(paused, true), paused);
        assert_eq!(state_now(paused, false), State::Running(DomainRunningReason::Unknown));
        assert_eq!(state_now(running, true), State::Paused(DomainPausedReason::Unknown));
    }
}
