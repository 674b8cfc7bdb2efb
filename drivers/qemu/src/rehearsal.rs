// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a start would do, worked out by the same planner and from the same facts, but not done: for
//! `virtus plan` and for `virsh domxml-to-native`.
//!
//! Invariant: nothing on the host changes; a QEMU binary that nobody has asked yet is asked what it can do.

use std::path::Path;

use virtus_api::Result;
use virtus_core::rehearsal::{Act, Effect, Rehearsal};
use virtus_core::{Environment, Rehearsing};
use virtus_domain::switch_ports::SwitchPort;
use virtus_domain::{Machine, Origin, Places as Definitions, Start, Undo, network_ports};
use virtus_host::cgroup::machine_group;
use virtus_host::net;
use virtus_host::process::find_program;
use virtus_xml::domain::DomainType;
use virtus_xml::domain::interface::InterfaceType;
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use crate::caps::Cache;
use crate::config::Config;
use crate::driver::Qemu;
use crate::given::Given;
use crate::guest_log::shell;
use crate::image_chain;
use crate::launch::{Plan, descriptors, display, environment, files, network, tpm};
use crate::paths::Places;
use crate::plan::{self, Descriptor, What};
use crate::ports::Ports;

/// Stands for the id that the guest would get.
const NEXT_ID: i32 = 1;
/// The id in a command line that nobody runs, as libvirt writes it.
const NO_ID: i32 = -1;

/// A command line and the variables that go with it.
struct Words {
    env: Vec<(String, String)>,
    command: Vec<String>,
}

/// Completes a plan as its launch would, with ports from `ports` and descriptors as far as `opened` takes them.
fn words(
    places: &Places,
    plan: &mut Plan,
    ports: &Ports,
    opened: impl Fn(&Descriptor) -> bool,
) -> Result<Words> {
    let id = plan.start.id;
    let mut undo = Undo::new();
    let allotted = display::allot(&mut plan.def, &plan.config, ports, &mut undo);
    undo.keep();
    allotted?;
    descriptors::name_sockets(places, &mut plan.def, id);
    plan.context.fds = descriptors::numbers(&plan.def, opened);
    plan.context.peers = tpm::peers(places, &plan.def, id);
    let line = plan::command_line(&plan.def, &plan.caps, &plan.context)?;
    let env = environment(&places.domain(id, &plan.def.name), &line);
    let mut command = vec![plan.binary.to_string_lossy().into_owned()];
    command.extend(line.args);
    Ok(Words { env, command })
}

impl Qemu {
    /// The command line of a definition as a text for a shell. Sockets and files stand as paths; networks
    /// become taps that somebody else plugs in.
    pub(crate) fn native(&self, mut def: Domain) -> Result<String> {
        for card in &mut def.devices.interfaces {
            if matches!(
                card.kind,
                InterfaceType::Bridge | InterfaceType::Network | InterfaceType::Direct
            ) {
                card.kind = InterfaceType::Ethernet;
                card.source = None;
            }
        }
        self.complete(&mut def, Origin::User)?;
        let mut plan = self.plan(&def, &Start { id: NO_ID, ..Start::default() })?;
        let by_path = |wanted: &Descriptor| {
            let path = matches!(wanted.what, What::Monitor | What::Listen(_) | What::Write { .. });
            !path && !wanted.optional
        };
        let Words { env, command } = words(&self.places, &mut plan, &Ports::on_paper(), by_path)?;
        let set = env.iter().map(|(name, value)| format!("{name}={}", shell(value)));
        let all: Vec<String> = set.chain(command.iter().map(|word| shell(word))).collect();
        Ok(all.join(" "))
    }

    fn rehearse(&self, def: Domain, warnings: Vec<String>) -> Result<Rehearsal> {
        let mut def = def;
        self.complete(&mut def, Origin::User)?;
        let mut plan = self.plan(&def, &Start { id: NEXT_ID, ..Start::default() })?;
        let is_there = |wanted: &Descriptor| match &wanted.what {
            What::Device(path) if wanted.optional => Path::new(path).exists(),
            _ => true,
        };
        let mut chained = plan.def.clone();
        let chains = image_chain::find_all(&mut chained, &plan.config.identity);
        if chains.is_ok() {
            plan.def = chained;
        }
        let words = words(&self.places, &mut plan, &Ports::default(), is_there)?;
        let mut rehearsal = Rehearsal {
            name: def.name.clone(),
            definition: def.format(FormatFlags::INACTIVE),
            env: words.env,
            command: words.command,
            warnings,
            obstacles: chains.err().map(|error| error.to_string()).into_iter().collect(),
            ..Rehearsal::default()
        };
        let kept = Definitions::new(&self.paths, Self::NAME);
        let file = kept.definition(&def.name);
        let detail = if file.exists() { "in place of the one there" } else { "" };
        rehearsal.define.push(Effect::on(Act::Write, file, detail));
        rehearsal.start.push(Effect::on(Act::Write, kept.status(&def.name), "state of the guest"));
        self.state_effects(&plan, &is_there, &mut rehearsal);
        Ok(rehearsal)
    }

