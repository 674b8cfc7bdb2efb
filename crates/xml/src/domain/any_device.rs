// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One device on its own: what is attached to, changed in or detached from a domain.
//!
//! Invariant: a fragment is settled as it would be inside a domain.

use virtus_api::Result;

use super::device::Device;
use super::devices::Devices;
use super::{
    Domain, chardev, controller, disk, filesystem, graphics, hostdev, input, interface,
    memory_device, misc, sound, tpm, video,
};
use crate::reader::{self, Element, Node, ParseFlags, Parsed};
use crate::schema::check_child;
use crate::settle::unsupported;
use crate::writer::{FormatFlags, Writer};

macro_rules! devices {
    (
        many { $($many:ident : $many_ty:ty = $many_tag:literal in $list:ident),* $(,)? }
        one { $($one:ident : $one_ty:ty = $one_tag:literal in $slot:ident),* $(,)? }
        with info { $($with:ident),* $(,)? }
    ) => {
        /// Any device of a domain.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyDevice {
            $($many(Box<$many_ty>),)*
            $($one(Box<$one_ty>),)*
        }

        impl AnyDevice {
            /// The names of all devices' elements.
            pub const NAMES: &'static [&'static str] = &[$($many_tag,)* $($one_tag,)*];

            /// The name of this device's element.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$many(_) => $many_tag,)*
                    $(Self::$one(_) => $one_tag,)*
                }
            }

            /// Alias, address and boot order, if this kind of device has them.
            #[must_use]
            pub fn info(&self) -> Option<&Device> {
                match self {
                    $(Self::$with(device) => Some(&device.info),)*
                    _ => None,
                }
            }

            /// The same, to be changed.
            pub fn info_mut(&mut self) -> Option<&mut Device> {
                match self {
                    $(Self::$with(device) => Some(&mut device.info),)*
                    _ => None,
                }
            }

            fn read(node: Node<'_>) -> Result<Self> {
                Ok(match node.name() {
                    $($many_tag => Self::$many(Box::new(Element::read(node)?)),)*
                    $($one_tag => Self::$one(Box::new(Element::read(node)?)),)*
                    name => return Err(unsupported(format!("unknown device type '{name}'"))),
                })
            }

            fn write(&self, out: &mut Writer) {
                match self {
                    $(Self::$many(device) => device.write($many_tag, out),)*
                    $(Self::$one(device) => device.write($one_tag, out),)*
                }
            }
        }

        impl Devices {
            /// Adds a device where libvirt lists it. Of what there can be only one of, the old one is returned.
            pub fn insert(&mut self, device: AnyDevice) -> Option<AnyDevice> {
                let sorted = matches!(device, AnyDevice::Disk(_) | AnyDevice::Controller(_));
                match device {
                    $(AnyDevice::$many(device) => self.$list.push(*device),)*
                    $(AnyDevice::$one(device) => {
                        return self.$slot.replace(device).map(AnyDevice::$one);
                    })*
                }
                if sorted {
                    self.sort();
                }
                None
            }

            /// Takes the only device out.
            fn take_single(&mut self) -> Option<AnyDevice> {
                $(if let Some(device) = self.$list.pop() { return Some(AnyDevice::$many(Box::new(device))); })*
                $(if let Some(device) = self.$slot.take() { return Some(AnyDevice::$one(device)); })*
                None
            }
        }
    };
}

devices! {
    many {
        Disk: disk::Disk = "disk" in disks,
        Controller: controller::Controller = "controller" in controllers,
        Lease: misc::Lease = "lease" in leases,
        Filesystem: filesystem::Filesystem = "filesystem" in filesystems,
        Interface: interface::Interface = "interface" in interfaces,
        Smartcard: chardev::Smartcard = "smartcard" in smartcards,
        // A serial port brings a console; so the console is taken out first.
        Console: chardev::Chardev = "console" in consoles,
        Serial: chardev::Chardev = "serial" in serials,
        Parallel: chardev::Chardev = "parallel" in parallels,
        Channel: chardev::Chardev = "channel" in channels,
        Input: input::Input = "input" in inputs,
        Tpm: tpm::Tpm = "tpm" in tpms,
        Graphics: graphics::Graphics = "graphics" in graphics,
        Sound: sound::Sound = "sound" in sounds,
        Audio: sound::Audio = "audio" in audios,
        Video: video::Video = "video" in videos,
        Hostdev: hostdev::Hostdev = "hostdev" in hostdevs,
        Redirdev: chardev::Redirdev = "redirdev" in redirdevs,
        Hub: input::Hub = "hub" in hubs,
        Watchdog: misc::Watchdog = "watchdog" in watchdogs,
        Rng: misc::Rng = "rng" in rngs,
        Panic: misc::Panic = "panic" in panics,
        Shmem: misc::Shmem = "shmem" in shmems,
        Memory: memory_device::MemoryDevice = "memory" in memories,
        Crypto: misc::Crypto = "crypto" in cryptos,
    }
    one {
        Redirfilter: chardev::Redirfilter = "redirfilter" in redirfilter,
        Memballoon: misc::Memballoon = "memballoon" in memballoon,
        Nvram: misc::NvramDevice = "nvram" in nvram,
        Iommu: misc::Iommu = "iommu" in iommu,
        Vsock: misc::Vsock = "vsock" in vsock,
        Pstore: misc::Pstore = "pstore" in pstore,
    }
    with info {
        Disk, Controller, Filesystem, Interface, Smartcard, Console, Serial, Parallel, Channel, Input, Tpm, Sound,
        Video, Hostdev, Redirdev, Hub, Watchdog, Rng, Panic, Shmem, Memory, Crypto, Memballoon, Nvram, Iommu,
        Vsock, Pstore,
    }
}

