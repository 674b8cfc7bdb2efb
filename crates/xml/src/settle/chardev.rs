// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Character devices: the numbers of their ports, what their sources must name, and the first console, which
//! is the first serial port under another name.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::xml_error;
use crate::domain::Domain;
use crate::domain::chardev::{
    Chardev, ChardevBackend, ChardevProtocol, ChardevSource, ChardevTarget,
    ChardevTargetType as Target, ChardevType, SmartcardMode, SocketMode, WireProtocol,
};

pub(super) fn settle(domain: &mut Domain) -> Result<()> {
    let hvm = domain.is_hvm();
    let devices = &mut domain.body.devices;
    for list in [&mut devices.serials, &mut devices.parallels, &mut devices.consoles] {
        for chardev in list.iter_mut() {
            settle_backend(chardev.kind, &mut chardev.backend)?;
        }
    }
    for channel in &mut devices.channels {
        settle_channel(channel)?;
    }
    for redirdev in &mut devices.redirdevs {
        settle_backend(redirdev.kind, &mut redirdev.backend)?;
        need_path(redirdev.kind, &redirdev.backend)?;
    }
    for smartcard in &mut devices.smartcards {
        if let (SmartcardMode::Passthrough, Some(kind)) = (smartcard.mode, smartcard.kind) {
            settle_backend(kind, &mut smartcard.backend)?;
            need_path(kind, &smartcard.backend)?;
        }
    }
    for backend in devices.rngs.iter_mut().filter_map(|rng| rng.backend.as_mut()) {
        if let Some(kind) = backend.kind {
            settle_backend(kind, &mut backend.chardev)?;
            need_path(kind, &backend.chardev)?;
            backend.path = None;
        }
    }
    for list in [&devices.serials, &devices.parallels, &devices.consoles] {
        for chardev in list {
            need_path(chardev.kind, &chardev.backend)?;
        }
    }
    number_ports(&mut devices.serials);
    number_ports(&mut devices.parallels);
    pair_console(&mut devices.serials, &mut devices.consoles, hvm);
    number_ports(&mut devices.consoles);
    for console in &mut devices.consoles {
        let target = console.target.get_or_insert_with(ChardevTarget::default);
        if target.kind.is_none() && hvm {
            target.kind = Some(Target::Serial);
        }
    }
    Ok(())
}

fn settle_channel(channel: &mut Chardev) -> Result<()> {
    settle_backend(channel.kind, &mut channel.backend)?;
    if channel.target.as_ref().is_none_or(|target| target.kind.is_none()) {
        return Err(xml_error(
            "character device target type is missing: a <channel> needs <target type='…'>",
        ));
    }
    if channel.kind == ChardevType::Unix {
        let source = channel.backend.sources.first();
        if source.is_some_and(|source| source.path.is_none()) {
            channel.backend.sources.clear();
        }
    }
    Ok(())
}

/// Brings the sources into the form that libvirt writes, and checks them.
fn settle_backend(kind: ChardevType, backend: &mut ChardevBackend) -> Result<()> {
    let sources = &mut backend.sources;
    match kind {
        ChardevType::Udp => settle_udp(sources)?,
        _ if sources.len() > 1 => {
            return Err(xml_error("only one source element is allowed for character device"));
        }
        _ => {}
    }
    for source in sources.iter_mut() {
        if source.append.is_some() && kind != ChardevType::File {
            source.append = None;
        }
        if let Some(reconnect) = &source.reconnect
            && reconnect.enabled == Some(crate::value::YesNo::Yes)
        {
            match reconnect.timeout {
                None => {
                    return Err(xml_error(
                        "Missing required attribute 'timeout' in element 'reconnect'",
                    ));
                }
                Some(0) => {
                    return Err(Error::new(
                        ErrorCode::InvalidArg,
                        "chardev reconnect source timeout cannot be '0'",
                    )
                    .in_domain(ErrorDomain::Domain));
                }
                Some(_) => {}
            }
        }
        if source.reconnect.is_some() && source.mode == Some(SocketMode::Bind) {
            return Err(xml_error("chardev reconnect is possible only for connect mode"));
        }
        match kind {
            ChardevType::Tcp => {
                source.mode.get_or_insert(SocketMode::Connect);
                need(source.host.as_ref(), "host")?;
                need(source.service.as_ref(), "service")?;
            }
            ChardevType::Unix => {
                source.mode.get_or_insert(SocketMode::Connect);
            }
            _ => {}
        }
    }
    if kind == ChardevType::Tcp {
        if sources.is_empty() {
            return Err(missing("host"));
        }
        let protocol = backend.protocol.get_or_insert_with(ChardevProtocol::default);
        protocol.kind.get_or_insert(WireProtocol::Raw);
    } else {
        backend.protocol = None;
    }
    backend.sources.retain(|source| *source != ChardevSource::default());
    Ok(())
}

