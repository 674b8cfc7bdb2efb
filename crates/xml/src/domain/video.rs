// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<video>`: a graphics card of the guest.

use super::device::{Device, VirtioOptions};
use crate::value::{OnOff, YesNo};

element! {
    /// `<video>`.
    pub struct Video {
        child driver: Option<VideoDriver> = "driver",
        child model: VideoModel = "model",
        part info: Device
    }
}

element! {
    /// `<driver>` of a card.
    pub struct VideoDriver {
        part virtio: VirtioOptions,
        attr name: Option<VideoBackend> = "name",
        attr vgaconf: Option<VgaConf> = "vgaconf"
    }
}

spellings! {
    /// Who implements a card.
    pub enum VideoBackend { Qemu = "qemu", VhostUser = "vhostuser" }
}

spellings! {
    /// How bhyve decodes VGA ports.
    pub enum VgaConf { Io = "io", On = "on", Off = "off" }
}

element! {
    /// `<model>`.
    pub struct VideoModel {
        attr kind: VideoType = "type",
        attr ram: Option<u32> = "ram",
        attr vram: Option<u32> = "vram",
        attr vram64: Option<u32> = "vram64",
        attr vgamem: Option<u32> = "vgamem",
        attr heads: Option<u32> = "heads",
        attr primary: Option<YesNo> = "primary",
        attr blob: Option<OnOff> = "blob",
        child acceleration: Option<Acceleration> = "acceleration",
        child resolution: Option<Resolution> = "resolution"
    }
}

spellings! {
    /// Which card the guest sees.
    pub enum VideoType {
        Default = "default", Vga = "vga", Cirrus = "cirrus", Vmvga = "vmvga", Xen = "xen", Vbox = "vbox",
        Qxl = "qxl", Parallels = "parallels", Virtio = "virtio", Gop = "gop", None = "none",
        Bochs = "bochs", Ramfb = "ramfb",
    }
}

element! {
    /// `<acceleration>`.
    pub struct Acceleration {
        attr accel2d: Option<YesNo> = "accel2d",
        attr accel3d: Option<YesNo> = "accel3d",
        attr rendernode: Option<String> = "rendernode"
    }
}

element! {
    /// `<resolution>`.
    pub struct Resolution {
        required x: u32 = "x",
        required y: u32 = "y"
    }
}
