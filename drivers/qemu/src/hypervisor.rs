// SPDX-License-Identifier: Apache-2.0 OR MIT
//! QEMU as one kind of machine: what [`virtus_domain`] asks of it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_domain::{
    Asked, GuestChannel, Launched, Machine, MachineHooks, Notices, Origin, Private, Start, Status,
    Stop, Undo, Usage, unsupported,
};
use virtus_xml::Domain;

use crate::caps::Flag;
use crate::complete::{Defaults, HostAudio};
use crate::driver::{Qemu, no_emulator};
use crate::firmware::installed;
use crate::guest::{AGENT, Guest, QUERY, WORK};
use crate::launch::{self, Ground, Plan, cgroup};
use crate::live;
use crate::locks::LockManager;
use crate::log_keeper::LogKeeper;
use crate::machine::arch;
use crate::plan::{self, Context};
use crate::routes::domain_capabilities::tpm_versions;
use crate::{clean_up, complete, image_chain, reattach, stop, validate, vcpus};

impl Machine for Qemu {
    type Plan = Plan;
    type Running = Guest;

    const ERROR_DOMAIN: ErrorDomain = ErrorDomain::Qemu;
    const NAME: &'static str = "qemu";
    const TELLS_FIRST_RESUME: bool = true;

    fn hooks(&self) -> Option<&MachineHooks> {
        Some(&self.hooks)
    }

    fn complete(&self, def: &mut Domain, origin: Origin) -> Result<()> {
        let binary = self.emulator(def)?;
        let caps = self.known_capabilities(&binary)?;
        let defaults = self.defaults(def, origin);
        // Idempotent all the same: what has a name keeps it.
        def.name_missing(MAC_PREFIX, &mut random);
        complete::complete(def, &caps, &defaults)?;
        match origin {
            Origin::User => validate::validate(def, &caps, &host(def)),
            Origin::Disk => Ok(()),
        }
    }

    fn thin(&self, def: &mut Domain) {
        complete::thin(def);
    }

    fn plan(&self, def: &Domain, start: &Start) -> Result<Plan> {
        if start.saved {
            let text = format!(
                "domain '{}' has saved memory, and restoring it is not supported yet",
                def.name
            );
            return Err(unsupported(text).hint(format!(
                "discard it and boot with 'virsh start --force-boot {}'",
                def.name
            )));
        }
        let binary = self.emulator(def)?;
        let caps = self.known_capabilities(&binary)?;
        validate::validate(def, &plan::effective(&caps, def), &host(def))?;
        image_chain::refuse_transient(def)?;
        let config = self.config();
        let mut def = def.clone();
        def.id = Some(start.id);
        live::settle(&mut def, &config);
        plan::live(&mut def, &caps, &self.cpus)?;
        let context = Context {
            id: start.id,
            dirs: self.places.dirs(),
            config: config.plan.clone(),
            hugetlbfs: Vec::new(),
            fds: Default::default(),
            secrets: Default::default(),
            host_cdroms: Vec::new(),
            peers: Default::default(),
            host_arch: self.cpus.arch.clone(),
            fd_groups: Default::default(),
            format_nodes: !caps.has(Flag::BlockjobBackingMaskProtocol),
            nbdkit: None,
            auto_nodes: Vec::new(),
            cpu_nodes: Default::default(),
            incoming: None,
            pipewire_dir: std::env::var("PIPEWIRE_RUNTIME_DIR").ok(),
            now: unix_now(),
            zone_seconds: 0,
        };
        Ok(Plan { def, start: start.clone(), binary, caps, config, context })
    }

    async fn launch(
        &self,
        plan: Plan,
        undo: &mut Undo,
        notices: Notices,
    ) -> Result<Launched<Self>> {
        let ground = Ground {
            paths: &self.paths,
            places: &self.places,
            ports: &self.ports,
            hub: &self.hub,
            cgroups: &self.cgroups,
            peers: &self.peers,
            given: &self.given,
            hooks: &self.hooks,
        };
        launch::launch(ground, plan, undo, notices).await
    }

    async fn reattach(&self, status: &Status, notices: Notices) -> Result<Launched<Self>> {
        let keeper = LogKeeper::new(self.config().log_daemon, &self.paths, &status.def);
        let (places, ports, hub) = (&self.places, &self.ports, &self.hub);
        let launched = reattach::reattach(places, ports, hub, keeper, status, notices).await?;
        if let Some(manager) = LockManager::new(&self.config(), &self.paths) {
            let guest = &launched.running;
            guest.set_locks(manager.again(&launched.status.def, guest.process.pid()).await);
        }
        Ok(launched)
    }

    async fn stop(&self, running: &Guest, how: Stop) -> Result<()> {
        stop::stop(running, how).await
    }

    async fn clean_up(&self, def: &Domain, _: &Private) {
        clean_up::clean_up(self, def).await;
    }

    async fn pause(&self, running: &Guest) -> Result<()> {
        running.execute("stop", None, WORK).await?;
        running.locks().release().await;
        Ok(())
    }

    async fn resume(&self, running: &Guest) -> Result<()> {
        running.locks().acquire().await?;
        let resumed = running.execute("cont", None, WORK).await;
        if resumed.is_err() {
            running.locks().release().await;
        }
        resumed.map(drop)
    }

