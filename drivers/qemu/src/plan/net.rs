// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<interface>`: the network back end and the card.

use serde_json::json;
use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::interface::{Interface, InterfaceSource, InterfaceType, TeamingType};

use super::argv::{Opts, Props};
use super::chardev::{Backend, Socket, reconnect_key, reconnect_seconds};
use super::context::FdKey;
use super::device::{alias, loadparm, place, rom, virtio, virtio_model};
use super::line::Line;
use super::storage::unsupported;
use crate::caps::Flag;
use crate::machine::is_arm;

/// How long QEMU waits before it calls a passt that has gone away.
const PASST_RECONNECT_SECONDS: u32 = 5;

/// Writes all interfaces.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    for (at, net) in line.domain.devices.interfaces.iter().enumerate() {
        if net.plugged_kind() == InterfaceType::Hostdev {
            continue;
        }
        let boot = line.boot.interface(at);
        if net.kind == InterfaceType::VhostUser {
            vhost_user_chardev(line, net)?;
        }
        let netdev = backend(line, net)?;
        if line.has(Flag::NetdevJson) {
            line.argv.json("-netdev", netdev);
        } else {
            line.argv.pair("-netdev", netdev.flat("type"));
        }
        if is_on_board(line.domain, net) {
            line.argv.pair("-net", on_board(net)?);
            continue;
        }
        let card = device(line, net, boot)?;
        line.device(card);
    }
    Ok(())
}

/// Whether the card is soldered to the board, so that only the old option reaches it.
fn is_on_board(domain: &Domain, net: &Interface) -> bool {
    is_arm(domain) && !matches!(net.info.address, Some(Address::VirtioMmio | Address::Pci(_)))
}

fn on_board(net: &Interface) -> Result<Opts> {
    let id = alias(&net.info)?;
    let mac = net.mac_address().ok_or_else(|| lacks(net, "a MAC address"))?;
    Ok(Opts::new("nic")
        .with("macaddr", mac)
        .with("netdev", format!("host{id}"))
        .with("model", model(net))
        .with("id", id))
}

/// The name of the card's model.
pub(crate) fn model(net: &Interface) -> &str {
    net.model.as_ref().map_or("", |model| model.kind.as_str())
}

/// Whether the card is a virtio card of any generation.
pub(crate) fn is_virtio(net: &Interface) -> bool {
    matches!(model(net), "virtio" | "virtio-transitional" | "virtio-non-transitional")
}

/// Whether the kernel is to move the packets.
pub(crate) fn wants_vhost(net: &Interface) -> bool {
    is_tap(net)
        && is_virtio(net)
        && net.driver.as_ref().and_then(|driver| driver.name.as_deref()) != Some("qemu")
}

/// Whether a tap or macvtap device of the host carries the packets.
pub(crate) fn is_tap(net: &Interface) -> bool {
    matches!(
        net.plugged_kind(),
        InterfaceType::Network
            | InterfaceType::Bridge
            | InterfaceType::Direct
            | InterfaceType::Ethernet
    )
}

/// How many queues the card has.
pub(crate) fn queues(net: &Interface) -> u32 {
    net.driver
        .as_ref()
        .and_then(|driver| driver.queues)
        .filter(|_| is_virtio(net))
        .unwrap_or(1)
        .max(1)
}

