// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Models and other settings of devices that a definition leaves open.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::chardev::{
    Chardev, ChardevModel, ChardevTarget, ChardevTargetType as Target, ChardevType,
};
use virtus_xml::domain::controller::{Controller, ControllerType};
use virtus_xml::domain::disk::{CacheMode, Disk, DiskDriver, VirtioModel};
use virtus_xml::domain::graphics::{Graphics, GraphicsType, Listen, ListenType};
use virtus_xml::domain::hostdev::{HostdevMode, HostdevType};
use virtus_xml::domain::input::{InputBus, InputType};
use virtus_xml::domain::interface::{InterfaceModel, InterfaceType};
use virtus_xml::domain::memory::AccessShare;
use virtus_xml::domain::memory_device::MemoryModel;
use virtus_xml::domain::misc::{Cid, ShmemModelType, ShmemMsi, ShmemSize};
use virtus_xml::domain::sound::SoundModel;
use virtus_xml::domain::storage::{
    BackingStore, Encryption, EncryptionEngine, Format, ImageFormat, StorageType,
};
use virtus_xml::domain::tpm::{TpmBackendType, TpmModel, TpmVersion};
use virtus_xml::domain::video::VideoType;
use virtus_xml::value::{OnOff, YesNo};

use super::Defaults;
use super::builtin::default_panic;
use crate::caps::{Capabilities, Flag};
use crate::machine::{
    arch, is_arm, is_arm_virt, is_i440fx, is_loongarch_virt, is_ppc64, is_pseries, is_q35,
    is_riscv_virt, is_s390, is_x86, machine,
};
use crate::plan::Dirs;

/// The default memory of the VGA part of a graphics card.
const VGA_KIB: u32 = 16 << 10;

