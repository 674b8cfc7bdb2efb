// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The devices that a machine has by itself or that libvirt gives to every guest of its kind.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::controller::{Controller, ControllerType};
use virtus_xml::domain::features::{Gic, Ioapic, IoapicDriver};
use virtus_xml::domain::input::{Input, InputBus, InputType};
use virtus_xml::domain::misc::{
    BalloonModel, Iommu, IommuDriver, IommuModel, Memballoon, Panic, PanicModel, Watchdog,
    WatchdogAction, WatchdogModel,
};
use virtus_xml::domain::video::{Video, VideoModel, VideoType};
use virtus_xml::value::{OnOff, YesNo};

use super::Defaults;
use crate::caps::{Capabilities, Flag};
use crate::machine::{
    arch, has_ps2, is_arm_virt, is_i440fx, is_pseries, is_q35, is_riscv_virt, is_s390, is_x86,
    machine, max_vcpus,
};

/// More processors than this need interrupt remapping.
const MAX_VCPUS_WITHOUT_X2APIC: u32 = 255;

/// What a machine wants.
#[derive(Debug, Default)]
struct Wants {
    usb: bool,
    pci_root: bool,
    pcie_root: bool,
    sata: bool,
    balloon: bool,
    usb_keyboard: bool,
    usb_mouse: bool,
    panic: bool,
    itco: bool,
    iommu: bool,
}

fn wants(domain: &Domain, caps: &Capabilities) -> Wants {
    let none = Wants::default();
    match arch(domain) {
        "i686" | "x86_64" => {
            if matches!(machine(domain), "isapc" | "microvm") {
                return none;
            }
            let q35 = is_q35(domain);
            Wants {
                usb: true,
                balloon: true,
                pcie_root: q35,
                sata: q35,
                itco: q35,
                iommu: q35 && max_vcpus(domain) > MAX_VCPUS_WITHOUT_X2APIC,
                pci_root: is_i440fx(domain),
                ..none
            }
        }
        "armv6l" | "armv7l" | "armv7b" | "aarch64" => {
            let pci =
                machine(domain) == "versatilepb" || machine(domain).starts_with("realview-eb");
            Wants { usb: pci, pci_root: pci, pcie_root: is_arm_virt(domain), ..none }
        }
        "ppc64" | "ppc64le" => Wants {
            pci_root: true,
            usb: true,
            usb_keyboard: true,
            usb_mouse: true,
            balloon: true,
            panic: is_pseries(domain),
            ..none
        },
        "alpha" | "ppc" | "ppcemb" | "sh4" | "sh4eb" | "sparc64" => {
            Wants { usb: true, balloon: true, pci_root: true, ..none }
        }
        "riscv32" | "riscv64" => Wants { balloon: true, pcie_root: is_riscv_virt(domain), ..none },
        "s390" | "s390x" => {
            Wants { balloon: true, panic: true, pci_root: caps.has(Flag::Zpci), ..none }
        }
        "mips" | "mipsel" | "mips64" | "mips64el" => {
            Wants { usb: true, balloon: true, pci_root: machine(domain) == "malta", ..none }
        }
        "loongarch64" => Wants { pcie_root: true, ..none },
        _ => none,
    }
}

/// Adds what is missing.
pub(super) fn add(domain: &mut Domain, caps: &Capabilities, defaults: &Defaults) -> Result<()> {
    let wants = wants(domain, caps);
    if has_ps2(domain) {
        let off = domain.features.ps2.as_ref().is_some_and(|ps2| ps2.state == Some(OnOff::Off));
        if !off {
            add_input(domain, InputType::Mouse, InputBus::Ps2);
            add_input(domain, InputType::Keyboard, InputBus::Ps2);
        }
    }
    let usb_model = super::devices::default_usb_model(domain, caps, defaults, true);
    if wants.usb
        && !has_controller(domain, ControllerType::Usb, 0)
        && let Some(model) = usb_model.filter(|model| *model != "none")
    {
        add_controller(domain, ControllerType::Usb, 0, Some(model));
    }
    if wants.sata && !has_controller(domain, ControllerType::Sata, 0) {
        add_controller(domain, ControllerType::Sata, 0, None);
    }
    root(domain, wants.pci_root, "pci-root")?;
    root(domain, wants.pcie_root, "pcie-root")?;
    if wants.balloon && domain.devices.memballoon.is_none() {
        domain.body.devices.memballoon =
            Some(Box::new(Memballoon { model: BalloonModel::Virtio, ..Memballoon::default() }));
    }
    if !domain.devices.graphics.is_empty() {
        let tablet = domain
            .devices
            .inputs
            .iter()
            .any(|i| i.kind == InputType::Tablet && i.bus == Some(InputBus::Usb));
        if wants.usb_keyboard {
            add_input(domain, InputType::Keyboard, InputBus::Usb);
        }
        if wants.usb_mouse && !tablet {
            add_input(domain, InputType::Mouse, InputBus::Usb);
        }
    }
    if wants.panic {
        let model = default_panic(domain);
        let panics = &mut domain.body.devices.panics;
        if !panics.iter().any(|panic| panic.model.is_none() || panic.model == model) {
            panics.push(Panic::default());
        }
    }
    if wants.itco {
        let watchdogs = &mut domain.body.devices.watchdogs;
        if !watchdogs.iter().any(|watchdog| watchdog.model == WatchdogModel::Itco) {
            let action = watchdogs.first().map_or(WatchdogAction::Reset, |first| first.action);
            watchdogs.push(Watchdog { model: WatchdogModel::Itco, action, ..Watchdog::default() });
        }
    }
    if wants.iommu && domain.devices.iommu.is_none() && caps.has(Flag::IntelIommuEim) {
        let driver = IommuDriver {
            intremap: Some(OnOff::On),
            eim: Some(OnOff::On),
            ..IommuDriver::default()
        };
        domain.body.devices.iommu = Some(Box::new(Iommu {
            model: IommuModel::Intel,
            driver: Some(driver),
            ..Iommu::default()
        }));
    }
    features(domain, caps, defaults);
    video(domain);
    Ok(())
}