    /// The steps of a launch, in its order.
    fn state_effects(
        &self,
        plan: &Plan,
        is_there: &dyn Fn(&Descriptor) -> bool,
        rehearsal: &mut Rehearsal,
    ) {
        let (places, def, id) = (&self.places, &plan.def, plan.start.id);
        let Rehearsal { start, obstacles, .. } = rehearsal;
        for graphics in &def.devices.graphics {
            let ports = display::in_use(graphics).into_iter();
            start.extend(ports.map(|port| Effect {
                act: Act::Port,
                object: port.to_string(),
                detail: format!(
                    "{} on {}",
                    graphics.kind,
                    graphics.listen.as_deref().unwrap_or("*")
                ),
            }));
        }
        let (effects, troubles) = files::Work::new(places, plan, Given::default()).rehearse();
        start.extend(effects);
        // A missing image has been noticed when its chain was looked for.
        obstacles.extend(troubles);
        obstacles.dedup();
        if tpm::emulated(def).is_some() {
            if find_program("swtpm").is_none() {
                obstacles.push("the guest's TPM needs 'swtpm', which is not installed".to_owned());
            }
            start.push(Effect::on(Act::Run, "swtpm", "the guest's TPM"));
            start.push(Effect::on(Act::Socket, places.swtpm_socket(id, &def.name), "its TPM"));
        }
        for card in &def.devices.interfaces {
            if let Some(name) = network::undecided(card) {
                let detail = format!("tap, plugged in where network '{name}' says");
                start.push(Effect { act: Act::Link, object: "network port".to_owned(), detail });
                continue;
            }
            match network::wanted(card, &network_ports::owner(def)) {
                Ok(Some(plug)) if plug.ours => {
                    let program = plug.port.as_ref().and_then(SwitchPort::program);
                    let bridge = plug.port.map(|port| port.bridge);
                    let port = bridge.as_deref().map(|bridge| format!(", port of '{bridge}'"));
                    start.push(Effect {
                        act: Act::Link,
                        object: plug.name.unwrap_or_else(|| "vnet0 or the next free".to_owned()),
                        detail: format!("tap{}", port.unwrap_or_default()),
                    });
                    start.extend(program.map(|name| Effect::on(Act::Run, name, "plugs it in")));
                    if let Some(bridge) = bridge.filter(|name| net::mtu(name).is_none()) {
                        obstacles.push(format!("there is no bridge '{bridge}' on this host"));
                    }
                }
                Ok(_) => {}
                Err(error) => obstacles.push(error.to_string()),
            }
        }
        for wanted in plan::descriptors(def).into_iter().filter(is_there) {
            match wanted.what {
                What::Monitor => {
                    let path = places.monitor(id, &def.name);
                    start.push(Effect::on(Act::Socket, path, "QEMU's monitor"));
                }
                What::Listen(path) => start.push(Effect::on(Act::Socket, path, "device")),
                What::Write { path, append } => {
                    let detail =
                        if append { "device, added to it" } else { "device, emptied first" };
                    start.push(Effect::on(Act::Write, path, detail));
                }
                What::Device(path) => {
                    if !Path::new(&path).exists() {
                        obstacles.push(format!("there is no device '{path}' on this host"));
                    }
                    start.push(Effect::on(Act::Device, path, ""));
                }
                What::Tap | What::Renderer => {}
            }
        }
        if plan.config.cgroups {
            let group = machine_group(Self::NAME, id, &def.name);
            start.push(Effect::on(Act::Cgroup, group, ""));
        }
        start.push(Effect::on(
            Act::Write,
            places.log_file(&def.name),
            "the guest's log, added to it",
        ));
        start.push(Effect::on(Act::Write, places.pid_file(&def.name), "PID file"));
        let identity = &plan.config.identity;
        let user = format!("as user {}:{}", identity.uid, identity.gid);
        start.push(Effect::on(Act::Run, &plan.binary, user));
    }
}

/// The driver's answer to [`virtus_core::DriverEntry::rehearse`].
pub(crate) fn rehearse(environment: Environment, text: String) -> Rehearsing {
    Box::pin(async move {
        let parsed = Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::ABI_UPDATE)?;
        let def = parsed.value;
        if !matches!(def.kind, DomainType::Qemu | DomainType::Kvm) {
            return Ok(None);
        }
        let warnings = parsed.warnings.into_iter().map(|warning| {
            format!("line {}, column {}: {}", warning.line, warning.column, warning.text)
        });
        let places = Places::new(&environment.paths);
        let config = Config::load(&environment.paths)?;
        let cache = Cache::reading(places.cache.join("capabilities"));
        let qemu = Qemu::new(environment, places, config, cache);
        let binary = qemu.emulator(&def)?;
        qemu.capabilities(&binary).await?;
        let rehearsed = qemu.rehearse(def, warnings.collect());
        rehearsed.map(Some)
    })
}
