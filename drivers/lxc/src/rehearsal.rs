// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What defining and starting a container would change on this host.

use virtus_core::rehearsal::{Act, Effect, Rehearsal};
use virtus_core::{Environment, Rehearsing};
use virtus_domain::{Machine, Origin, Start};
use virtus_xml::domain::DomainType;
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use crate::config::Config;
use crate::driver::Lxc;
use crate::paths::controller;
use crate::plan::{Plan, Wire};

/// States it; `None` for a document of another hypervisor.
pub(crate) fn rehearse(environment: Environment, text: String) -> Rehearsing {
    Box::pin(async move {
        let parsed = Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::ABI_UPDATE)?;
        let mut def = parsed.value;
        if def.kind != DomainType::Lxc {
            return Ok(None);
        }
        let lxc = Lxc::new(environment, Config::default());
        lxc.complete(&mut def, Origin::User)?;
        let definition = lxc.places.config.join(format!("{}.xml", def.name));
        let mut rehearsal = Rehearsal {
            name: def.name.clone(),
            definition: def.format(FormatFlags::INACTIVE),
            define: vec![Effect::on(Act::Write, definition, "the definition")],
            warnings: parsed
                .warnings
                .into_iter()
                .map(|warning| {
                    format!("line {}, column {}: {}", warning.line, warning.column, warning.text)
                })
                .collect(),
            ..Rehearsal::default()
        };
        match lxc.plan(&def, &Start { id: 1, ..Start::default() }) {
            Ok(plan) => describe(&lxc, &plan, &mut rehearsal),
            Err(error) => rehearsal.obstacles.push(error.to_string()),
        }
        Ok(Some(rehearsal))
    })
}

fn describe(lxc: &Lxc, plan: &Plan, rehearsal: &mut Rehearsal) {
    let name = &plan.def.name;
    let program = controller();
    let start = &mut rehearsal.start;
    for card in &plan.cards {
        let (object, detail) = match &card.wire {
            Wire::Veth(Some(port)) => ("veth pair", format!("a port of bridge '{}'", port.bridge)),
            Wire::Veth(None) => ("veth pair", "the host's end is nobody's port".to_owned()),
            Wire::Network(name) => ("network port", format!("on network '{name}'")),
            Wire::Macvlan { parent, .. } => ("macvlan", format!("on '{parent}'")),
        };
        let detail = format!("'{}' in the container; {detail}", card.link.name);
        start.push(Effect { act: Act::Link, object: object.to_owned(), detail });
        if let Wire::Veth(Some(port)) = &card.wire {
            start.extend(port.program().map(|name| Effect::on(Act::Run, name, "plugs it in")));
        }
    }
    for node in &plan.nodes {
        start.push(Effect::on(Act::Device, &node.source, "for the container"));
    }
    start.push(Effect::on(Act::Cgroup, &plan.blueprint.cgroup, "below the daemon's own"));
    start.push(Effect::on(Act::Write, lxc.places.pid_file(name), "the controller's process"));
    start.push(Effect::on(Act::Write, lxc.places.log_file(name), "the controller's log"));
    start.push(Effect::on(
        Act::Socket,
        &plan.blueprint.socket,
        "where daemons hear of the container",
    ));
    start.push(Effect::on(Act::Run, &program, "the container's controller"));
    rehearsal.command = vec![program.display().to_string(), "--name".to_owned(), name.clone()];
}