/// Fills in all devices but controllers.
pub(super) fn settle(domain: &mut Domain, caps: &Capabilities, defaults: &Defaults) -> Result<()> {
    let net_model = default_net_model(domain, caps);
    let video_model = default_video(domain, caps);
    let panic_model = default_panic(domain);
    let (x86, s390, ppc64) = (is_x86(domain), is_s390(domain), is_ppc64(domain));
    let serial = default_serial(domain);
    let name = domain.name.clone();
    let hvm = domain.is_hvm();
    // What has no number does not run.
    let inactive = domain.id.is_none();
    let devices = &mut domain.body.devices;
    devices.disks.iter_mut().for_each(settle_disk);
    for net in &mut devices.interfaces {
        let slirp = caps.has(Flag::NetdevUser) || !caps.has(Flag::NetdevStream);
        if net.kind == InterfaceType::User && !slirp {
            let backend = net.backend.get_or_insert_default();
            backend.kind.get_or_insert_with(|| "passt".to_owned());
        }
        if net.model.is_some() || net.kind == InterfaceType::Hostdev {
            continue;
        }
        let kind = match net.kind {
            InterfaceType::Vdpa | InterfaceType::VhostUser => "virtio",
            _ => net_model,
        };
        net.model = Some(InterfaceModel { kind: kind.to_owned() });
    }
    for video in &mut devices.videos {
        let model = &mut video.model;
        if model.kind == VideoType::Default {
            model.kind = video_model;
        }
        if model.kind == VideoType::Qxl {
            model.vgamem = model.vgamem.filter(|kib| *kib > 0).or(Some(VGA_KIB));
        }
        model.settle();
    }
    for panic in &mut devices.panics {
        panic.model = panic.model.or(panic_model);
    }
    for serial_port in &mut devices.serials {
        settle_serial(serial_port, serial, x86);
    }
    for channel in &mut devices.channels {
        if inactive && is_made_up(channel, &defaults.dirs) {
            channel.backend.sources.clear();
        }
    }
    for graphics in devices.graphics.iter_mut().filter(|_| inactive) {
        forget_socket(graphics, &defaults.dirs);
    }
    for input in &mut devices.inputs {
        // Only a PC has PS/2; elsewhere the parser's guess is USB or virtio.
        if hvm && !x86 && input.bus == Some(InputBus::Ps2) {
            input.bus = Some(if s390 { InputBus::Virtio } else { InputBus::Usb });
        }
        if hvm && s390 && input.kind == InputType::Tablet && input.bus == Some(InputBus::Usb) {
            input.bus = Some(InputBus::Virtio);
        }
    }
    for sound in &mut devices.sounds {
        if sound.model == SoundModel::Virtio {
            sound.streams.get_or_insert(2);
        }
    }
    for hostdev in &mut devices.hostdevs {
        let mediated = hostdev.mode == HostdevMode::Subsystem && hostdev.kind == HostdevType::Mdev;
        if mediated && hostdev.model.as_deref() == Some("vfio-pci") {
            hostdev.display.get_or_insert(OnOff::Off);
        }
    }
    for tpm in &mut devices.tpms {
        let model = *tpm.model.get_or_insert(TpmModel::Default);
        if model == TpmModel::Default {
            tpm.model = Some(if ppc64 { TpmModel::Spapr } else { TpmModel::Tis });
        }
        let old = tpm.model == Some(TpmModel::Tis) && x86;
        if let Some(backend) = &mut tpm.backend
            && backend.kind == TpmBackendType::Emulator
        {
            backend.version.get_or_insert(if old { TpmVersion::V12 } else { TpmVersion::V20 });
        }
    }
    if let Some(vsock) = &mut devices.vsock {
        vsock.model.get_or_insert(VirtioModel::Virtio);
        let cid = vsock.cid.get_or_insert_with(Cid::default);
        let chosen = cid.address.is_some_and(|address| address != 0);
        cid.auto.get_or_insert(YesNo::from(!chosen));
    }
    for memory in &mut devices.memories {
        if memory.model == MemoryModel::VirtioPmem {
            memory.access.get_or_insert(AccessShare::Shared);
        }
    }
    for shmem in &mut devices.shmems {
        let kind = shmem.model.as_ref().map(|model| model.kind);
        let doorbell = kind == Some(ShmemModelType::IvshmemDoorbell);
        if !doorbell && shmem.size.is_none() {
            shmem.size = Some(ShmemSize { bytes: 4 << 20 });
        }
        if kind != Some(ShmemModelType::Ivshmem) && shmem.server.is_some() {
            let msi = shmem.msi.get_or_insert_with(ShmemMsi::default);
            msi.ioeventfd.get_or_insert(OnOff::On);
        }
    }
    if let Some(pstore) = &mut devices.pstore {
        pstore.path.get_or_insert_with(|| format!("{}/{name}_PSTORE.raw", defaults.dirs.nvram));
    }
    Ok(())
}

/// Whether the path of a channel's socket was made up for an earlier run, by this version or by an older one.
fn is_made_up(channel: &Chardev, dirs: &Dirs) -> bool {
    let target = channel.target.as_ref().filter(|target| target.kind == Some(Target::Virtio));
    let name = target.and_then(|target| target.name.as_deref());
    let path = channel.source().and_then(|source| source.path.as_deref());
    let (Some(name), Some(path), ChardevType::Unix) = (name, path, channel.kind) else {
        return false;
    };
    let older = format!("{}/channel/target", dirs.lib);
    let old = format!("{}/channel", dirs.lib);
    let rest = [older.as_str(), &old, &dirs.channel]
        .into_iter()
        .find_map(|dir| path.strip_prefix(dir)?.strip_prefix('/'));
    let Some(guest) = rest.and_then(|rest| rest.strip_suffix(name)) else { return false };
    // `domain-1-guest/`, `1-guest/`, or, long ago, `guest.`
    match guest.strip_suffix('/') {
        Some(folder) => {
            let digits = folder.trim_start_matches(|c: char| c.is_ascii_digit());
            let numbered = digits.len() < folder.len() && digits.starts_with('-');
            !folder.contains('/') && (numbered || folder.starts_with("domain-"))
        }
        None => guest.len() > 1 && guest.ends_with('.') && !guest.contains('/'),
    }
}