/// The usual panic device; some machines have none.
pub(super) fn default_panic(domain: &Domain) -> Option<PanicModel> {
    if is_pseries(domain) {
        Some(PanicModel::Pseries)
    } else if is_s390(domain) {
        Some(PanicModel::S390)
    } else if is_x86(domain) {
        Some(PanicModel::Isa)
    } else {
        is_arm_virt(domain).then_some(PanicModel::Pvpanic)
    }
}

fn add_input(domain: &mut Domain, kind: InputType, bus: InputBus) {
    let inputs = &mut domain.body.devices.inputs;
    if !inputs.iter().any(|input| input.kind == kind && input.bus == Some(bus)) {
        inputs.push(Input { kind, bus: Some(bus), ..Input::default() });
    }
}

pub(super) fn has_controller(domain: &Domain, kind: ControllerType, index: u32) -> bool {
    domain.devices.controllers.iter().any(|c| c.kind == kind && c.index == Some(index))
}

pub(super) fn add_controller(
    domain: &mut Domain,
    kind: ControllerType,
    index: u32,
    model: Option<&str>,
) {
    domain.body.devices.insert_controller(Controller {
        kind,
        index: Some(index),
        model: model.map(str::to_owned),
        ..Controller::default()
    });
}

fn root(domain: &mut Domain, wanted: bool, model: &str) -> Result<()> {
    if !wanted {
        return Ok(());
    }
    let found = domain
        .devices
        .controllers
        .iter()
        .find(|c| c.kind == ControllerType::Pci && c.index == Some(0))
        .map(|c| c.model.clone());
    match found {
        None => add_controller(domain, ControllerType::Pci, 0, Some(model)),
        Some(Some(word)) if word == model => {}
        Some(other) => {
            return Err(Error::new(
                ErrorCode::XmlError,
                format!(
                    "PCI controller 0 must be model='{model}' on machine '{}', not '{}'",
                    machine(domain),
                    other.unwrap_or_default()
                ),
            ));
        }
    }
    Ok(())
}

fn features(domain: &mut Domain, caps: &Capabilities, defaults: &Defaults) {
    // A new guest with so many processors would not see all its interrupts.
    let x2apic =
        defaults.abi_update && is_q35(domain) && max_vcpus(domain) > MAX_VCPUS_WITHOUT_X2APIC;
    if is_arm_virt(domain) {
        let gic = domain.body.features.gic.get_or_insert_with(Gic::default);
        if gic.version.is_none() {
            let kvm = domain.kind == virtus_xml::domain::DomainType::Kvm;
            let best = caps
                .gic
                .iter()
                .filter(|gic| if kvm { gic.kernel } else { gic.emulated && gic.version != 3 })
                .map(|gic| gic.version)
                .max();
            domain.body.features.gic = Some(Gic { version: Some(best.unwrap_or(2).to_string()) });
        }
    }
    if let Some(iommu) = domain.body.devices.iommu.as_mut().filter(|_| x2apic)
        && iommu.model == IommuModel::Intel
    {
        let driver = iommu.driver.get_or_insert_with(IommuDriver::default);
        if caps.has(Flag::IntelIommuIntremap) {
            driver.intremap.get_or_insert(OnOff::On);
        }
        if caps.has(Flag::IntelIommuEim) {
            driver.eim.get_or_insert(OnOff::On);
        }
    }
    let remaps = domain
        .devices
        .iommu
        .as_ref()
        .and_then(|iommu| iommu.driver.as_ref())
        .is_some_and(|driver| driver.intremap == Some(OnOff::On));
    if remaps && domain.features.ioapic.is_none() {
        domain.body.features.ioapic = Some(Ioapic { driver: Some(IoapicDriver::Qemu) });
    }
}

/// A screen that is shown needs a card.
fn video(domain: &mut Domain) {
    if domain.devices.videos.is_empty() && !domain.devices.graphics.is_empty() {
        domain.body.devices.videos.push(Video {
            model: VideoModel {
                kind: VideoType::Default,
                primary: Some(YesNo::Yes),
                ..VideoModel::default()
            },
            ..Video::default()
        });
    }
}