/// UDP has one source that is bound and one that is sent to; the bound one stands first.
fn settle_udp(sources: &mut [ChardevSource]) -> Result<()> {
    if sources.len() > 2 {
        return Err(xml_error("only two source elements are allowed for character device"));
    }
    for source in sources.iter_mut() {
        source.mode.get_or_insert(SocketMode::Connect);
    }
    let connect = sources.iter().find(|source| source.mode == Some(SocketMode::Connect));
    need(connect.and_then(|source| source.service.as_ref()), "service")?;
    sources.sort_by_key(|source| source.mode);
    Ok(())
}

fn need(value: Option<&String>, name: &'static str) -> Result<()> {
    if value.is_some_and(|value| !value.is_empty()) { Ok(()) } else { Err(missing(name)) }
}

fn missing(name: &'static str) -> Error {
    xml_error(format!("Missing source {name} attribute for char device"))
}

/// A file, a socket or a device must be named; only a channel's socket may be chosen later.
fn need_path(kind: ChardevType, backend: &ChardevBackend) -> Result<()> {
    let path = backend.sources.first().and_then(|source| source.path.as_ref());
    match kind {
        ChardevType::File | ChardevType::Dev | ChardevType::Pipe | ChardevType::Unix => {
            need(path, "path")
        }
        _ => Ok(()),
    }
}

/// Gives each device that has no port the one after the highest that is taken.
fn number_ports(list: &mut [Chardev]) {
    let highest = list.iter().filter_map(Chardev::target_port).max();
    let mut next = highest.map_or(0, |port| port.saturating_add(1));
    for chardev in list.iter_mut() {
        let port = &mut chardev.target.get_or_insert_with(ChardevTarget::default).port;
        if port.is_none() {
            *port = Some(next);
            next = next.saturating_add(1);
        }
    }
}

/// For a machine, the first console is the first serial port. If only one of them is there, it brings the other.
fn pair_console(serials: &mut Vec<Chardev>, consoles: &mut Vec<Chardev>, hvm: bool) {
    if !hvm {
        return;
    }
    let first = consoles.first();
    let is_serial = first.is_some_and(|console| {
        matches!(
            console.target.as_ref().and_then(|target| target.kind),
            None | Some(Target::Serial)
        )
    });
    if is_serial {
        if serials.is_empty() {
            let mut serial = consoles[0].clone();
            serial.tty = None;
            serial.target = Some(ChardevTarget { port: Some(0), ..ChardevTarget::default() });
            serials.push(serial);
        }
        consoles[0] = stub(&serials[0]);
    } else if let Some(serial) = serials.first() {
        let kind = serial.target.as_ref().and_then(|target| target.kind);
        let shown = !matches!(kind, Some(Target::PciSerial | Target::UsbSerial | Target::IsaDebug));
        if shown {
            consoles.insert(0, stub(serial));
            for console in consoles.iter_mut().skip(1) {
                if let Some(target) = &mut console.target {
                    target.port = None;
                }
            }
        }
    }
}

/// The console that shows `serial`.
fn stub(serial: &Chardev) -> Chardev {
    Chardev {
        kind: serial.kind,
        backend: serial.backend.clone(),
        target: Some(ChardevTarget {
            kind: Some(Target::Serial),
            port: serial.target_port(),
            ..ChardevTarget::default()
        }),
        ..Chardev::default()
    }
}
