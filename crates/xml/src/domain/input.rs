// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<input>`: mice, tablets, keyboards. And `<hub>`.

use super::device::{Device, VirtioDriver};
use super::disk::VirtioModel;
use crate::value::OnOff;

element! {
    /// `<input>`.
    pub struct Input {
        required kind: InputType = "type",
        attr bus: Option<InputBus> = "bus",
        attr model: Option<VirtioModel> = "model",
        child driver: Option<VirtioDriver> = "driver",
        child source: Option<InputSource> = "source",
        part info: Device
    }
}

spellings! {
    /// What the guest sees.
    pub enum InputType {
        Mouse = "mouse", Tablet = "tablet", Keyboard = "keyboard", Passthrough = "passthrough", Evdev = "evdev",
    }
}

spellings! {
    /// How it is attached.
    pub enum InputBus {
        Ps2 = "ps2", Usb = "usb", Xen = "xen", Parallels = "parallels", Virtio = "virtio", None = "none",
    }
}

element! {
    /// `<source>`: a device of the host.
    pub struct InputSource {
        attr dev: Option<String> = "dev",
        attr evdev: Option<String> = "evdev",
        attr grab: Option<Grab> = "grab",
        attr grab_toggle: Option<GrabToggle> = "grabToggle",
        attr repeat: Option<OnOff> = "repeat"
    }
}

spellings! {
    /// Which devices are grabbed together.
    pub enum Grab { All = "all" }
}

spellings! {
    /// Which keys release the grab.
    pub enum GrabToggle {
        CtrlCtrl = "ctrl-ctrl", AltAlt = "alt-alt", ShiftShift = "shift-shift", MetaMeta = "meta-meta",
        Scrolllock = "scrolllock", CtrlScrolllock = "ctrl-scrolllock",
    }
}

element! {
    /// `<hub type='usb'/>`.
    pub struct Hub {
        required kind: HubType = "type",
        part info: Device
    }
}

spellings! {
    /// The kinds of hubs.
    pub enum HubType { Usb = "usb" }
}
