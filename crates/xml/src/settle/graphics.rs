// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Graphics: the several ways in which ports and addresses have been written over the years become one.

use std::collections::BTreeMap;

use virtus_api::Result;

use super::xml_error;
use crate::domain::Domain;
use crate::domain::graphics::{ChannelSecurity, Graphics, GraphicsType, Listen, ListenType};
use crate::reader::ParseFlags;
use crate::value::YesNo;

pub(super) fn settle(domain: &mut Domain, flags: ParseFlags) -> Result<()> {
    // What has no number does not run: ports that were chosen for an earlier run do not count.
    let inactive = flags.contains(ParseFlags::INACTIVE) || domain.id.is_none();
    for graphics in &mut domain.body.devices.graphics {
        match graphics.kind {
            GraphicsType::Vnc => settle_vnc(graphics, inactive),
            GraphicsType::Spice => settle_spice(graphics, inactive),
            GraphicsType::Rdp => settle_rdp(graphics, inactive),
            _ => continue,
        }
        settle_listens(graphics, inactive)?;
    }
    Ok(())
}

/// Port 0 stands for "none chosen"; the writer makes -1 of it.
fn settle_vnc(graphics: &mut Graphics, inactive: bool) {
    let auto = graphics.port == Some(-1)
        || graphics.autoport.map_or(graphics.port.is_none(), YesNo::is_yes);
    if auto && (inactive || graphics.port == Some(-1)) {
        graphics.port = None;
    }
    if graphics.port == Some(0) {
        graphics.port = None;
    }
    graphics.autoport = Some(YesNo::from(auto));
    if inactive && graphics.websocket_generated == Some(YesNo::Yes) {
        graphics.websocket = Some(-1);
    }
}

fn settle_spice(graphics: &mut Graphics, inactive: bool) {
    let auto = graphics.autoport == Some(YesNo::Yes)
        || graphics.port == Some(-1)
        || graphics.tls_port == Some(-1);
    for port in [&mut graphics.port, &mut graphics.tls_port] {
        if (auto && inactive) || matches!(port, Some(-1 | 0)) {
            *port = None;
        }
    }
    let silent = !auto && graphics.port.is_none() && graphics.tls_port.is_none();
    if silent && graphics.listens.is_empty() && graphics.listen.is_none() {
        graphics.listens.push(Listen { kind: ListenType::None, ..Listen::default() });
    }
    graphics.autoport = Some(YesNo::from(auto));
    // What is said of a channel last counts; they are listed in SPICE's order.
    let channels: BTreeMap<_, _> =
        std::mem::take(&mut graphics.channels).into_iter().map(|one| (one.name, one)).collect();
    graphics.channels =
        channels.into_values().filter(|one| one.mode != ChannelSecurity::Any).collect();
}

fn settle_rdp(graphics: &mut Graphics, inactive: bool) {
    let auto = graphics.autoport == Some(YesNo::Yes) || matches!(graphics.port, None | Some(-1));
    if auto && (inactive || graphics.port == Some(-1)) {
        graphics.port = None;
    }
    graphics.autoport = Some(YesNo::from(auto));
}

fn settle_listens(graphics: &mut Graphics, inactive: bool) -> Result<()> {
    let socket = graphics.socket.take().filter(|_| graphics.kind == GraphicsType::Vnc);
    for listen in &mut graphics.listens {
        if listen.address.as_deref() == Some("") {
            listen.address = None;
        }
        if listen.kind == ListenType::Network {
            if listen.network.is_none() {
                return Err(xml_error("'network' attribute is required for listen type 'network'"));
            }
            if inactive {
                listen.address = None;
            }
        }
    }
    let attr = graphics.listen.take().filter(|address| !address.is_empty());
    if let Some(socket) = socket {
        let first = Listen { kind: ListenType::Socket, socket: Some(socket), ..Listen::default() };
        match graphics.listens.first_mut() {
            Some(listen) if listen.kind == ListenType::Socket => {
                listen.socket = listen.socket.take().or(first.socket);
            }
            Some(listen) => *listen = first,
            None => graphics.listens.push(first),
        }
    } else if graphics.listens.is_empty() {
        graphics.listens.push(Listen {
            kind: ListenType::Address,
            address: attr,
            ..Listen::default()
        });
    } else if let (Some(attr), Some(first)) = (attr, graphics.listens.first_mut()) {
        match &first.address {
            None if first.kind == ListenType::Address => first.address = Some(attr),
            Some(address) if first.kind == ListenType::Address && *address != attr => {
                return Err(xml_error(format!(
                    "graphics 'listen' attribute '{attr}' must match 'address' attribute of first listen element (found '{address}')"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}
