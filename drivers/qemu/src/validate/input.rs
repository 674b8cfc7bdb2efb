// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keyboards, mice, tablets, hubs.

use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::disk::VirtioModel;
use virtus_xml::domain::input::{Input, InputBus, InputType};

use super::{Rules, need};
use crate::caps::Flag;
use crate::machine::has_ps2;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let devices = &rules.domain.devices;
    if !devices.hubs.is_empty() {
        rules.needs(Flag::UsbHub, "<hub type='usb'>")?;
    }
    devices.inputs.iter().try_for_each(|one| input(rules, one))
}

fn input(rules: Rules<'_>, input: &Input) -> Result<()> {
    let kind = input.kind;
    let Some(bus) = input.bus else { return Ok(()) };
    let element = format!("<input type='{kind}' bus='{bus}'>");
    match bus {
        InputBus::Ps2 => need(has_ps2(rules.domain), || {
            format!("{element}: {} has no PS/2 controller", rules.board())
        }),
        InputBus::Usb if kind == InputType::Keyboard => rules.needs(Flag::UsbKbd, &element),
        InputBus::Virtio => virtio(rules, input, &element),
        _ => Ok(()),
    }
}

fn virtio(rules: Rules<'_>, input: &Input, element: &str) -> Result<()> {
    if let Some(model) = input.model.filter(|model| *model != VirtioModel::Virtio) {
        need(false, || format!("{element}: model '{model}'; input devices have only 'virtio'"))?;
    }
    let (flag, on_channel) = match input.kind {
        InputType::Mouse => (Flag::VirtioMouse, Some(Flag::VirtioMouseCcw)),
        InputType::Tablet => (Flag::VirtioTablet, Some(Flag::VirtioTabletCcw)),
        InputType::Keyboard => (Flag::VirtioKeyboard, Some(Flag::VirtioKeyboardCcw)),
        InputType::Passthrough => (Flag::VirtioInputHost, None),
        InputType::Evdev => (Flag::InputLinux, None),
    };
    rules.needs(flag, element)?;
    if matches!(input.info.address, Some(Address::Ccw(_))) {
        need(on_channel.is_some_and(|flag| rules.has(flag)), || {
            format!("{element} on the channel subsystem: {} does not have it", rules.emulator())
        })?;
    }
    Ok(())
}
