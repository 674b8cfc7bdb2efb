// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A hypervisor in memory. Its "host" outlives the daemon, as processes do.
//!
//! What a machine's name contains makes it ill: `deaf` never answers pause and resume, `endless` never
//! finishes its launch, `broken` fails in the middle of it, `undead` cannot be stopped, `polite` never goes when it
//! is only asked.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;
use virtus_api::{
    DomainDeviceModifyFlags, DomainRunningReason, Error, ErrorCode, ErrorDomain, Result,
};
use virtus_xml::Domain;
use virtus_xml::domain::any_device::AnyDevice;
use virtus_xml::units::Kib;

use crate::context::Context;
use crate::hotplug::{DeviceChange, Hotplug};
use crate::machine::{
    Asked, GuestChannel, Launched, Machine, Notices, Origin, Start, Stop, Usage, unsupported,
};
use crate::notice::{End, Notice, PowerOff};
use crate::state::State;
use crate::status::{Private, Status};
use crate::undo::Undo;

pub(super) struct Null {
    pub(super) host: Arc<Host>,
}

/// What is on the host: processes, and what they leave.
#[derive(Default)]
pub(super) struct Host(Mutex<Facts>);

#[derive(Default)]
pub(super) struct Facts {
    pub(super) processes: HashMap<Uuid, Process>,
    /// Sockets, taps, …: one per launch that is not cleaned up.
    pub(super) traces: Vec<Uuid>,
}

pub(super) struct Process {
    pub(super) notices: Notices,
    pub(super) runs: bool,
}

impl Host {
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap()
    }

    pub(super) fn tell(&self, uuid: Uuid, notice: Notice) {
        let _daemon_gone = self.facts().processes[&uuid].notices.send(notice);
    }

    /// The process ends by itself.
    pub(super) fn ends(&self, uuid: Uuid, end: End) {
        let process = self.facts().processes.remove(&uuid).unwrap();
        let _daemon_gone = process.notices.send(Notice::Ended(end));
    }

    pub(super) fn is_clean(&self) -> bool {
        let facts = self.facts();
        facts.processes.is_empty() && facts.traces.is_empty()
    }
}

pub(super) struct Guest {
    uuid: Uuid,
    name: String,
}

impl Guest {
    async fn answer(&self) {
        if self.name.contains("deaf") {
            pending().await
        }
    }
}

impl Machine for Null {
    type Plan = Domain;
    type Running = Guest;

    const ERROR_DOMAIN: ErrorDomain = ErrorDomain::Test;
    const NAME: &'static str = "null";
    const TELLS_FIRST_RESUME: bool = false;

    fn complete(&self, _: &mut Domain, _: Origin) -> Result<()> {
        Ok(())
    }

    fn plan(&self, def: &Domain, start: &Start) -> Result<Domain> {
        if def.name.contains("planless") {
            return Err(Error::new(ErrorCode::ConfigUnsupported, "no plan"));
        }
        if start.saved {
            return Err(Error::new(ErrorCode::OperationUnsupported, "it has no memory"));
        }
        let mut live = def.clone();
        live.id = Some(start.id);
        Ok(live)
    }

    async fn launch(
        &self,
        plan: Domain,
        undo: &mut Undo,
        notices: Notices,
    ) -> Result<Launched<Self>> {
        let uuid = plan.uuid.unwrap_or_default();
        self.host.facts().traces.push(uuid);
        let host = self.host.clone();
        undo.push("remove the trace", async move {
            host.facts().traces.retain(|trace| *trace != uuid);
        });
        self.host.facts().processes.insert(uuid, Process { notices, runs: false });
        let host = self.host.clone();
        undo.push("end the process", async move {
            tokio::task::yield_now().await;
            host.facts().processes.remove(&uuid);
        });
        if plan.name.contains("broken") {
            return Err(Error::new(ErrorCode::OperationFailed, "the process said no"));
        }
        if plan.name.contains("endless") {
            pending::<()>().await;
        }
        Ok(launched(plan, State::STARTING))
    }

