// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Containers as one kind of machine: what [`virtus_domain`] asks of them.

use rustix::process::Signal;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_domain::{
    Asked, GuestChannel, Launched, Machine, MachineHooks, Notices, Origin, Private, Start, Status,
    Stop, Undo, Usage, unsupported,
};
use virtus_xml::Domain;
use virtus_xml::units::Kib;

use crate::complete::complete;
use crate::container::Container;
use crate::driver::Lxc;
use crate::plan::Plan;
use crate::validate::validate;
use crate::{end, initctl, paths, plan, reattach, start};

impl Machine for Lxc {
    type Plan = Plan;
    type Running = Container;

    const ERROR_DOMAIN: ErrorDomain = ErrorDomain::Lxc;
    const NAME: &'static str = "lxc";
    const TELLS_FIRST_RESUME: bool = false;

    fn hooks(&self) -> Option<&MachineHooks> {
        Some(&self.hooks)
    }

    fn complete(&self, def: &mut Domain, origin: Origin) -> Result<()> {
        complete(def, &virtus_host::node::arch(), &paths::controller())?;
        match origin {
            Origin::User => validate(def),
            Origin::Disk => Ok(()),
        }
    }

    fn plan(&self, def: &Domain, start: &Start) -> Result<Plan> {
        validate(def)?;
        if self.config().require_confined {
            let text =
                format!("container '{}' would run unconfined, which lxc.conf forbids", def.name);
            return Err(Error::new(ErrorCode::ConfigUnsupported, text)
                .hint("no security driver is there; see 'security_require_confined'"));
        }
        plan::plan(def, start, &self.places)
    }

    async fn launch(
        &self,
        plan: Plan,
        undo: &mut Undo,
        notices: Notices,
    ) -> Result<Launched<Self>> {
        start::start(self, plan, undo, notices).await
    }

    async fn reattach(&self, status: &Status, notices: Notices) -> Result<Launched<Self>> {
        reattach::reattach(self, status, notices).await
    }

    async fn stop(&self, running: &Container, how: Stop) -> Result<()> {
        end::stop(running, how).await
    }

    async fn clean_up(&self, def: &Domain, private: &Private) {
        end::clean_up(self, def, private).await;
    }

    async fn pause(&self, running: &Container) -> Result<()> {
        running.freeze().await
    }

    async fn resume(&self, running: &Container) -> Result<()> {
        running.run().await
    }

    async fn reset(&self, _: &Container) -> Result<()> {
        Err(unsupported("containers have no reset button").hint("restart them with 'virsh reboot'"))
    }

    async fn shut_down(&self, running: &Container, _: &Domain, by: GuestChannel) -> Result<Asked> {
        ask(running, by, initctl::POWER_OFF, Signal::TERM)
    }

    async fn reboot(&self, running: &Container, _: &Domain, by: GuestChannel) -> Result<Asked> {
        ask(running, by, initctl::REBOOT, Signal::HUP)
    }

    async fn set_memory(&self, running: &Container, live: &mut Domain, kib: u64) -> Result<()> {
        running.group.set_memory_limit(kib.saturating_mul(1024))?;
        live.current_memory = Some(Kib(kib));
        Ok(())
    }

    async fn set_vcpus(&self, _: &Container, _: &mut Domain, _: u32) -> Result<()> {
        Err(unsupported("containers have no virtual CPUs")
            .hint("limit their CPU time: 'virsh schedinfo'"))
    }

    fn usage(&self, running: Option<&Container>) -> Usage {
        let Some(running) = running else { return Usage::default() };
        let time = running.group.cpu_usage().map(|usage| usage.total).unwrap_or_default();
        Usage {
            cpu_time: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            memory: running.group.memory_usage().ok().map(|bytes| bytes / 1024),
        }
    }
}

/// Asks a container's init over its pipe, else by a signal.
fn ask(container: &Container, by: GuestChannel, level: u8, signal: Signal) -> Result<Asked> {
    let (pipe, signals) = match by {
        GuestChannel::Default => (true, true),
        GuestChannel::Initctl => (true, false),
        GuestChannel::Signal => (false, true),
        other => {
            return Err(unsupported(format!("containers have no channel '{other:?}' for this")));
        }
    };
    let asked = pipe && initctl::ask(container.init_process()?.pid(), level)?;
    if asked {
        return Ok(Asked::Later);
    }
    if !signals {
        let text = format!("{} does not provide an initctl pipe", container.subject());
        return Err(unsupported(text).hint("ask by a signal: '--mode signal'"));
    }
    container.init_process()?.signal(signal)?;
    Ok(Asked::Later)
}