/// What `-netdev`, or `netdev_add` of a hot-plug, takes.
pub(crate) fn backend(line: &mut Line<'_>, net: &Interface) -> Result<Props> {
    let id = alias(&net.info)?.to_owned();
    let none = InterfaceSource::default();
    let source = net.plugged_source().unwrap_or(&none);
    let end = || -> Result<String> {
        let address = source.address.as_deref().unwrap_or_default();
        let port = source.port.ok_or_else(|| lacks(net, "a port"))?;
        Ok(format!("{address}:{port}"))
    };
    let props = match net.plugged_kind() {
        _ if is_tap(net) => tap(line, net, &id)?,
        InterfaceType::User => user(line, net, &id)?,
        InterfaceType::Server => Props::new().with("type", "socket").with("listen", end()?),
        InterfaceType::Client => Props::new().with("type", "socket").with("connect", end()?),
        InterfaceType::Mcast => Props::new().with("type", "socket").with("mcast", end()?),
        InterfaceType::Udp => {
            let local = source.local.as_ref().ok_or_else(|| lacks(net, "a <local> end"))?;
            Props::new()
                .with("type", "socket")
                .with("udp", end()?)
                .with("localaddr", format!("{}:{}", local.address, local.port))
        }
        InterfaceType::VhostUser => {
            let queues = net.driver.as_ref().and_then(|driver| driver.queues);
            Props::new()
                .with("type", "vhost-user")
                .with("chardev", format!("char{id}"))
                .maybe("queues", queues.filter(|queues| *queues > 1))
        }
        InterfaceType::Vdpa => {
            let fd = line.cx.fd(&FdKey::Vdpa(id.clone()))?;
            let path = line.fd_set(fd, &format!("{id}-vdpa"));
            Props::new()
                .with("type", "vhost-vdpa")
                .with("vhostdev", path)
                .maybe("queues", Some(queues(net)).filter(|queues| *queues > 1))
        }
        InterfaceType::Internal => Props::new().with("type", "user"),
        other => return Err(unsupported(format!("interface type '{other}'"))),
    };
    Ok(props.with("id", format!("host{id}")))
}

fn lacks(net: &Interface, what: &str) -> Error {
    Error::new(ErrorCode::XmlError, format!("interface of type '{}' lacks {what}", net.kind))
}

fn tap(line: &Line<'_>, net: &Interface, id: &str) -> Result<Props> {
    let join = |fds: &[i32]| fds.iter().map(i32::to_string).collect::<Vec<_>>().join(":");
    let fds = line.cx.fds(&FdKey::Tap(id.to_owned()))?;
    let key =
        |one: &'static str, many: &'static str, count: usize| if count > 1 { many } else { one };
    let mut props = Props::new().with("type", "tap").with(key("fd", "fds", fds.len()), join(fds));
    if wants_vhost(net) {
        let vhost = line.cx.fds.get(&FdKey::VhostNet(id.to_owned())).map_or(&[][..], Vec::as_slice);
        if !vhost.is_empty() {
            props.set("vhost", true);
            props.set(key("vhostfd", "vhostfds", vhost.len()), join(vhost));
        }
    }
    Ok(props.maybe("sndbuf", net.tune.as_ref().and_then(|tune| tune.sndbuf)))
}

fn user(line: &Line<'_>, net: &Interface, id: &str) -> Result<Props> {
    if is_passt(net) {
        let (key, unit) = reconnect_key(line.has(Flag::NetdevStreamReconnectMiliseconds));
        return Ok(Props::new()
            .with("type", "stream")
            .with("addr", json!({ "type": "unix", "path": passt_socket(line, id) }))
            .with("server", false)
            .with(key, u64::from(PASST_RECONNECT_SECONDS) * unit));
    }
    let mut props = Props::new().with("type", "user");
    for ip in &net.ips {
        if ip.family.as_deref() == Some("ipv6") || ip.address.contains(':') {
            props.set("ipv6-prefix", ip.address.clone());
            props = props.maybe("ipv6-prefixlen", ip.prefix);
        } else {
            let address = match ip.prefix {
                Some(prefix) => format!("{}/{prefix}", ip.address),
                None => ip.address.clone(),
            };
            props.set("net", address);
        }
    }
    Ok(props)
}

/// Whether passt carries the packets, in user space and without privileges.
pub(crate) fn is_passt(net: &Interface) -> bool {
    net.backend.as_ref().and_then(|backend| backend.kind.as_deref()) == Some("passt")
}

fn passt_socket(line: &Line<'_>, id: &str) -> String {
    let name = super::context::short_name(line.cx.id, &line.domain.name);
    format!("{}/{name}-{id}.socket", line.cx.dirs.passt)
}