    async fn reattach(&self, status: &Status, notices: Notices) -> Result<Launched<Self>> {
        let uuid = status.def.uuid.unwrap_or_default();
        if status.def.name.contains("deaf") {
            pending::<()>().await;
        }
        let mut facts = self.host.facts();
        let process = facts.processes.get_mut(&uuid);
        let process =
            process.ok_or_else(|| Error::new(ErrorCode::OperationFailed, "its process is gone"))?;
        process.notices = notices;
        let state =
            if process.runs { State::Running(DomainRunningReason::Unknown) } else { status.state };
        Ok(launched(status.def.clone(), state))
    }

    async fn stop(&self, running: &Guest, how: Stop) -> Result<()> {
        if running.name.contains("polite") && how == Stop::DestroyGracefully {
            pending::<()>().await;
        }
        if running.name.contains("undead") || how == Stop::DestroyGracefully {
            return Err(Error::new(ErrorCode::OperationFailed, "it does not die"));
        }
        if let Some(process) = self.host.facts().processes.remove(&running.uuid) {
            let _daemon_gone = process.notices.send(Notice::Ended(End::Failed));
        }
        Ok(())
    }

    async fn clean_up(&self, def: &Domain, _: &Private) {
        let uuid = def.uuid.unwrap_or_default();
        let mut facts = self.host.facts();
        facts.processes.remove(&uuid);
        facts.traces.retain(|trace| *trace != uuid);
    }

    async fn pause(&self, running: &Guest) -> Result<()> {
        running.answer().await;
        self.host.facts().processes.get_mut(&running.uuid).unwrap().runs = false;
        self.host.tell(running.uuid, Notice::Paused(crate::Pause::User));
        Ok(())
    }

    async fn resume(&self, running: &Guest) -> Result<()> {
        let first = !self.host.facts().processes[&running.uuid].runs;
        if !(first && running.name.contains("deaf")) {
            running.answer().await;
        }
        self.host.facts().processes.get_mut(&running.uuid).unwrap().runs = true;
        self.host.tell(running.uuid, Notice::Resumed);
        Ok(())
    }

    async fn reset(&self, running: &Guest) -> Result<()> {
        running.answer().await;
        self.host.tell(running.uuid, Notice::Rebooted);
        Ok(())
    }

    async fn shut_down(&self, running: &Guest, _: &Domain, _: GuestChannel) -> Result<Asked> {
        running.answer().await;
        self.host.tell(running.uuid, Notice::PoweringOff(PowerOff::Guest));
        self.host.ends(running.uuid, End::Shutdown);
        Ok(Asked::Later)
    }

    async fn reboot(&self, running: &Guest, _: &Domain, _: GuestChannel) -> Result<Asked> {
        self.reset(running).await.map(|()| Asked::Later)
    }

    async fn set_memory(&self, running: &Guest, _: &mut Domain, kib: u64) -> Result<()> {
        running.answer().await;
        let change = move |def: &mut Domain| def.current_memory = Some(Kib(kib));
        self.host.tell(running.uuid, Notice::Changed(Box::new(change)));
        Ok(())
    }

    async fn set_vcpus(&self, _: &Guest, live: &mut Domain, count: u32) -> Result<()> {
        if let Some(vcpu) = live.vcpu.as_mut() {
            vcpu.current = Some(count);
        }
        Ok(())
    }

    fn usage(&self, _: Option<&Guest>) -> Usage {
        Usage { cpu_time: 7, memory: None }
    }
}

fn launched(def: Domain, state: State) -> Launched<Null> {
    let running = Arc::new(Guest { uuid: def.uuid.unwrap_or_default(), name: def.name.clone() });
    let private = Private::default();
    Launched { running, status: Status { state, pid: Some(1), monitor: None, def, private } }
}

impl Hotplug for Null {
    const UPDATE_FLAGS: DomainDeviceModifyFlags = DomainDeviceModifyFlags::empty();

    async fn change_device(_: &Context<Self>, change: DeviceChange, _: AnyDevice) -> Result<()> {
        Err(unsupported(format!("no {change:?} while it runs")))
    }
}