/// A VNC socket in the driver's folder was made for an earlier run: what was asked for is any port.
fn forget_socket(graphics: &mut Graphics, dirs: &Dirs) {
    let Some(listen) = graphics.listens.first_mut() else { return };
    let made_up =
        |path: &String| path.strip_prefix(&dirs.lib).is_some_and(|rest| rest.starts_with('/'));
    if graphics.kind == GraphicsType::Vnc && listen.socket.as_ref().is_some_and(made_up) {
        *listen = Listen { kind: ListenType::Address, ..Listen::default() };
        graphics.autoport = Some(YesNo::Yes);
    }
}

fn settle_disk(disk: &mut Disk) {
    let volume = disk.kind == StorageType::Volume;
    let driver = disk.driver.get_or_insert_with(DiskDriver::default);
    if driver.cache == Some(CacheMode::Default) {
        driver.cache = None;
    }
    driver.name.get_or_insert_with(|| "qemu".to_owned());
    if !volume && matches!(driver.format, None | Some(ImageFormat::None)) {
        driver.format = Some(ImageFormat::Raw);
    }
    if let Some(mirror) = &mut disk.mirror {
        mirror.format.get_or_insert_with(|| Format { kind: ImageFormat::Raw, ..Format::default() });
    }
    let engine = |encryption: &mut Option<Box<Encryption>>| {
        if let Some(encryption) = encryption {
            encryption.engine.get_or_insert(EncryptionEngine::Qemu);
        }
    };
    engine(&mut disk.encryption);
    if let Some(source) = &mut disk.source {
        engine(&mut source.encryption);
    }
    let mut below: Option<&mut BackingStore> = disk.backing_store.as_deref_mut();
    while let Some(store) = below {
        if let Some(source) = &mut store.source {
            engine(&mut source.encryption);
        }
        below = store.backing_store.as_deref_mut();
    }
}

fn default_net_model(domain: &Domain, caps: &Capabilities) -> &'static str {
    if is_s390(domain) || is_loongarch_virt(domain) || is_riscv_virt(domain) || is_arm_virt(domain)
    {
        return "virtio";
    }
    if is_arm(domain) {
        return if machine(domain) == "versatilepb" { "smc91c111" } else { "lan9118" };
    }
    if caps.has(Flag::Rtl8139) {
        "rtl8139"
    } else if caps.has(Flag::E1000) {
        "e1000"
    } else if caps.has(Flag::VirtioNet) {
        "virtio"
    } else {
        "rtl8139"
    }
}

fn default_video(domain: &Domain, caps: &Capabilities) -> VideoType {
    if is_ppc64(domain) {
        return VideoType::Vga;
    }
    if is_arm_virt(domain) || is_loongarch_virt(domain) || is_riscv_virt(domain) || is_s390(domain)
    {
        return VideoType::Virtio;
    }
    if caps.has(Flag::CirrusVga) {
        VideoType::Cirrus
    } else if caps.has(Flag::VGA) {
        VideoType::Vga
    } else {
        VideoType::Default
    }
}

/// The kind of a serial port and the device that implements it.
fn default_serial(domain: &Domain) -> Option<(Target, Option<&'static str>)> {
    if is_x86(domain) {
        return Some((Target::IsaSerial, Some("isa-serial")));
    }
    if is_pseries(domain) {
        return Some((Target::SpaprVioSerial, Some("spapr-vty")));
    }
    if is_arm_virt(domain) {
        return Some((Target::SystemSerial, Some("pl011")));
    }
    if is_loongarch_virt(domain) || is_riscv_virt(domain) {
        return Some((Target::SystemSerial, Some("16550a")));
    }
    is_s390(domain).then_some((Target::SclpSerial, Some("sclpconsole")))
}