fn vhost_user_chardev(line: &mut Line<'_>, net: &Interface) -> Result<()> {
    let id = alias(&net.info)?;
    let socket = if is_passt(net) {
        let reconnect_seconds = Some(PASST_RECONNECT_SECONDS);
        Socket { reconnect_seconds, ..Socket::call(passt_socket(line, id)) }
    } else {
        let source = net.source.as_ref().ok_or_else(|| lacks(net, "a <source>"))?;
        let path = source.path.as_deref().ok_or_else(|| lacks(net, "a socket path"))?;
        let listens = source.mode.as_deref() == Some("server");
        let reconnect = source.reconnect.as_ref().filter(|_| !listens);
        let reconnect_seconds = reconnect_seconds(reconnect);
        Socket { listens, reconnect_seconds, ..Socket::call(path) }
    };
    Backend::socket(format!("char{id}"), socket).write(line);
    Ok(())
}

/// The card.
pub(crate) fn device(line: &Line<'_>, net: &Interface, boot: Option<u32>) -> Result<Props> {
    let id = alias(&net.info)?;
    let driver = net.driver.as_ref();
    let mut props = if is_virtio(net) {
        let mut props = virtio(
            "virtio-net",
            &net.info,
            virtio_model(Some(model(net))),
            driver.map(|driver| &driver.virtio),
        )?;
        if let Some(driver) = driver {
            let tx = match driver.txmode.as_deref() {
                Some("iothread") => Some("bh"),
                other => other,
            };
            props = props
                .maybe("tx", tx)
                .maybe("ioeventfd", driver.ioeventfd.map(|on| on.is_on()))
                .maybe("event_idx", driver.event_idx.map(|on| on.is_on()));
            props.extend(offloads(net));
        }
        props.extend(queue_props(net));
        props
            .maybe("host_mtu", net.mtu.as_ref().map(|mtu| mtu.size))
            .maybe("failover", is_persistent(net).then_some(true))
    } else {
        let model = match model(net) {
            "" => return Err(unsupported("an interface without a model")),
            other => other,
        };
        Props::device(model)
    };
    props = props.with("netdev", format!("host{id}")).with("id", id.to_owned());
    let mac = net.mac_address().ok_or_else(|| lacks(net, "a MAC address"))?;
    props.set("mac", mac.to_string());
    props = props.maybe("bootindex", boot).maybe("loadparm", loadparm(line.domain, &net.info));
    props.extend(place(line.domain, &net.info)?);
    props.extend(rom(&net.info));
    Ok(props)
}

fn is_persistent(net: &Interface) -> bool {
    net.teaming.as_ref().is_some_and(|teaming| teaming.kind == TeamingType::Persistent)
}

fn queue_props(net: &Interface) -> Props {
    let mut props = Props::new();
    let queues = queues(net);
    if queues > 1 {
        props.set("mq", true);
        if matches!(net.info.address, Some(Address::Pci(_))) {
            // One interrupt for each direction of each queue, one for changes, one for control.
            props.set("vectors", 2 * queues + 2);
        }
    }
    let Some(driver) = &net.driver else { return props };
    props
        .maybe("rx_queue_size", driver.rx_queue_size)
        .maybe("tx_queue_size", driver.tx_queue_size)
        .maybe("rss", driver.rss.map(|on| on.is_on()))
        .maybe("hash", driver.rss_hash_report.map(|on| on.is_on()))
}

fn offloads(net: &Interface) -> Props {
    let mut props = Props::new();
    let Some(driver) = &net.driver else { return props };
    if let Some(host) = &driver.host {
        props = props
            .maybe("csum", host.csum.map(|on| on.is_on()))
            .maybe("gso", host.gso.map(|on| on.is_on()))
            .maybe("host_tso4", host.tso4.map(|on| on.is_on()))
            .maybe("host_tso6", host.tso6.map(|on| on.is_on()))
            .maybe("host_ecn", host.ecn.map(|on| on.is_on()))
            .maybe("host_ufo", host.ufo.map(|on| on.is_on()))
            .maybe("mrg_rxbuf", host.mrg_rxbuf.map(|on| on.is_on()));
    }
    if let Some(guest) = &driver.guest {
        props = props
            .maybe("guest_csum", guest.csum.map(|on| on.is_on()))
            .maybe("guest_tso4", guest.tso4.map(|on| on.is_on()))
            .maybe("guest_tso6", guest.tso6.map(|on| on.is_on()))
            .maybe("guest_ecn", guest.ecn.map(|on| on.is_on()))
            .maybe("guest_ufo", guest.ufo.map(|on| on.is_on()));
    }
    props
}
