// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ports of USB controllers and hubs.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::address::{Address, UsbPort};
use virtus_xml::domain::chardev::ChardevTargetType;
use virtus_xml::domain::controller::{Controller, ControllerType};
use virtus_xml::domain::device::Device;
use virtus_xml::domain::devices::Devices;
use virtus_xml::domain::disk::DiskBus;
use virtus_xml::domain::filesystem::FilesystemDriverType;
use virtus_xml::domain::hostdev::HostdevType;
use virtus_xml::domain::input::{Hub, HubType, InputBus};
use virtus_xml::domain::sound::SoundModel;

/// Ports of a hub.
const HUB_PORTS: usize = 8;
/// How deep hubs may hang below each other.
const MAX_DEPTH: usize = 4;

/// The ports of a controller or hub, and what hangs on them.
#[derive(Debug, Default)]
struct Ports(Vec<Port>);

#[derive(Debug, Default)]
struct Port {
    used: bool,
    hub: Option<Box<Ports>>,
}

impl Ports {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| Port::default()).collect())
    }

    fn port(&mut self, path: &[u32]) -> Option<&mut Port> {
        let (first, rest) = path.split_first()?;
        let port = self.0.get_mut((*first as usize).checked_sub(1)?)?;
        if rest.is_empty() { Some(port) } else { port.hub.as_mut()?.port(rest) }
    }

    /// The first free port; those nearer to the root come first.
    fn free(&self, depth: usize) -> Option<Vec<u32>> {
        let number = |at: usize| u32::try_from(at + 1).ok();
        if let Some(at) = self.0.iter().position(|port| !port.used) {
            return Some(vec![number(at)?]);
        }
        if depth >= MAX_DEPTH {
            return None;
        }
        self.0.iter().enumerate().find_map(|(at, port)| {
            let mut path = port.hub.as_ref()?.free(depth + 1)?;
            path.insert(0, number(at)?);
            Some(path)
        })
    }
}

/// How many ports a controller has; companions count with their master.
fn port_count(controller: &Controller) -> usize {
    match controller.model.as_deref() {
        None | Some("piix3-uhci" | "piix4-uhci" | "vt82c686b-uhci") => 2,
        Some("ehci" | "ich9-ehci1") => 6,
        Some("pci-ohci") => 3,
        Some("nec-xhci" | "qemu-xhci") => controller.ports.unwrap_or(4) as usize,
        Some(_) => 0,
    }
}

/// The USB devices, but not the hubs, in libvirt's order.
fn devices(devices: &mut Devices) -> Vec<&mut Device> {
    let mut out: Vec<&mut Device> = Vec::new();
    let usb_net = |kind: Option<&str>| kind == Some("usb-net");
    out.extend(
        devices
            .hostdevs
            .iter_mut()
            .filter(|hostdev| hostdev.kind == HostdevType::Usb)
            .map(|hostdev| &mut hostdev.info),
    );
    out.extend(
        devices
            .disks
            .iter_mut()
            .filter(|disk| disk.target.bus == Some(DiskBus::Usb))
            .map(|disk| &mut disk.info),
    );
    out.extend(
        devices
            .interfaces
            .iter_mut()
            .filter(|net| usb_net(net.model.as_ref().map(|model| model.kind.as_str())))
            .map(|net| &mut net.info),
    );
    out.extend(
        devices
            .controllers
            .iter_mut()
            .filter(|controller| controller.kind == ControllerType::Ccid)
            .map(|controller| &mut controller.info),
    );
    out.extend(
        devices
            .inputs
            .iter_mut()
            .filter(|input| input.bus == Some(InputBus::Usb))
            .map(|input| &mut input.info),
    );
    out.extend(
        devices
            .serials
            .iter_mut()
            .filter(|serial| {
                serial.target.as_ref().and_then(|target| target.kind)
                    == Some(ChardevTargetType::UsbSerial)
            })
            .map(|serial| &mut serial.info),
    );
    out.extend(
        devices
            .sounds
            .iter_mut()
            .filter(|sound| sound.model == SoundModel::Usb)
            .map(|sound| &mut sound.info),
    );
    out.extend(devices.redirdevs.iter_mut().map(|redirdev| &mut redirdev.info));
    out.extend(
        devices
            .filesystems
            .iter_mut()
            .filter(|fs| {
                fs.driver.as_ref().and_then(|driver| driver.kind) == Some(FilesystemDriverType::Mtp)
            })
            .map(|fs| &mut fs.info),
    );
    out
}

fn stated(info: &Device) -> Option<(u32, Vec<u32>)> {
    match &info.address {
        Some(Address::Usb { bus, port }) if !port.0.is_empty() && port.0[0] != 0 => {
            Some((*bus, port.0.clone()))
        }
        _ => None,
    }
}