fn settle_serial(serial: &mut Chardev, default: Option<(Target, Option<&'static str>)>, x86: bool) {
    let target = serial.target.get_or_insert_with(ChardevTarget::default);
    let open = match target.kind {
        None | Some(Target::Serial) => true,
        // Older definitions say so whatever the machine has.
        Some(Target::IsaSerial) => !x86,
        Some(_) => false,
    };
    if open {
        target.kind = default.map(|(kind, _)| kind);
    }
    if target.model.is_some() {
        return;
    }
    let model = match target.kind {
        Some(Target::IsaSerial) => Some("isa-serial"),
        Some(Target::UsbSerial) => Some("usb-serial"),
        Some(Target::PciSerial) => Some("pci-serial"),
        Some(Target::SpaprVioSerial) => Some("spapr-vty"),
        Some(Target::SclpSerial) => Some("sclpconsole"),
        Some(Target::IsaDebug) => Some("isa-debugcon"),
        Some(kind @ Target::SystemSerial) => {
            default.filter(|(own, _)| *own == kind).and_then(|(_, model)| model)
        }
        _ => None,
    };
    target.model = model.map(|name| ChardevModel { name: name.to_owned() });
}

/// The model of USB controllers; `auto` for the one that nobody asked for.
pub(super) fn default_usb_model(
    domain: &Domain,
    caps: &Capabilities,
    defaults: &Defaults,
    auto: bool,
) -> Option<&'static str> {
    let first = |models: &[(Flag, &'static str)]| {
        models.iter().find(|(flag, _)| caps.has(*flag)).map(|(_, model)| *model)
    };
    const XHCI: (Flag, &str) = (Flag::QemuXhci, "qemu-xhci");
    const UHCI: (Flag, &str) = (Flag::Piix3UsbUhci, "piix3-uhci");
    const OHCI: (Flag, &str) = (Flag::PciOhci, "pci-ohci");
    const NEC: (Flag, &str) = (Flag::NecUsbXhci, "nec-xhci");
    if is_s390(domain) {
        return if auto { None } else { Some("none") };
    }
    if is_x86(domain) {
        if auto && is_q35(domain) {
            return first(&[XHCI, NEC]);
        }
        let _ = is_i440fx(domain);
        return first(&[UHCI]);
    }
    if is_ppc64(domain) {
        return if defaults.abi_update {
            first(&[XHCI, NEC, OHCI])
        } else {
            first(&[OHCI, XHCI, NEC])
        };
    }
    if is_arm(domain) || is_loongarch_virt(domain) {
        return if auto { first(&[OHCI, XHCI]) } else { first(&[XHCI, NEC, OHCI]) };
    }
    if arch(domain) == "ppc" {
        return first(&[UHCI, OHCI]);
    }
    first(&[UHCI, OHCI])
}

/// Fills in the controllers.
pub(super) fn settle_controllers(
    domain: &mut Domain,
    caps: &Capabilities,
    defaults: &Defaults,
) -> Result<()> {
    let scsi = default_scsi(domain, caps);
    let usb = default_usb_model(domain, caps, defaults, false);
    for controller in &mut domain.body.devices.controllers {
        settle_controller(controller, scsi, usb)?;
    }
    Ok(())
}

fn settle_controller(
    controller: &mut Controller,
    scsi: Option<&str>,
    usb: Option<&str>,
) -> Result<()> {
    let index = controller.index.unwrap_or(0);
    match controller.kind {
        ControllerType::Scsi if matches!(controller.model.as_deref(), None | Some("auto")) => {
            let model = scsi.ok_or_else(|| {
                Error::new(
                    ErrorCode::ConfigUnsupported,
                    format!("SCSI controller {index} has no model and this QEMU has no usual one"),
                )
            })?;
            controller.model = Some(model.to_owned());
        }
        ControllerType::Usb => {
            if controller.model.is_none() {
                controller.model = usb.map(str::to_owned);
            }
            let model = controller.model.as_deref();
            if model == Some("none") {
                controller.info.address = None;
            }
            if matches!(model, Some("nec-xhci" | "qemu-xhci"))
                && controller.ports.is_some_and(|ports| ports > 15)
            {
                return Err(Error::new(
                    ErrorCode::ConfigUnsupported,
                    format!("USB controller {index} can have 15 ports at most"),
                ));
            }
        }
        _ => {}
    }
    Ok(())
}

fn default_scsi(domain: &Domain, caps: &Capabilities) -> Option<&'static str> {
    if is_pseries(domain) {
        return Some("ibmvscsi");
    }
    if is_s390(domain) || is_loongarch_virt(domain) {
        return Some("virtio-scsi");
    }
    if caps.has(Flag::Lsi) {
        Some("lsilogic")
    } else if caps.has(Flag::VirtioScsiPci) {
        Some("virtio-scsi")
    } else {
        None
    }
}
