// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What libvirt's parser itself does to every domain, whatever hypervisor is to run it: defaults, and the
//! relations between elements. What a hypervisor adds (addresses on PCI, controllers, models) is not here.
//!
//! Invariant: settling twice is settling once; a settled document that is written and read again is the same.

mod chardev;
mod controllers;
mod disk;
mod forget;
mod graphics;
mod numa;
mod tuning;
mod video;

pub use disk::{assign_drive_address, disk_index};

use std::collections::{HashMap, HashSet};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::chance::Chance;
use crate::domain::clock::Clock;
use crate::domain::controller::ControllerType;
use crate::domain::device::Master;
use crate::domain::filesystem::Filesystem;
use crate::domain::interface::InterfaceType;
use crate::domain::memory::Memtune;
use crate::domain::misc::RngModel;
use crate::domain::os::{BootDev, BootDevice};
use crate::domain::seclabel::SeclabelType;
use crate::domain::tpm::Tpm;
use crate::domain::tuning::{BlkioDevice, Blkiotune, Vcpu};
use crate::domain::{Domain, GenId, LifecycleAction, Pm};
use crate::reader::ParseFlags;
use crate::units::Kib;

/// An error about a whole document that is well formed.
pub(crate) fn xml_error(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::Domain)
}

/// An error about a configuration that is understood, but cannot be.
pub(crate) fn unsupported(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, text).in_domain(ErrorDomain::Domain)
}

/// The refusal of a device without source or target; its text is the device's name alone.
pub(crate) fn missing(code: ErrorCode, device: &str) -> Error {
    Error::new(code, device.to_owned()).in_domain(ErrorDomain::Domain)
}

impl Domain {
    /// Fills in what every hypervisor would; refuses what none could run.
    pub fn settle(&mut self, flags: ParseFlags) -> Result<()> {
        self.check_names()?;
        self.forget_empty();
        self.settle_memory(flags)?;
        self.settle_vcpu()?;
        tuning::settle(self)?;
        numa::settle(self);
        self.settle_life();
        self.settle_devices(flags)?;
        self.settle_boot()?;
        Ok(())
    }

    /// The devices' part of [`Self::settle`].
    pub(crate) fn settle_devices(&mut self, flags: ParseFlags) -> Result<()> {
        if flags.contains(ParseFlags::INACTIVE) {
            self.strip_live();
            self.body.devices.disks.iter_mut().for_each(disk::strip_indexes);
        }
        forget::settle(&mut self.body.devices);
        for disk in &mut self.body.devices.disks {
            disk::settle(disk)?;
        }
        self.number_controllers();
        controllers::for_scsi_hostdevs(self);
        self.body.devices.sort();
        disk::assign_drive_addresses(self)?;
        disk::check_targets(self)?;
        chardev::settle(self)?;
        graphics::settle(self, flags)?;
        video::settle(self)?;
        self.settle_interfaces();
        self.settle_others();
        Ok(())
    }

    /// Makes up what must be there and what only chance can choose: UUID, generation ID, MAC addresses, virtual ports.
    /// `random` fills its slice; a MAC takes three calls with one byte each.
    pub fn name_missing(&mut self, mac_prefix: [u8; 3], random: &mut dyn FnMut(&mut [u8])) {
        let mut chance = Chance(random);
        if self.uuid.is_none() {
            self.body.uuid = Some(chance.uuid());
        }
        if self.genid == Some(GenId(None)) {
            self.body.genid = Some(GenId(Some(chance.uuid())));
        }
        for interface in &mut self.body.devices.interfaces {
            if interface.mac_address().is_none() {
                interface.mac = Some(crate::domain::interface::InterfaceMac {
                    address: chance.mac(mac_prefix),
                    ..Default::default()
                });
            }
            if let Some(port) = &mut interface.virtualport {
                port.name_missing(&mut chance);
            }
        }
    }

    /// Texts and lists of nothing say nothing.
    fn forget_empty(&mut self) {
        let body = &mut self.body;
        if let Some(tune) = &mut body.blkiotune {
            tune.devices.retain(BlkioDevice::says_something);
        }
        body.blkiotune.take_if(|tune| *tune == Blkiotune::default());
        body.memtune.take_if(|tune| *tune == Memtune::default());
        body.pm.take_if(|pm| *pm == Pm::default());
        body.perf.take_if(|perf| perf.events.is_empty());
        body.vcpus.take_if(|vcpus| vcpus.vcpus.is_empty());
        self.body.bootloader.take_if(|path| path.is_empty());
        self.body.bootloader_args.take_if(|words| words.is_empty());
    }

