// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The facts of one machine, as its actor keeps them.
//!
//! Invariant: only the actor's task changes them (its jobs run on that task); the lock around them is
//! there for the disk writer, which reads the state it writes, and is never held across an `.await`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use uuid::Uuid;
use virtus_xml::Domain;

use crate::at_rest::AtRest;
use crate::machine::Machine;
use crate::moments::Known;
use crate::notice::Notice;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::status::{Private, Status};

pub(crate) struct Core<M: Machine> {
    pub(crate) name: Arc<str>,
    pub(crate) persistent: Option<Arc<AtRest>>,
    pub(crate) live: Option<Live<M>>,
    pub(crate) state: State,
    pub(crate) autostart: bool,
    pub(crate) updated: bool,
    /// There is saved memory that the next start continues from.
    pub(crate) managed_save: bool,
    pub(crate) moments: Known,
}

/// What exists only while the machine runs.
pub(crate) struct Live<M: Machine> {
    /// With its id, and after the launch with everything that was allocated.
    pub(crate) def: Arc<Domain>,
    /// None while the machine starts or is being reattached.
    pub(crate) running: Option<Arc<M::Running>>,
    pub(crate) status: StatusPart,
    pub(crate) started: SystemTime,
    /// The session that takes the machine with it when it closes.
    pub(crate) owner: Option<u64>,
    pub(crate) answering: bool,
    /// The administrator's scripts were asked about it, and are told of its end.
    pub(crate) hooked: bool,
    /// It is being ended: its status file goes.
    pub(crate) leaving: bool,
    pub(crate) notices: Option<mpsc::UnboundedReceiver<Notice>>,
}

/// What the status file has beside the definition and the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusPart {
    pub(crate) pid: Option<u32>,
    pub(crate) monitor: Option<PathBuf>,
    pub(crate) private: Private,
}

impl StatusPart {
    /// Takes a status apart: the definition, and the rest.
    pub(crate) fn of(status: Status) -> (Domain, Self) {
        let Status { state: _, pid, monitor, def, private } = status;
        (def, Self { pid, monitor, private })
    }
}

impl<M: Machine> Core<M> {
    /// A machine of which only the name is claimed yet.
    pub(crate) fn claimed(name: &str) -> Self {
        Self {
            name: name.into(),
            persistent: None,
            live: None,
            state: State::NEVER_RUN,
            autostart: false,
            updated: false,
            managed_save: false,
            moments: Known::default(),
        }
    }

    pub(crate) fn snapshot(&self, uuid: Uuid) -> Snapshot {
        let live = self.live.as_ref();
        Snapshot {
            uuid,
            name: self.name.clone(),
            persistent: self.persistent.clone(),
            live: live.map(|live| live.def.clone()),
            state: self.state,
            autostart: self.autostart,
            updated: self.updated,
            managed_save: self.managed_save,
            moments: self.moments.clone(),
            started: live.map(|live| live.started),
            pid: live.and_then(|live| live.status.pid),
            answering: live.is_none_or(|live| live.answering),
        }
    }

    /// Takes the definition away, with all that is said of it.
    pub(crate) fn undefine(&mut self) {
        self.persistent = None;
        self.autostart = false;
        self.managed_save = false;
        self.updated = false;
    }

    pub(crate) fn running(&self) -> Option<Arc<M::Running>> {
        self.live.as_ref().and_then(|live| live.running.clone())
    }

    /// What the status file should say; none if there should be no file.
    pub(crate) fn status(&self) -> Option<Status> {
        let live = self.live.as_ref().filter(|live| !live.leaving)?;
        Some(Status {
            state: self.state,
            pid: live.status.pid,
            monitor: live.status.monitor.clone(),
            private: live.status.private.clone(),
            def: (*live.def).clone(),
        })
    }
}

impl<M: Machine> Live<M> {
    /// A machine whose start or reattach begins.
    pub(crate) fn new(def: Arc<Domain>, notices: mpsc::UnboundedReceiver<Notice>) -> Self {
        Self {
            def,
            running: None,
            status: StatusPart::default(),
            started: SystemTime::now(),
            owner: None,
            answering: true,
            hooked: false,
            leaving: false,
            notices: Some(notices),
        }
    }
}