/// Whether every USB device has a port already.
pub(super) fn all_have_ports(domain: &mut Domain) -> bool {
    domain.devices.hubs.iter().all(|hub| stated(&hub.info).is_some())
        && devices(&mut domain.body.devices).into_iter().all(|info| stated(info).is_some())
}

/// Gives every USB device a port; adds hubs where ports run out.
pub(super) fn assign(domain: &mut Domain) -> Result<()> {
    let count = devices(&mut domain.body.devices).len();
    let has_usb = domain
        .devices
        .controllers
        .iter()
        .any(|c| c.kind == ControllerType::Usb && c.model.as_deref() != Some("none"));
    if count > 0 && !has_usb {
        return Err(Error::new(
            ErrorCode::ConfigUnsupported,
            "USB is disabled for this domain, but USB devices are present in the domain XML",
        ));
    }
    add_hubs(domain, count);
    let mut buses: Vec<Option<Ports>> = Vec::new();
    for controller in domain.devices.controllers.iter().filter(|c| c.kind == ControllerType::Usb) {
        let ports = port_count(controller);
        let index = controller.index.unwrap_or(0) as usize;
        if ports == 0 || index > 4096 {
            continue;
        }
        if buses.len() <= index {
            buses.resize_with(index + 1, || None);
        }
        if buses[index].is_some() {
            return Err(xml(format!("Duplicate USB controllers with index {index}")));
        }
        buses[index] = Some(Ports::new(ports));
    }
    for hub in &domain.devices.hubs {
        if let Some((bus, path)) = stated(&hub.info) {
            plug(&mut buses, bus, &path, true)?;
        }
    }
    for info in devices(&mut domain.body.devices) {
        if let Some((bus, path)) = stated(info) {
            plug(&mut buses, bus, &path, false)?;
        }
    }
    for hub in &mut domain.body.devices.hubs {
        if stated(&hub.info).is_none() {
            let (bus, path) = choose(&mut buses, &mut hub.info)?;
            plug(&mut buses, bus, &path, true)?;
        }
    }
    for info in devices(&mut domain.body.devices) {
        if stated(info).is_some() || !matches!(info.address, None | Some(Address::Usb { .. })) {
            continue;
        }
        let (bus, path) = choose(&mut buses, info)?;
        plug(&mut buses, bus, &path, false)?;
    }
    Ok(())
}

fn add_hubs(domain: &mut Domain, count: usize) {
    let controllers: usize = domain
        .devices
        .controllers
        .iter()
        .filter(|controller| controller.kind == ControllerType::Usb)
        .map(port_count)
        .sum();
    let hubs = domain.devices.hubs.len();
    // A hub takes a port itself.
    let (count, ports) = (count + hubs, controllers + hubs * HUB_PORTS);
    if count <= ports {
        return;
    }
    let needed = (count - ports + 1).div_ceil(HUB_PORTS - 1);
    for _ in 0..needed {
        domain.body.devices.hubs.push(Hub { kind: HubType::Usb, ..Hub::default() });
    }
}

fn plug(buses: &mut [Option<Ports>], bus: u32, path: &[u32], hub: bool) -> Result<()> {
    let shown = || path.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    let ports = buses
        .get_mut(bus as usize)
        .and_then(Option::as_mut)
        .ok_or_else(|| xml(format!("Missing USB bus {bus}")))?;
    let port = ports.port(path).ok_or_else(|| {
        xml(format!("requested USB port {} not present on USB bus {bus}", shown()))
    })?;
    if port.used {
        return Err(xml(format!("Duplicate USB address bus {bus} port {}", shown())));
    }
    port.used = true;
    if hub {
        port.hub = Some(Box::new(Ports::new(HUB_PORTS)));
    }
    Ok(())
}

fn choose(buses: &mut [Option<Ports>], info: &mut Device) -> Result<(u32, Vec<u32>)> {
    let wanted = match &info.address {
        Some(Address::Usb { bus, .. }) => Some(*bus),
        _ => None,
    };
    for (at, ports) in buses.iter().enumerate() {
        let Ok(bus) = u32::try_from(at) else { continue };
        if wanted.is_some_and(|wanted| wanted != bus) {
            continue;
        }
        if let Some(path) = ports.as_ref().and_then(|ports| ports.free(1)) {
            info.address = Some(Address::Usb { bus, port: UsbPort(path.clone()) });
            return Ok((bus, path));
        }
    }
    Err(xml("No free USB ports".to_owned()))
}

fn xml(text: String) -> Error {
    Error::new(ErrorCode::XmlError, text)
}
