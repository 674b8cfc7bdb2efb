// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<devices>`: all devices of a guest, by kind, in libvirt's order.

use std::collections::BTreeMap;

use virtus_api::Result;

use super::chardev::{ChardevTargetType, ChardevType};
use super::{
    chardev, controller, disk, filesystem, graphics, hostdev, input, interface, memory_device,
    misc, sound, tpm, video,
};

use crate::reader::{Element, Node};
use crate::schema::kinds;
use crate::settle::{disk_index, xml_error};
use crate::writer::Writer;

element! {
    /// `<devices>`.
    pub struct Devices {
        leaf emulator: Option<String> = "emulator",
        child disks: Vec<disk::Disk> = "disk",
        child controllers: Vec<controller::Controller> = "controller",
        child leases: Vec<misc::Lease> = "lease",
        child filesystems: Vec<filesystem::Filesystem> = "filesystem",
        child interfaces: Vec<interface::Interface> = "interface",
        child smartcards: Vec<chardev::Smartcard> = "smartcard",
        child serials: Vec<chardev::Chardev> = "serial",
        child parallels: Vec<chardev::Chardev> = "parallel",
        custom consoles: Vec<chardev::Chardev> = "console",
        child channels: Vec<chardev::Chardev> = "channel",
        child inputs: Vec<input::Input> = "input",
        child tpms: Vec<tpm::Tpm> = "tpm",
        child graphics: Vec<graphics::Graphics> = "graphics",
        child sounds: Vec<sound::Sound> = "sound",
        child audios: Vec<sound::Audio> = "audio",
        child videos: Vec<video::Video> = "video",
        child hostdevs: Vec<hostdev::Hostdev> = "hostdev",
        child redirdevs: Vec<chardev::Redirdev> = "redirdev",
        child redirfilter: Option<Box<chardev::Redirfilter>> = "redirfilter",
        child hubs: Vec<input::Hub> = "hub",
        child watchdogs: Vec<misc::Watchdog> = "watchdog",
        child memballoon: Option<Box<misc::Memballoon>> = "memballoon",
        child rngs: Vec<misc::Rng> = "rng",
        child nvram: Option<Box<misc::NvramDevice>> = "nvram",
        child panics: Vec<misc::Panic> = "panic",
        child shmems: Vec<misc::Shmem> = "shmem",
        child memories: Vec<memory_device::MemoryDevice> = "memory",
        child cryptos: Vec<misc::Crypto> = "crypto",
        child iommu: Option<Box<misc::Iommu>> = "iommu",
        child vsock: Option<Box<misc::Vsock>> = "vsock",
        child pstore: Option<Box<misc::Pstore>> = "pstore"
    }
    schema {
        leaf kinds::AbsolutePath = "emulator"
    }
    then Self::check_single
}

/// Devices of which there can be only one, as refusals name them.
const SINGLE: [(&str, &str); 6] = [
    ("redirfilter", "set of redirection filter rule"),
    ("memballoon", "memory balloon device"),
    ("nvram", "nvram device"),
    ("iommu", "IOMMU device"),
    ("vsock", "vsock device"),
    ("pstore", "pstore device"),
];

impl Devices {
    fn check_single(&mut self, node: Node<'_>) -> Result<()> {
        for (element, name) in SINGLE {
            if node.children().filter(|child| child.name() == element).count() > 1 {
                return Err(xml_error(format!("only a single {name} is supported")));
            }
        }
        Ok(())
    }

    /// Puts a disk where libvirt lists it: behind those of its bus with a smaller name.
    pub fn insert_disk(&mut self, disk: disk::Disk) {
        let index = disk_index(&disk.target.dev);
        let mut at = None;
        for (place, other) in self.disks.iter().enumerate().rev() {
            if other.target.bus == disk.target.bus {
                if disk_index(&other.target.dev) > index {
                    at = Some(place);
                } else if at.is_none() {
                    at = Some(place + 1);
                }
            }
        }
        self.disks.insert(at.unwrap_or(self.disks.len()), disk);
    }

    /// Puts a controller where libvirt lists it: behind those of its kind with a smaller index, the master of
    /// USB companions before them.
    pub fn insert_controller(&mut self, controller: controller::Controller) {
        let mut at = None;
        for (place, other) in self.controllers.iter().enumerate().rev() {
            if other.kind != controller.kind {
                continue;
            }
            if controller.index.is_none() {
                at = Some(place + 1);
                break;
            }
            let master_of = controller.info.master.is_none()
                && other.info.master.is_some()
                && other.index == controller.index;
            if other.index > controller.index || master_of {
                at = Some(place);
            } else if at.is_none() {
                at = Some(place + 1);
            }
        }
        self.controllers.insert(at.unwrap_or(self.controllers.len()), controller);
    }

    /// Brings disks and controllers into libvirt's order: the one that [`Self::insert_disk`] and
    /// [`Self::insert_controller`] would make if they were inserted one by one.
    pub(crate) fn sort(&mut self) {
        let buses = ranks(self.disks.iter().map(|disk| disk.target.bus));
        self.disks
            .sort_by_cached_key(|disk| (buses[&disk.target.bus], disk_index(&disk.target.dev)));
        let kinds = ranks(self.controllers.iter().map(|controller| controller.kind));
        self.controllers.sort_by_key(|one| {
            (kinds[&one.kind], one.index.is_none(), one.index, one.info.master.is_some())
        });
    }

    /// Writes the consoles. The first is the first serial port under another name: whatever has become of that
    /// port is shown for it.
    fn consoles(&self, tag: &str, out: &mut Writer) {
        for (number, console) in self.consoles.iter().enumerate() {
            let is_serial = number == 0
                && console
                    .target
                    .as_ref()
                    .is_some_and(|t| t.kind == Some(ChardevTargetType::Serial));
            let serial = self.serials.first().filter(|_| is_serial);
            let mut shown = serial.unwrap_or(console).clone();
            shown.target.clone_from(&console.target);
            if let Some(target) = shown.target.as_mut().filter(|_| serial.is_some()) {
                target.port = serial.and_then(chardev::Chardev::target_port);
            }
            shown.tty = None;
            if shown.kind == ChardevType::Pty && !out.inactive() && shown.target_port() == Some(0) {
                shown.tty = shown.source().and_then(|source| source.path.clone());
            }
            shown.write(tag, out);
        }
    }
}

/// Which of the keys came first, second, ….
fn ranks<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut ranks = BTreeMap::new();
    for key in keys {
        let next = ranks.len();
        ranks.entry(key).or_insert(next);
    }
    ranks
}
