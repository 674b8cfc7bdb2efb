// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Gives every screen its ports and its address.

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::Undo;
use virtus_xml::Domain;
use virtus_xml::domain::graphics::{Graphics, GraphicsType, Listen, ListenType};
use virtus_xml::value::YesNo;

use crate::config::Config;
use crate::ports::Ports;

/// Fills in ports and addresses; what is taken is given back if the start fails.
pub(crate) fn allot(
    def: &mut Domain,
    config: &Config,
    ports: &Ports,
    undo: &mut Undo,
) -> Result<()> {
    for graphics in &mut def.devices.graphics {
        if !matches!(graphics.kind, GraphicsType::Vnc | GraphicsType::Spice) {
            continue;
        }
        set_address(graphics, config);
        if graphics
            .listens
            .first()
            .is_some_and(|listen| matches!(listen.kind, ListenType::Socket | ListenType::None))
        {
            continue;
        }
        let before = in_use(graphics);
        let result = allot_one(graphics, config, ports);
        let taken: Vec<u16> = in_use(graphics);
        let of_these = ports.clone();
        if result.is_ok() || taken != before {
            undo.push("ports", async move {
                taken.iter().for_each(|port| of_these.give_back(*port));
            });
        }
        result?;
    }
    Ok(())
}

/// The ports that a definition names.
pub(crate) fn in_use(graphics: &Graphics) -> Vec<u16> {
    [graphics.port, graphics.tls_port, graphics.websocket]
        .into_iter()
        .flatten()
        .filter_map(|port| u16::try_from(port).ok().filter(|port| *port > 0))
        .collect()
}

fn allot_one(graphics: &mut Graphics, config: &Config, ports: &Ports) -> Result<()> {
    let what = if graphics.kind == GraphicsType::Vnc { "VNC" } else { "SPICE" };
    let address = address(graphics).to_owned();
    let auto = graphics.autoport == Some(YesNo::Yes);
    let choose = |wanted: Option<i32>| -> Result<i32> {
        match wanted.filter(|port| *port > 0 && !auto) {
            Some(port) => {
                let port = u16::try_from(port).map_err(|_| {
                    Error::new(
                        ErrorCode::ConfigUnsupported,
                        format!("{what} port {port} is too large"),
                    )
                })?;
                ports.take(port, &address, what)?;
                Ok(i32::from(port))
            }
            None => ports.take_free(config.display_ports.clone(), "display").map(i32::from),
        }
    };
    if graphics.kind == GraphicsType::Vnc {
        graphics.port = Some(choose(graphics.port)?);
    } else {
        let plain = auto || graphics.port.is_some_and(|port| port != 0);
        if plain || graphics.tls_port.is_none_or(|port| port == 0) {
            graphics.port = Some(choose(graphics.port)?);
        }
        if config.plan.spice_tls && (auto || graphics.tls_port.is_some_and(|port| port != 0)) {
            graphics.tls_port = Some(choose(graphics.tls_port)?);
        }
    }
    if graphics.websocket == Some(-1) {
        let port = ports.take_free(config.websocket_ports.clone(), "websocket")?;
        graphics.websocket = Some(i32::from(port));
        graphics.websocket_generated = Some(YesNo::Yes);
    } else if let Some(port) = graphics.websocket.and_then(|port| u16::try_from(port).ok()) {
        ports.take(port, &address, "WebSocket")?;
    }
    Ok(())
}

fn address(graphics: &Graphics) -> &str {
    graphics
        .listens
        .first()
        .and_then(|listen| listen.address.as_deref())
        .or(graphics.listen.as_deref())
        .unwrap_or_default()
}

/// A screen without an address listens where `qemu.conf` says.
fn set_address(graphics: &mut Graphics, config: &Config) {
    let default = match graphics.kind {
        GraphicsType::Spice => &config.plan.spice_listen,
        _ => &config.plan.vnc_listen,
    };
    if graphics.listens.is_empty() {
        graphics.listens.push(Listen { kind: ListenType::Address, ..Listen::default() });
    }
    let stated = graphics.listen.clone();
    if let Some(listen) = graphics.listens.first_mut()
        && listen.kind == ListenType::Address
        && listen.address.is_none()
    {
        listen.address = Some(stated.unwrap_or_else(|| default.clone()));
    }
    if let Some(address) = graphics.listens.first().and_then(|listen| listen.address.clone()) {
        graphics.listen = Some(address);
    }
}
