// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network devices: `lxc.network.…`, where each `type` begins a device, and `lxc.net.N.…`, where all of one number
//! belong together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::hostdev::{Hostdev, HostdevMode, HostdevSource, HostdevType};
use virtus_xml::domain::interface::{
    GuestEnd, Interface, InterfaceMac, InterfaceSource, InterfaceType, Ip, Link, LinkState,
};
use virtus_xml::ip::{Family, IpAddress};
use virtus_xml::netdev::Route;
use virtus_xml::value::{Mac, Value};

use super::{Config, refused};

/// One device, as far as it has been read.
#[derive(Default)]
struct Device {
    /// Its number, in the newer form.
    number: Option<String>,
    kind: String,
    link: Option<String>,
    mac: Option<Mac>,
    up: bool,
    mode: Option<String>,
    vlan: Option<String>,
    name: Option<String>,
    ips: Vec<Ip>,
    gateways: Vec<IpAddr>,
}

pub(super) fn convert(config: &Config, def: &mut Domain) -> Result<()> {
    let devices = devices(config)?;
    // Where nothing is said of networks there is only the loopback device.
    let shares_hosts = devices.iter().any(|device| device.kind == "none");
    let mut made = 0;
    for device in devices {
        match device.kind.as_str() {
            "" | "empty" | "none" => continue,
            "phys" | "vlan" => def.devices.hostdevs.push(given(device)?),
            _ => def.devices.interfaces.push(plugged(device)?),
        }
        made += 1;
    }
    def.features.privnet = made == 0 && !shares_hosts;
    Ok(())
}

fn devices(config: &Config) -> Result<Vec<Device>> {
    let mut devices: Vec<Device> = Vec::new();
    for (key, value) in &config.0 {
        if let Some(what) = key.strip_prefix("lxc.network.") {
            if what == "type" {
                devices.push(Device::default());
            }
            if let Some(device) = devices.last_mut() {
                device.set(what, value)?;
            }
        } else if let Some((number, what)) =
            key.strip_prefix("lxc.net.").and_then(|rest| rest.split_once('.'))
        {
            let known = devices.iter().position(|device| device.number.as_deref() == Some(number));
            let at = known.unwrap_or_else(|| {
                devices.push(Device { number: Some(number.to_owned()), ..Device::default() });
                devices.len() - 1
            });
            devices[at].set(what, value)?;
        }
    }
    Ok(devices)
}

impl Device {
    fn set(&mut self, what: &str, value: &str) -> Result<()> {
        let text = || Some(value.to_owned());
        match what {
            "type" => value.clone_into(&mut self.kind),
            "link" => self.link = text(),
            "hwaddr" => self.mac = Mac::parse(value),
            "flags" => self.up = value == "up",
            "macvlan.mode" => self.mode = text(),
            "vlan.id" => self.vlan = text(),
            "name" => self.name = text(),
            "ipv4" | "ipv6" | "ipv4.address" | "ipv6.address" => self.ips.push(address(value)?),
            "ipv4.gateway" | "ipv6.gateway" => {
                let gateway = value.parse().map_err(|_| no_address(value))?;
                self.gateways.push(gateway);
            }
            _ => tracing::warn!("'{what}' of a network device has no counterpart and is left out"),
        }
        Ok(())
    }

    /// The default routes.
    fn routes(&self) -> Vec<Route> {
        let route = |gateway: &IpAddr| {
            let (family, all) = match gateway {
                IpAddr::V4(_) => (Family::Ipv4, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                IpAddr::V6(_) => (Family::Ipv6, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            };
            Route {
                family: Some(family),
                address: IpAddress(all),
                gateway: IpAddress(*gateway),
                ..Route::default()
            }
        };
        self.gateways.iter().map(route).collect()
    }
}

/// `ADDRESS/PREFIX`.
fn address(value: &str) -> Result<Ip> {
    let parts = value.split_once('/').and_then(|(address, prefix)| {
        Some((address.parse::<IpAddr>().ok()?, prefix.parse::<u32>().ok()?))
    });
    let (address, prefix) = parts.ok_or_else(|| no_address(value))?;
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    Ok(Ip {
        address: address.to_string(),
        family: Some(family.to_owned()),
        prefix: Some(prefix),
        peer: None,
    })
}

fn no_address(value: &str) -> Error {
    Error::new(ErrorCode::InvalidArg, format!("Invalid CIDR address: '{value}'"))
        .hint("write it like 192.168.1.2/24; a gateway has no '/24'")
}

/// A device of the host that moves into the container. That of a VLAN the administrator makes.
fn given(device: Device) -> Result<Hostdev> {
    let link = device
        .link
        .clone()
        .ok_or_else(|| refused("Missing 'link' attribute for NIC".to_owned()))?;
    let interface = match &device.vlan {
        Some(number) if device.kind == "vlan" => format!("{link}.{number}"),
        _ => link,
    };
    let source = HostdevSource { interface: Some(interface), ..HostdevSource::default() };
    Ok(Hostdev {
        mode: HostdevMode::Capabilities,
        kind: HostdevType::Net,
        source: Some(source),
        routes: device.routes(),
        ips: device.ips,
        ..Hostdev::default()
    })
}

/// A device that is made for the container.
fn plugged(device: Device) -> Result<Interface> {
    let link = device.link.clone();
    let (kind, source) = match (device.kind.as_str(), link) {
        ("veth", Some(bridge)) => (
            InterfaceType::Bridge,
            Some(InterfaceSource { bridge: Some(bridge), ..InterfaceSource::default() }),
        ),
        ("veth", None) => (InterfaceType::Ethernet, None),
        ("macvlan", Some(dev)) => {
            let mode = device.mode.clone().unwrap_or_else(|| "private".to_owned());
            let source =
                InterfaceSource { dev: Some(dev), mode: Some(mode), ..InterfaceSource::default() };
            (InterfaceType::Direct, Some(source))
        }
        ("macvlan", None) => return Err(refused("Missing 'link' attribute for NIC".to_owned())),
        (other, _) => {
            return Err(refused(format!("network devices of type '{other}' are not known")));
        }
    };
    let state = if device.up { LinkState::Up } else { LinkState::Down };
    Ok(Interface {
        kind,
        mac: device.mac.map(|address| InterfaceMac { address, ..InterfaceMac::default() }),
        source,
        routes: device.routes(),
        ips: device.ips,
        guest: device.name.map(|dev| GuestEnd { dev: Some(dev), actual: None }),
        link: Some(Link { state }),
        ..Interface::default()
    })
}