impl AnyDevice {
    /// Reads the XML of one device, for a guest that is (`hvm`) a whole machine or not.
    pub fn parse(text: &str, flags: ParseFlags, hvm: bool) -> Result<Parsed<Self>> {
        reader::parse(text, "(device_definition)", flags, |root| {
            if flags.contains(ParseFlags::VALIDATE) {
                check_child(root, Devices::SHAPE)?;
            }
            let device = Self::read(root)?;
            if flags.contains(ParseFlags::RAW) {
                return Ok(device);
            }
            let mut domain = Domain::default();
            if hvm {
                domain.os.kind.name = "hvm".to_owned();
            }
            let kind = device.name();
            domain.devices.insert(device);
            domain.settle_devices(flags)?;
            if !flags.contains(ParseFlags::SKIP_VALIDATE) {
                domain.validate_devices()?;
            }
            if kind == "serial" {
                domain.devices.consoles.clear();
            } else if kind == "console" {
                domain.devices.serials.clear();
            }
            domain
                .devices
                .take_single()
                .ok_or_else(|| root.error("the device cannot stand on its own"))
        })
    }

    /// Writes the device.
    #[must_use]
    pub fn format(&self, flags: FormatFlags) -> String {
        let mut out = Writer::new(flags);
        self.write(&mut out);
        out.finish()
    }
}

impl Devices {
    /// Alias, address and boot order of every device that has them, in the order in which they are written.
    pub fn infos(&self) -> impl Iterator<Item = &Device> {
        macro_rules! chain {
            ($first:ident $(, $list:ident)*) => {
                self.$first.iter().map(|device| &device.info)$(.chain(self.$list.iter().map(|device| &device.info)))*
            };
        }
        chain!(
            disks,
            controllers,
            filesystems,
            interfaces,
            smartcards,
            serials,
            parallels,
            consoles,
            channels,
            inputs,
            tpms,
            sounds,
            videos,
            hostdevs,
            redirdevs,
            hubs,
            watchdogs,
            memballoon,
            rngs,
            nvram,
            panics,
            shmems,
            memories,
            cryptos,
            iommu,
            vsock,
            pstore
        )
    }

    /// Takes the device of this alias out.
    pub fn take(&mut self, alias: &str) -> Option<AnyDevice> {
        macro_rules! take {
            (many { $($list:ident: $many:ident),* } one { $($slot:ident: $one:ident),* }) => {
                $(if let Some(at) = self.$list.iter().position(|device| device.info.alias.as_deref() == Some(alias)) {
                    return Some(AnyDevice::$many(Box::new(self.$list.remove(at))));
                })*
                $(if let Some(device) = self.$slot.take_if(|device| device.info.alias.as_deref() == Some(alias)) {
                    return Some(AnyDevice::$one(device));
                })*
            };
        }
        take!(
            many {
                disks: Disk, controllers: Controller, filesystems: Filesystem, interfaces: Interface,
                smartcards: Smartcard, serials: Serial, parallels: Parallel, consoles: Console, channels: Channel,
                inputs: Input, tpms: Tpm, sounds: Sound, videos: Video, hostdevs: Hostdev, redirdevs: Redirdev,
                hubs: Hub, watchdogs: Watchdog, rngs: Rng, panics: Panic, shmems: Shmem, memories: Memory,
                cryptos: Crypto
            }
            one { memballoon: Memballoon, nvram: Nvram, iommu: Iommu, vsock: Vsock, pstore: Pstore }
        );
        None
    }
}