    fn check_names(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(Error::new(ErrorCode::NoName, "the document has no <name>")
                .in_domain(ErrorDomain::Domain));
        }
        if self.name.contains('/') {
            return Err(xml_error(format!("name {} cannot contain '/'", self.name)));
        }
        if self.name.contains('\n') {
            return Err(xml_error("name cannot contain a line break"));
        }
        if self.title.as_deref().is_some_and(|title| title.contains('\n')) {
            return Err(xml_error("Domain title can't contain newlines"));
        }
        Ok(())
    }

    /// The sum of the guest's NUMA nodes, if it has any.
    #[must_use]
    pub fn numa_memory_kib(&self) -> u64 {
        let cells = self.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).map(|numa| &numa.cells);
        cells.into_iter().flatten().fold(0, |sum, cell| sum.saturating_add(cell.memory_kib))
    }

    /// The memory of all hot-plugged devices.
    #[must_use]
    pub fn plugged_memory_kib(&self) -> u64 {
        let sizes = self.devices.memories.iter().filter_map(|memory| memory.target.as_ref());
        sizes.fold(0, |sum, target| sum.saturating_add(target.size.0))
    }

    fn settle_memory(&mut self, flags: ParseFlags) -> Result<()> {
        let plugged = self.plugged_memory_kib();
        let numa = self.numa_memory_kib();
        if numa > 0 && (self.memory.kib == 0 || flags.contains(ParseFlags::ABI_UPDATE)) {
            self.body.memory.kib = numa.saturating_add(plugged);
        } else if plugged > self.memory.kib && self.memory.kib > 0 {
            return Err(unsupported("Total size of memory devices exceeds the total memory size"));
        }
        let total = self.memory.kib;
        if total == plugged {
            return Err(xml_error(
                "Memory size must be specified via <memory> or in the <numa> configuration",
            ));
        }
        let current = self.current_memory.unwrap_or_default().0;
        if current == 0 || current > total {
            self.body.current_memory = Some(Kib(total));
        }
        if let Some(max) = &self.max_memory {
            if max.slots > 0 && max.kib == 0 {
                return Err(xml_error(
                    "maximum memory size must be specified when specifying number of memory slots",
                ));
            }
            if max.kib < total {
                return Err(xml_error(
                    "maximum memory size must be equal or greater than the actual memory size",
                ));
            }
        }
        Ok(())
    }

    fn settle_vcpu(&mut self) -> Result<()> {
        let vcpu = self.body.vcpu.get_or_insert(Vcpu { max: 1, ..Vcpu::default() });
        if vcpu.max == 0 {
            return Err(xml_error("domain must have at least 1 vCPU"));
        }
        if let Some(current) = vcpu.current {
            if current > vcpu.max {
                return Err(xml_error(format!(
                    "maxvcpus must not be less than current vcpus ({} < {current})",
                    vcpu.max
                )));
            }
            if current == vcpu.max {
                vcpu.current = None;
            }
        }
        tuning::list_vcpus(&mut self.body);
        if let Some(ids) = &self.iothreadids {
            let named = u32::try_from(ids.iothreads.len()).unwrap_or(u32::MAX);
            if named > self.iothreads.unwrap_or_default() {
                self.body.iothreads = Some(named);
            }
        }
        tuning::list_iothreads(&mut self.body)?;
        if self.iothreads == Some(0) {
            self.body.iothreads = None;
        }
        Ok(())
    }

    fn settle_life(&mut self) {
        let body = &mut self.body;
        body.clock.get_or_insert_with(Clock::default);
        body.on_poweroff.get_or_insert(LifecycleAction::Destroy);
        body.on_reboot.get_or_insert(LifecycleAction::Restart);
        body.on_crash.get_or_insert(LifecycleAction::Destroy);
        for empty in [&mut body.title, &mut body.description] {
            if empty.as_deref() == Some("") {
                *empty = None;
            }
        }
        if body.cpu == Some(crate::domain::cpu::Cpu::default()) {
            body.cpu = None;
        }
        crate::domain::cpu::settle(body.cpu.as_mut());
        body.features.settle();
        body.sysinfos.iter_mut().for_each(crate::domain::sysinfo::Sysinfo::settle);
    }

    /// Whether any device has a `<boot order>`.
    #[must_use]
    pub fn has_boot_order(&self) -> bool {
        let devices = &self.devices;
        devices.disks.iter().any(|d| d.info.boot.is_some())
            || devices.interfaces.iter().any(|d| d.info.boot.is_some())
            || devices.hostdevs.iter().any(|d| d.info.boot.is_some())
            || devices.redirdevs.iter().any(|d| d.info.boot.is_some())
            || devices.filesystems.iter().any(|d| d.info.boot.is_some())
    }

    /// Whether the guest is a whole machine, not a container or a paravirtual one.
    #[must_use]
    pub fn is_hvm(&self) -> bool {
        self.os.kind.name == "hvm"
    }

    fn settle_boot(&mut self) -> Result<()> {
        if self.has_boot_order() {
            if !self.os.boot.is_empty() {
                return Err(unsupported(
                    "per-device boot elements cannot be used together with os/boot elements",
                ));
            }
        } else if self.os.boot.is_empty() && self.is_hvm() && self.bootloader.is_none() {
            self.body.os.boot.push(BootDevice { dev: BootDev::Hd });
        }
        let menu = &mut self.body.os.bootmenu;
        if let Some(timeout) = menu.as_ref().and_then(|menu| menu.timeout)
            && timeout > 65535
        {
            return Err(unsupported(
                "invalid value for boot menu timeout, must be in range [0,65535]",
            ));
        }
        if menu.as_ref().is_some_and(|menu| menu.enable.is_none()) {
            *menu = None;
        }
        Ok(())
    }

    fn settle_interfaces(&mut self) {
        for interface in &mut self.body.devices.interfaces {
            if interface.mac_address() == Some(crate::value::Mac::default()) {
                interface.mac = None;
            }
            if let Some(model) = &mut interface.model {
                model.settle();
            }
        }
    }

    /// Drops what only a running guest has: the names, numbers and jobs that its start made.
    pub fn strip_live(&mut self) {
        self.id = None;
        let devices = &mut self.body.devices;
        for disk in &mut devices.disks {
            disk.mirror = None;
        }
        for interface in &mut devices.interfaces {
            interface.actual = None;
            if let Some(source) = &mut interface.source
                && interface.kind == InterfaceType::Network
            {
                source.portid = None;
            }
            if let Some(target) = &mut interface.target
                && target.dev.as_deref().is_some_and(is_generated_tap)
            {
                target.dev = None;
            }
            if interface.target.as_ref().is_some_and(|t| t.dev.is_none() && t.managed.is_none()) {
                interface.target = None;
            }
        }
        for channel in &mut devices.channels {
            if let Some(target) = &mut channel.target {
                target.state = None;
            }
        }
        for label in &mut self.body.seclabels {
            if label.kind == Some(SeclabelType::Dynamic) {
                (label.label, label.imagelabel) = (None, None);
            }
        }
        let devices = &mut self.body.devices;
        for list in [
            &mut devices.serials,
            &mut devices.parallels,
            &mut devices.consoles,
            &mut devices.channels,
        ] {
            for chardev in list.iter_mut() {
                chardev.tty = None;
                chardev.backend.strip_pty(chardev.kind);
            }
        }
    }

    fn settle_others(&mut self) {
        use crate::domain::input::{InputBus, InputType};
        let hvm = self.is_hvm();
        for input in &mut self.body.devices.inputs {
            if input.bus.is_none() && hvm {
                input.bus = match input.kind {
                    InputType::Mouse | InputType::Keyboard => Some(InputBus::Ps2),
                    InputType::Tablet => Some(InputBus::Usb),
                    InputType::Passthrough => Some(InputBus::Virtio),
                    InputType::Evdev => None,
                };
            }
        }
        for hostdev in &mut self.body.devices.hostdevs {
            if hostdev.mode == crate::domain::hostdev::HostdevMode::Subsystem {
                hostdev.managed.get_or_insert(crate::value::YesNo::No);
            }
            hostdev.settle();
        }
        self.body.devices.filesystems.iter_mut().for_each(Filesystem::settle);
        self.body.devices.tpms.iter_mut().for_each(Tpm::settle);
        for backend in self.body.devices.rngs.iter_mut().filter_map(|rng| rng.backend.as_mut()) {
            if backend.model == RngModel::Random
                && backend.path.as_deref().is_none_or(str::is_empty)
            {
                backend.path = Some("/dev/random".to_owned());
            }
        }
        for redirdev in &mut self.body.devices.redirdevs {
            redirdev.bus.get_or_insert_with(|| "usb".to_owned());
        }
    }

    /// Gives each controller without an index the lowest that is free among its kind. USB 2 controllers that
    /// follow each other are one set and share an index, until a model comes for the second time.
    fn number_controllers(&mut self) {
        let controllers = &mut self.body.devices.controllers;
        let stated = || controllers.iter().filter_map(|one| Some((one, one.index?)));
        let taken: HashSet<_> = stated().map(|(one, index)| (one.kind, index)).collect();
        let usb2 = stated().filter(|(one, _)| one.is_usb2());
        let mut sets: HashSet<_> = usb2.map(|(one, index)| (index, one.companion_port())).collect();
        let mut next = HashMap::new();
        let mut before = None;
        for controller in controllers.iter_mut() {
            let member = |index: u32| (index, controller.companion_port());
            let set = before.filter(|set| controller.is_usb2() && !sets.contains(&member(*set)));
            let index = controller.index.or(set).unwrap_or_else(|| {
                let from: &mut u32 = next.entry(controller.kind).or_default();
                while taken.contains(&(controller.kind, *from)) {
                    *from += 1;
                }
                *from += 1;
                *from - 1
            });
            if controller.kind == ControllerType::Usb {
                before = controller.is_usb2().then_some(index);
                sets.extend(before.map(member));
            }
            controller.index = Some(index);
        }
        for controller in controllers.iter_mut() {
            if let Some(startport) = controller.companion_port() {
                controller.info.master.get_or_insert(Master { startport });
            }
        }
    }
}

/// Whether libvirt chose this name for a tap or macvtap device.
#[must_use]
pub fn is_generated_tap(name: &str) -> bool {
    ["vnet", "macvtap", "macvlan"].iter().any(|prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    })
}
