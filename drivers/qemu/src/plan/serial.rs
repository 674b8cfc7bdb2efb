// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guest's end of character devices: serial and parallel ports, consoles, channels, smartcards, redirections.

use serde_json::json;
use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::chardev::{
    Chardev, ChardevTargetType, ChardevType, Smartcard, SmartcardMode,
};
use virtus_xml::domain::controller::ControllerType;
use virtus_xml::domain::device::Device;
use virtus_xml::domain::graphics::{Graphics, GraphicsType};

use super::argv::Props;
use super::chardev::End;
use super::device::{alias, find, place};
use super::line::Line;
use super::storage::unsupported;

/// Writes serial ports.
pub(crate) fn serials(line: &mut Line<'_>) -> Result<()> {
    for serial in &line.domain.devices.serials {
        let spice = |graphics: &Graphics| graphics.kind == GraphicsType::Spice;
        if serial.kind == ChardevType::Spiceport && !line.domain.devices.graphics.iter().any(spice)
        {
            continue;
        }
        end(serial)?.write(line)?;
        let model = serial.target.as_ref().and_then(|target| target.model.as_ref());
        let chardev = format!("char{}", alias(&serial.info)?);
        let kind = serial.target.as_ref().and_then(|target| target.kind);
        if model.is_none() && kind == Some(ChardevTargetType::SystemSerial) {
            return Err(unsupported("<serial><target type='system-serial'> of this machine"));
        }
        // What has no model is soldered to a board that we do not know.
        let Some(model) = model
            .map(|model| model.name.as_str())
            .filter(|model| !matches!(*model, "pl011" | "16550a"))
        else {
            line.argv.pair("-serial", format!("chardev:{chardev}"));
            continue;
        };
        let mut props = Props::device(model)
            .with("chardev", chardev)
            .with("id", alias(&serial.info)?.to_owned());
        if model == "isa-serial" {
            props.set("index", serial.target_port().unwrap_or(0));
        }
        props.extend(place(line.domain, &serial.info)?);
        line.device(props);
    }
    Ok(())
}

/// Writes parallel ports.
pub(crate) fn parallels(line: &mut Line<'_>) -> Result<()> {
    for parallel in &line.domain.devices.parallels {
        end(parallel)?.write(line)?;
        let id = alias(&parallel.info)?;
        line.device(
            Props::device("isa-parallel")
                .with("chardev", format!("char{id}"))
                .with("id", id.to_owned()),
        );
    }
    Ok(())
}

/// Writes channels.
pub(crate) fn channels(line: &mut Line<'_>) -> Result<()> {
    for channel in &line.domain.devices.channels {
        let target = channel.target.as_ref();
        end(channel)?.write(line)?;
        let id = alias(&channel.info)?;
        match target.and_then(|target| target.kind) {
            Some(ChardevTargetType::Guestfwd) => {
                let target = target.ok_or_else(|| unsupported("a channel without a target"))?;
                let (address, port) =
                    (target.address.as_deref().unwrap_or_default(), target.port.unwrap_or(0));
                let rule = format!("tcp:{address}:{port}-chardev:char{id}");
                let props = Props::new()
                    .with("type", "user")
                    .with("guestfwd", json!([{ "str": rule }]))
                    .with("id", id.to_owned());
                line.argv.json("-netdev", props);
            }
            Some(ChardevTargetType::Virtio) => {
                let props = virtio_port(line, channel, "virtserialport")?;
                line.device(props);
            }
            _ => return Err(unsupported(format!("the target of channel '{id}'"))),
        }
    }
    Ok(())
}

/// Writes consoles; the one that is the first serial port's other name is skipped.
pub(crate) fn consoles(line: &mut Line<'_>) -> Result<()> {
    for console in &line.domain.devices.consoles {
        let kind = console.target.as_ref().and_then(|target| target.kind);
        let driver = match kind {
            Some(ChardevTargetType::Virtio) => "virtconsole",
            Some(ChardevTargetType::Sclp) => "sclpconsole",
            Some(ChardevTargetType::Sclplm) => "sclplmconsole",
            None | Some(ChardevTargetType::Serial) => continue,
            Some(other) => return Err(unsupported(format!("a console of type '{other}'"))),
        };
        end(console)?.write(line)?;
        let id = alias(&console.info)?.to_owned();
        let props = if driver == "virtconsole" {
            virtio_port(line, console, driver)?
        } else {
            Props::device(driver).with("chardev", format!("char{id}")).with("id", id)
        };
        line.device(props);
    }
    Ok(())
}

