// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Serial and parallel ports, consoles, channels, smartcards, redirected USB.

use virtus_api::Result;
use virtus_xml::domain::address::{Address, AddressType};
use virtus_xml::domain::chardev::{
    Chardev, ChardevBackend, ChardevTargetType as Target, ChardevType, SmartcardMode, WireProtocol,
};
use virtus_xml::domain::graphics::GraphicsType;

use super::{Rules, need, unsupported};
use crate::caps::Flag;
use crate::machine::{is_arm_virt, is_loongarch_virt, is_pseries, is_riscv_virt, is_s390};

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let devices = &rules.domain.devices;
    for list in [&devices.serials, &devices.parallels, &devices.consoles, &devices.channels] {
        list.iter().try_for_each(|one| backend(rules, one.kind, &one.backend))?;
    }
    let parallel = !devices.parallels.is_empty();
    need(!parallel || !(is_s390(rules.domain) || is_pseries(rules.domain)), || {
        format!("<parallel>: {} has no parallel ports", rules.board())
    })?;
    devices.serials.iter().try_for_each(|one| serial(rules, one))?;
    devices.consoles.iter().try_for_each(|one| console(rules, one))?;
    let serial = |one: &Chardev| {
        one.target.as_ref().is_some_and(|target| target.kind == Some(Target::Serial))
    };
    need(!devices.consoles.iter().skip(1).any(serial), || {
        "Only the first console can be a serial port".to_owned()
    })?;
    smartcards(rules)?;
    for redirdev in &devices.redirdevs {
        backend(rules, redirdev.kind, &redirdev.backend)?;
        let bus = redirdev.bus.as_deref().unwrap_or("usb");
        need(bus == "usb", || format!("<redirdev bus='{bus}'>: allowed is usb"))?;
        rules.needs(Flag::UsbRedir, "<redirdev>")?;
        if devices.redirfilter.as_ref().is_some_and(|filter| !filter.usbdevs.is_empty()) {
            rules.needs(Flag::UsbRedirFilter, "<redirfilter>")?;
        }
    }
    for rng in devices.rngs.iter().filter_map(|rng| rng.backend.as_ref()) {
        if let Some(kind) = rng.kind {
            backend(rules, kind, &rng.chardev)?;
        }
    }
    Ok(())
}

/// The host's end.
fn backend(rules: Rules<'_>, kind: ChardevType, backend: &ChardevBackend) -> Result<()> {
    match kind {
        ChardevType::Tcp => {
            let protocol = backend.protocol.as_ref().and_then(|protocol| protocol.kind);
            let refused =
                protocol.filter(|one| matches!(one, WireProtocol::Telnets | WireProtocol::Tls));
            match refused {
                Some(word) => Err(unsupported(format!(
                    "<protocol type='{word}'>: allowed are raw and telnet; <source tls='yes'> encrypts"
                ))),
                None => Ok(()),
            }
        }
        ChardevType::Vdagent => {
            rules.needs(Flag::ChardevQemuVdagent, "a character device of type 'qemu-vdagent'")
        }
        ChardevType::Spicevmc | ChardevType::Spiceport => {
            need(rules.shows(GraphicsType::Spice), || {
                format!("a character device of type '{kind}' needs <graphics type='spice'>")
            })
        }
        _ => Ok(()),
    }
}

fn serial(rules: Rules<'_>, serial: &Chardev) -> Result<()> {
    let Some(target) = &serial.target else { return Ok(()) };
    let Some(kind) = target.kind else { return Ok(()) };
    let place = serial.info.address.as_ref().map(Address::kind);
    let wanted = match kind {
        Target::IsaSerial | Target::IsaDebug => Some(AddressType::Isa),
        Target::UsbSerial => Some(AddressType::Usb),
        Target::PciSerial => Some(AddressType::Pci),
        Target::SpaprVioSerial => Some(AddressType::SpaprVio),
        Target::SystemSerial | Target::SclpSerial => None,
        _ => place,
    };
    need(place.is_none() || place == wanted, || match wanted {
        Some(wanted) => format!("<serial><target type='{kind}'> needs <address type='{wanted}'>"),
        None => format!("<serial><target type='{kind}'> has no <address>"),
    })?;
    let model = target.model.as_ref().map_or("", |model| model.name.as_str());
    let of_model = match model {
        "isa-serial" => Some(Target::IsaSerial),
        "usb-serial" => Some(Target::UsbSerial),
        "pci-serial" => Some(Target::PciSerial),
        "spapr-vty" => Some(Target::SpaprVioSerial),
        "pl011" | "16550a" => Some(Target::SystemSerial),
        "sclpconsole" | "sclplmconsole" => Some(Target::SclpSerial),
        "isa-debugcon" => Some(Target::IsaDebug),
        _ => None,
    };
    if let Some(of_model) = of_model.filter(|of_model| *of_model != kind) {
        return Err(unsupported(format!(
            "<serial><target type='{kind}'><model name='{model}'> needs target type '{of_model}'"
        )));
    }
    let domain = rules.domain;
    let fits = match kind {
        Target::SystemSerial if model == "pl011" => is_arm_virt(domain),
        Target::SystemSerial if model == "16550a" => {
            is_loongarch_virt(domain) || is_riscv_virt(domain)
        }
        Target::SpaprVioSerial => is_pseries(domain),
        Target::SclpSerial => is_s390(domain),
        _ => true,
    };
    need(fits, || {
        format!("<serial><target type='{kind}'><model name='{model}'> is not on {}", rules.board())
    })
}

fn console(rules: Rules<'_>, console: &Chardev) -> Result<()> {
    let Some(kind) = console.target.as_ref().and_then(|target| target.kind) else { return Ok(()) };
    match kind {
        Target::Sclp => rules.needs(Flag::S390Sclp, "<console><target type='sclp'>"),
        Target::Sclplm => rules.needs(Flag::Sclplmconsole, "<console><target type='sclplm'>"),
        Target::Virtio | Target::Serial => Ok(()),
        _ => Err(unsupported(format!(
            "<console><target type='{kind}'>: allowed are serial, virtio, sclp and sclplm"
        ))),
    }
}

fn smartcards(rules: Rules<'_>) -> Result<()> {
    let smartcards = &rules.domain.devices.smartcards;
    for card in smartcards {
        let first =
            matches!(card.info.address, Some(Address::Ccid { controller: 0, slot: 0 }) | None);
        need(first && smartcards.len() == 1, || {
            "QEMU has one <smartcard>, in slot 0 of CCID controller 0".to_owned()
        })?;
        let flag = match card.mode {
            SmartcardMode::Host | SmartcardMode::HostCertificates => Flag::CcidEmulated,
            SmartcardMode::Passthrough => Flag::CcidPassthru,
        };
        rules.needs(flag, format_args!("<smartcard mode='{}'>", card.mode))?;
        if let (SmartcardMode::Passthrough, Some(kind)) = (card.mode, card.kind) {
            backend(rules, kind, &card.backend)?;
        }
    }
    Ok(())
}
