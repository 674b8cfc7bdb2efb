// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network cards.

use virtus_api::Result;
use virtus_xml::domain::interface::{Interface, InterfaceType, Ip, TeamingType};
use virtus_xml::value::YesNo;

use super::{Rules, need, unsupported, xml_error};
use crate::caps::Flag;
use crate::plan::is_virtio_net;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    rules.domain.devices.interfaces.iter().try_for_each(|net| interface(rules, net))
}

fn interface(rules: Rules<'_>, net: &Interface) -> Result<()> {
    let kind = net.kind;
    let element = format!("<interface type='{kind}'>");
    let passt = net.backend.as_ref().is_some_and(|b| b.kind.as_deref() == Some("passt"));
    need(net.routes.is_empty(), || format!("{element}<route>: QEMU sets no routes in guests"))?;
    if kind == InterfaceType::User || (kind == InterfaceType::VhostUser && passt) {
        let flag = if passt { Flag::NetdevStream } else { Flag::NetdevUser };
        rules.needs(flag, format_args!("{element}, whose packets a process carries"))?;
        addresses(net, &element)?;
    } else {
        need(net.ips.is_empty(), || {
            format!("{element}<ip>: QEMU gives addresses to guests on type 'user' only")
        })?;
    }
    match kind {
        InterfaceType::Vdpa => rules.needs(Flag::NetdevVhostVdpa, &element)?,
        InterfaceType::VhostUser => vhost_user(rules, net, passt, &element)?,
        _ => {}
    }
    let virtio = is_virtio_net(net);
    let model = net.model.as_ref().map_or("none", |model| model.kind.as_str());
    if !virtio {
        need(!matches!(kind, InterfaceType::Vdpa | InterfaceType::VhostUser), || {
            format!("{element}<model type='{model}'> must be 'virtio'")
        })?;
    } else if net
        .driver
        .as_ref()
        .is_some_and(|one| one.rss.is_some() || one.rss_hash_report.is_some())
    {
        rules.needs(Flag::VirtioNetRss, format_args!("{element}<driver rss>"))?;
    }
    let mtu = matches!(
        kind,
        InterfaceType::Network
            | InterfaceType::Bridge
            | InterfaceType::Ethernet
            | InterfaceType::VhostUser
            | InterfaceType::Direct
    ) || (kind == InterfaceType::User && passt);
    need(net.mtu.is_none() || mtu, || format!("{element}<mtu> cannot be set"))?;
    if let Some(teaming) = &net.teaming {
        let fits = match teaming.kind {
            TeamingType::Persistent => virtio,
            TeamingType::Transient => {
                matches!(kind, InterfaceType::Hostdev | InterfaceType::Network)
            }
        };
        need(fits, || match teaming.kind {
            TeamingType::Persistent => {
                format!("<teaming type='persistent'> needs <model type='virtio'>, not '{model}'")
            }
            TeamingType::Transient => {
                format!("<teaming type='transient'> needs <interface type='hostdev'>, not '{kind}'")
            }
        })?;
    }
    need(
        net.coalesce.is_none() || matches!(kind, InterfaceType::Network | InterfaceType::Bridge),
        || format!("{element}<coalesce>: allowed on types network and bridge"),
    )
}

/// One address of each family, in a network whose size the user-mode stack can serve.
fn addresses(net: &Interface, element: &str) -> Result<()> {
    let six = |ip: &Ip| ip.family.as_deref() == Some("ipv6") || ip.address.contains(':');
    let (mut v4, mut v6) = (0, 0);
    for ip in &net.ips {
        need(ip.peer.is_none(), || format!("{element}<ip peer> cannot be set"))?;
        let prefix = ip.prefix.unwrap_or_default();
        if six(ip) {
            v6 += 1;
            need(matches!(prefix, 0 | 64), || {
                format!("{element}<ip family='ipv6' prefix='{prefix}'> must be 64")
            })?;
        } else {
            v4 += 1;
            if prefix != 0 && !(4..=27).contains(&prefix) {
                return Err(xml_error(format!(
                    "{element}<ip family='ipv4' prefix='{prefix}'> must be between 4 and 27"
                )));
            }
        }
    }
    need(v4 <= 1 && v6 <= 1, || format!("{element} can have one <ip> of each family"))
}

fn vhost_user(rules: Rules<'_>, net: &Interface, passt: bool, element: &str) -> Result<()> {
    let source = net.source.as_ref();
    if source.is_none_or(|source| source.path.is_none()) && !passt {
        return Err(xml_error(format!("{element} needs <source path='…'>")));
    }
    let listens = source.is_some_and(|source| source.mode.as_deref() == Some("server"));
    let reconnects = source.and_then(|source| source.reconnect.as_ref());
    if listens && reconnects.is_some_and(|reconnect| reconnect.enabled == Some(YesNo::Yes)) {
        return Err(unsupported(format!("{element}<source mode='server'> cannot <reconnect>")));
    }
    rules.needs_shared_memory(element)
}