    async fn reset(&self, running: &Guest) -> Result<()> {
        running.execute("system_reset", None, WORK).await.map(drop)
    }

    async fn shut_down(&self, running: &Guest, _: &Domain, by: GuestChannel) -> Result<Asked> {
        running.set_fake_reboot(false);
        power(running, by, "powerdown").await.map(|()| Asked::Later)
    }

    async fn reboot(&self, running: &Guest, _: &Domain, by: GuestChannel) -> Result<Asked> {
        let result = power(running, by, "reboot").await;
        if result.is_err() {
            running.set_fake_reboot(false);
        }
        result.map(|()| Asked::Later)
    }

    async fn set_memory(&self, running: &Guest, _: &mut Domain, kib: u64) -> Result<()> {
        let arguments = json!({ "value": kib.saturating_mul(1024) });
        running.execute("balloon", arguments, QUERY).await.map(drop)
    }

    async fn set_vcpus(&self, running: &Guest, live: &mut Domain, count: u32) -> Result<()> {
        let outcome = vcpus::set(running, live, count).await;
        let (id, threads) = (running.facts.id, running.vcpu_threads());
        cgroup::limit_vcpus(&self.cgroups, live, id, &threads)?;
        outcome
    }

    fn usage(&self, running: Option<&Guest>) -> Usage {
        let stat = running.and_then(|guest| guest.process.stat());
        let time = stat.map(|stat| stat.cpu_time()).unwrap_or_default();
        Usage { cpu_time: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), memory: None }
    }
}

/// What the rules for definitions ask of the host, as far as this one depends on it.
fn host(def: &Domain) -> validate::Host {
    let asks = !def.devices.tpms.is_empty();
    validate::Host { tpm_versions: asks.then(tpm_versions) }
}

/// The first bytes of addresses of cards that have none: QEMU's own number.
const MAC_PREFIX: [u8; 3] = [0x52, 0x54, 0x00];

fn random(bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(16) {
        let source = uuid::Uuid::new_v4();
        chunk.copy_from_slice(&source.as_bytes()[..chunk.len()]);
    }
}

fn unix_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok().and_then(|now| i64::try_from(now.as_secs()).ok()).unwrap_or_default()
}

impl Qemu {
    /// What completes a definition besides its binary.
    fn defaults(&self, def: &Domain, origin: Origin) -> Defaults {
        let config = self.config();
        // Most guests start from a BIOS: for them nobody need read the host's descriptors.
        let wants_firmware = def.os.firmware.is_some() || def.os.loader.is_some();
        Defaults {
            abi_update: origin == Origin::User,
            dirs: self.places.dirs(),
            host_audio: HostAudio::of_variables(
                std::env::var("QEMU_AUDIO_DRV").ok().as_deref(),
                std::env::var("SDL_AUDIODRIVER").ok().as_deref(),
            ),
            vnc_allow_host_audio: config.plan.vnc_allow_host_audio,
            nographics_allow_host_audio: config.plan.nographics_allow_host_audio,
            firmwares: if wants_firmware { installed() } else { Vec::new() },
        }
    }

    /// The binary that a definition is run by.
    pub(crate) fn emulator(&self, def: &Domain) -> Result<PathBuf> {
        if let Some(path) = &def.devices.emulator {
            return Ok(path.into());
        }
        let arch = match arch(def) {
            "" => virtus_host::node::arch(),
            arch => arch.to_owned(),
        };
        Self::binary_for(&arch).ok_or_else(|| no_emulator(format!("qemu-system-{arch}").as_ref()))
    }
}

/// Whether the guest has powered off, or does so in the next moment.
async fn is_going(guest: &Guest) -> bool {
    const MOMENT: Duration = Duration::from_millis(500);
    guest.end().is_some() || timeout(MOMENT, guest.process.exited()).await.is_ok()
}

/// Asks the guest to power off or to reboot, by the way that was chosen. The ACPI button can only mean
/// power-off: for a reboot the machine is reset when the guest is down.
async fn power(guest: &Guest, by: GuestChannel, mode: &str) -> Result<()> {
    let agent = match by {
        GuestChannel::Agent => true,
        GuestChannel::Default => guest.agent_connected(),
        GuestChannel::Acpi => false,
        other => {
            return Err(unsupported(format!("QEMU guests have no channel '{other:?}' for this")));
        }
    };
    if agent {
        let arguments = json!({ "mode": mode });
        let gone = async {
            guest.process.exited().await;
        };
        let connected = guest.agent().await;
        let asked = match connected {
            Ok(agent) => agent.execute_until("guest-shutdown", arguments, AGENT, gone).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(()) => return Ok(()),
            // The agent does not answer this command: the guest is on its way when nothing is heard.
            Err(error) if error.code() == ErrorCode::AgentCommandTimeout => return Ok(()),
            // It went down so fast that its end of the channel closed first.
            Err(_) if is_going(guest).await => return Ok(()),
            Err(error) if by == GuestChannel::Agent => return Err(error),
            Err(error) => tracing::debug!("{error}; trying ACPI"),
        }
    }
    if mode == "reboot" {
        guest.set_fake_reboot(true);
    }
    guest.execute("system_powerdown", None, QUERY).await.map(drop).map_err(|error: Error| {
        error.context(format!("cannot press the power button of {}", guest.subject()))
    })
}