fn virtio_port(line: &Line<'_>, chardev: &Chardev, driver: &str) -> Result<Props> {
    let mut props = Props::device(driver);
    if let Some(Address::VirtioSerial { controller, bus, port }) = &chardev.info.address {
        let controller = find(line.domain, ControllerType::VirtioSerial, *controller)?;
        props.set("bus", format!("{}.{bus}", alias(&controller.info)?));
        props.set("nr", *port);
    }
    let id = alias(&chardev.info)?;
    props.set("chardev", format!("char{id}"));
    props.set("id", id.to_owned());
    if driver == "virtserialport" {
        let name = chardev.target.as_ref().and_then(|target| target.name.clone());
        let spice =
            (chardev.kind == ChardevType::Spicevmc).then(|| "com.redhat.spice.0".to_owned());
        props = props.maybe("name", name.or(spice));
    }
    Ok(props)
}

/// The back end of a character device.
pub(crate) fn end(chardev: &Chardev) -> Result<End<'_>> {
    Ok(End {
        kind: chardev.kind,
        backend: &chardev.backend,
        alias: alias(&chardev.info)?,
        spice: "vdagent",
    })
}

/// Writes smartcards.
pub(crate) fn smartcards(line: &mut Line<'_>) -> Result<()> {
    for card in &line.domain.devices.smartcards {
        smartcard(line, card)?;
    }
    Ok(())
}

fn smartcard(line: &mut Line<'_>, card: &Smartcard) -> Result<()> {
    let id = alias(&card.info)?;
    let mut props = match card.mode {
        SmartcardMode::Host => Props::device("ccid-card-emulated").with("backend", "nss-emulated"),
        SmartcardMode::HostCertificates => {
            let mut props = Props::device("ccid-card-emulated").with("backend", "certificates");
            for (at, certificate) in card.certificates.iter().enumerate() {
                props.set(&format!("cert{}", at + 1), certificate.clone());
            }
            let database = card.database.clone().unwrap_or("/etc/pki/nssdb".to_owned());
            props.with("db", database)
        }
        SmartcardMode::Passthrough => {
            let kind = card.kind.ok_or_else(|| unsupported("a smartcard without a type"))?;
            End { kind, backend: &card.backend, alias: id, spice: "smartcard" }.write(line)?;
            Props::device("ccid-card-passthru").with("chardev", format!("char{id}"))
        }
    };
    props.set("id", id.to_owned());
    props.set("bus", ccid_bus(line, &card.info)?);
    line.device(props);
    Ok(())
}

fn ccid_bus(line: &Line<'_>, info: &Device) -> Result<String> {
    let index = match &info.address {
        Some(Address::Ccid { controller, .. }) => *controller,
        _ => 0,
    };
    Ok(format!("{}.0", alias(&find(line.domain, ControllerType::Ccid, index)?.info)?))
}

/// Writes redirected USB devices.
pub(crate) fn redirections(line: &mut Line<'_>) -> Result<()> {
    for redirdev in &line.domain.devices.redirdevs {
        let id = alias(&redirdev.info)?;
        End { kind: redirdev.kind, backend: &redirdev.backend, alias: id, spice: "usbredir" }
            .write(line)?;
        let mut props = Props::device("usb-redir")
            .with("chardev", format!("char{id}"))
            .with("id", id.to_owned());
        if let Some(filter) = &line.domain.devices.redirfilter {
            let rules: Vec<String> = filter.usbdevs.iter().map(usb_rule).collect();
            if !rules.is_empty() {
                props.set("filter", rules.join("|"));
            }
        }
        props = props.maybe("bootindex", redirdev.info.boot.as_ref().map(|boot| boot.order));
        props.extend(place(line.domain, &redirdev.info)?);
        line.device(props);
    }
    Ok(())
}

fn usb_rule(rule: &virtus_xml::domain::chardev::UsbRule) -> String {
    let part = |id: Option<u64>, width: usize| match id {
        Some(id) => format!("0x{id:0width$X}"),
        None => "-1".to_owned(),
    };
    format!(
        "{}:{}:{}:{}:{}",
        part(rule.class.and_then(|class| class.0), 2),
        part(rule.vendor.and_then(|vendor| vendor.0), 4),
        part(rule.product.and_then(|product| product.0), 4),
        part(rule.version.and_then(|version| version.0), 4),
        u8::from(rule.allow.is_yes())
    )
}
