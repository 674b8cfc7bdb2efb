// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an older peer need not be told: devices that it may not know by name and that every guest of the kind gets
//! by itself (`virsh dumpxml --migratable`).
//!
//! Invariant: completing what is left brings back what was taken out.

use virtus_xml::Domain;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::controller::{Controller, ControllerType};
use virtus_xml::domain::input::{Input, InputBus, InputType};
use virtus_xml::domain::misc::{Panic, PanicModel, Watchdog, WatchdogAction, WatchdogModel};
use virtus_xml::domain::sound::{Audio, AudioType};

use crate::machine::{is_i440fx, is_q35, is_x86};

/// Takes them out.
pub(crate) fn thin(domain: &mut Domain) {
    let (x86, pc, q35) = (is_x86(domain), is_i440fx(domain), is_q35(domain));
    let devices = &mut domain.body.devices;
    take_only(
        &mut devices.controllers,
        |one| one.kind == ControllerType::Usb,
        |usb| pc && is_first(usb, "piix3-uhci"),
    );
    take_only(
        &mut devices.controllers,
        |one| one.kind == ControllerType::Pci,
        |root| is_first(root, "pci-root"),
    );
    devices.inputs.retain(|one| !(x86 && is_ps2_keyboard(one)));
    let silent = Audio { id: 1, kind: AudioType::None, ..Audio::default() };
    take_only(&mut devices.audios, |_| true, |audio| *audio == silent);
    let watchdog =
        |one: &Watchdog| one.model == WatchdogModel::Itco && one.action == WatchdogAction::Reset;
    take_only(&mut devices.watchdogs, |_| true, |one| q35 && watchdog(one));
    take_only(&mut devices.panics, |_| true, is_soldered);
}

/// Takes the only one of its `kind` out of `list`, if it is as it would be made.
fn take_only<T>(list: &mut Vec<T>, kind: impl Fn(&T) -> bool, usual: impl Fn(&T) -> bool) {
    if list.iter().filter(|one| kind(one)).count() == 1 {
        list.retain(|one| !(kind(one) && usual(one)));
    }
}

/// The controller that a machine has from the start.
fn is_first(controller: &Controller, model: &str) -> bool {
    controller.index == Some(0) && controller.model.as_deref() == Some(model)
}

fn is_ps2_keyboard(input: &Input) -> bool {
    input.kind == InputType::Keyboard && input.bus == Some(InputBus::Ps2)
}

/// A panic device that is part of the machine, on no bus.
fn is_soldered(panic: &Panic) -> bool {
    let place: Option<&Address> = panic.info.address.as_ref();
    matches!(panic.model, Some(PanicModel::S390 | PanicModel::Pseries)) && place.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtus_xml::{FormatFlags, ParseFlags};

    #[test]
    fn what_every_pc_has_is_left_out() {
        let text = "<domain type='qemu'><name>g</name><memory>1024</memory>\
            <os><type arch='x86_64' machine='pc-i440fx-9.0'>hvm</type></os><devices>\
            <controller type='usb' index='0' model='piix3-uhci'/>\
            <controller type='pci' index='0' model='pci-root'/>\
            <controller type='scsi' index='0' model='lsilogic'/>\
            <input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/>\
            <audio id='1' type='none'/></devices></domain>";
        let mut domain = Domain::parse(text, ParseFlags::INACTIVE).unwrap().value;
        thin(&mut domain);
        let left = domain.format(FormatFlags::INACTIVE);
        for gone in ["piix3-uhci", "pci-root", "keyboard", "<audio"] {
            assert!(!left.contains(gone), "{gone}\n{left}");
        }
        assert!(left.contains("lsilogic") && left.contains("mouse"), "{left}");
    }

    #[test]
    fn what_was_chosen_stays() {
        let text = "<domain type='qemu'><name>g</name><memory>1024</memory>\
            <os><type arch='x86_64' machine='pc-q35-9.0'>hvm</type></os><devices>\
            <controller type='usb' index='0' model='piix3-uhci'/>\
            <audio id='1' type='alsa'/><watchdog model='itco' action='pause'/>\
            </devices></domain>";
        let mut domain = Domain::parse(text, ParseFlags::INACTIVE).unwrap().value;
        let before = domain.clone();
        thin(&mut domain);
        assert_eq!(domain, before);
    }
}
