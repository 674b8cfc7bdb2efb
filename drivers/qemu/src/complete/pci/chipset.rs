// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The devices that a PC's chipset has at fixed places, and those that libvirt puts where real boards have them.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::controller::{Controller, ControllerType};
use virtus_xml::domain::sound::SoundModel;
use virtus_xml::domain::video::VideoType;
use virtus_xml::value::OnOff;

use super::bus_set::{Connect, Place};
use super::slots::Slot;
use super::{Pass, chipset_of, present, store, wanted};

/// The first IDE controller of a PIIX3.
const PIIX3_IDE: Place = Place { domain: 0, bus: 0, slot: 1, function: 1 };
/// The USB controller of a PIIX3.
const PIIX3_USB: Place = Place { domain: 0, bus: 0, slot: 1, function: 2 };
/// The SATA controller of an ICH9.
const ICH9_SATA: Place = Place { domain: 0, bus: 0, slot: 0x1f, function: 2 };

fn is_first_ide(controller: &Controller) -> bool {
    controller.kind == ControllerType::Ide && controller.index == Some(0)
}

fn is_piix3_usb(controller: &Controller) -> bool {
    controller.kind == ControllerType::Usb
        && controller.index == Some(0)
        && matches!(controller.model.as_deref(), None | Some("piix3-uhci"))
}

/// Whether a controller stands where the PIIX3 has it; those places are reserved with the chipset.
pub(super) fn is_piix3(domain: &Domain, slot: Slot, place: Place) -> bool {
    let Slot::Controller(at) = slot else { return false };
    let controller = &domain.devices.controllers[at];
    (is_first_ide(controller) && place == PIIX3_IDE)
        || (is_piix3_usb(controller) && place == PIIX3_USB)
}

/// Reserves the places of the chipset.
pub(super) fn reserve(domain: &mut Domain, pass: &mut Pass) -> Result<()> {
    match chipset_of(domain) {
        Some("i440fx") => i440fx(domain, pass),
        Some("q35") => q35(domain, pass),
        _ => Ok(()),
    }
}

fn at_home(controller: &mut Controller, home: Place, what: &str) -> Result<()> {
    match present(&controller.info) {
        Some(place) if place != home => Err(Error::new(
            ErrorCode::ConfigUnsupported,
            format!(
                "the {what} is part of the machine and must have the PCI address {home}, not {place}"
            ),
        )),
        Some(_) => Ok(()),
        None => {
            store(&mut controller.info, home);
            Ok(())
        }
    }
}

fn i440fx(domain: &mut Domain, pass: &mut Pass) -> Result<()> {
    let connect = Connect::AUTO | Connect::PCI_DEVICE;
    for controller in &mut domain.body.devices.controllers {
        let home = if is_first_ide(controller) {
            at_home(controller, PIIX3_IDE, "first IDE controller")?;
            PIIX3_IDE
        } else if is_piix3_usb(controller) {
            at_home(controller, PIIX3_USB, "PIIX3 USB controller")?;
            PIIX3_USB
        } else {
            continue;
        };
        pass.set.take(home, connect, 0)?;
    }
    // The ISA bridge and the power management.
    pass.set.take(Place::root(1, 0), connect, 0)?;
    pass.set.take(Place::root(1, 3), connect, 0)?;
    first_video(domain, pass, 2, connect)
}

fn q35(domain: &mut Domain, pass: &mut Pass) -> Result<()> {
    let connect = Connect::PCIE_DEVICE;
    for controller in &mut domain.body.devices.controllers {
        match controller.kind {
            ControllerType::Sata if controller.index == Some(0) => {
                let stated = present(&controller.info).is_some();
                at_home(controller, ICH9_SATA, "first SATA controller")?;
                if !stated && !pass.set.in_use(ICH9_SATA) {
                    pass.set.take(ICH9_SATA, connect, 0)?;
                }
            }
            ControllerType::Usb
                if controller.model.as_deref() == Some("ich9-uhci1")
                    && controller.info.address.is_none() =>
            {
                let free = [0x1d, 0x1a]
                    .into_iter()
                    .map(|slot| Place::root(slot, 0))
                    .find(|place| !pass.set.in_use(*place));
                if let Some(place) = free {
                    pass.set.take(place, connect, 0)?;
                    store(&mut controller.info, place);
                    if let Some(Address::Pci(pci)) = &mut controller.info.address {
                        pci.multifunction = Some(OnOff::On);
                    }
                }
            }
            ControllerType::Pci
                if controller.model.as_deref() == Some("dmi-to-pci-bridge")
                    && controller.info.address.is_none() =>
            {
                let place = Place::root(0x1e, 0);
                if !pass.set.in_use(place) {
                    pass.set.take(place, connect, 0)?;
                    store(&mut controller.info, place);
                }
            }
            _ => {}
        }
    }
    // The ISA bridge and the SMBus.
    pass.set.take(Place::root(0x1f, 0), connect, 0)?;
    pass.set.take(Place::root(0x1f, 3), connect, 0)?;
    first_video(domain, pass, 1, connect)?;
    let home = Place::root(0x1b, 0);
    if !pass.set.in_use(home) {
        let sound = domain
            .body
            .devices
            .sounds
            .iter_mut()
            .find(|sound| sound.model == SoundModel::Ich9 && wanted(&sound.info));
        if let Some(sound) = sound {
            pass.set.take(home, connect, 0)?;
            store(&mut sound.info, home);
        }
    }
    Ok(())
}

/// The first graphics card is where QEMU itself would put it.
fn first_video(domain: &mut Domain, pass: &mut Pass, slot: u8, connect: Connect) -> Result<()> {
    let Some(video) = domain.body.devices.videos.first_mut() else { return Ok(()) };
    if matches!(video.model.kind, VideoType::None | VideoType::Ramfb) || !wanted(&video.info) {
        return Ok(());
    }
    let home = Place::root(slot, 0);
    pass.set.check(home, connect, true)?;
    if pass.set.in_use(home) {
        return pass.next(&mut video.info, connect | Connect::AUTO, None);
    }
    pass.set.take(home, connect, 0)?;
    store(&mut video.info, home);
    Ok(())
}
