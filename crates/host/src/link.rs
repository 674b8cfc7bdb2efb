// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network devices by netlink: veth pairs, moves between network namespaces, addresses and routes.
//!
//! Everything here acts in the network namespace of the calling thread.

mod message;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use virtus_api::{Error, ErrorDomain, Result};

use self::message::Message;

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const CREATE: u16 = 0x400 | 0x200;

const LINK_ADDRESS: u16 = 1;
const LINK_NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const LINK_FAMILY_PART: u16 = 26;
const LINK_NAMESPACE: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
const BRIDGE_VLAN: u16 = 2;
const VLAN_NATIVE: u16 = 2;
const VLAN_UNTAGGED: u16 = 4;

/// Who of those on one device of the host may talk to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacvlanMode {
    /// All, by way of the next switch.
    Vepa,
    /// All, on this host.
    Bridge,
    /// None of them with another.
    Private,
    /// The only one that there is has the device itself.
    Passthrough,
}

impl MacvlanMode {
    /// A mode by its name in definitions.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "vepa" => Self::Vepa,
            "bridge" => Self::Bridge,
            "private" => Self::Private,
            "passthrough" => Self::Passthrough,
            _ => return None,
        })
    }

    fn number(self) -> u32 {
        match self {
            Self::Private => 1,
            Self::Vepa => 2,
            Self::Bridge => 4,
            Self::Passthrough => 8,
        }
    }
}

/// The kernel's answers to requests about network devices.
pub struct Links(OwnedFd);

/// A VLAN that a port of a bridge carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortVlan {
    /// Its number.
    pub number: u16,
    /// Packets that come in without a tag are its.
    pub native: bool,
    /// Its packets go out without a tag.
    pub untagged: bool,
}

impl PortVlan {
    /// Asks for it, or that it goes.
    fn request(self, kind: u16, port: u32) -> Message {
        let native = if self.native { VLAN_NATIVE } else { 0 };
        let untagged = if self.untagged { VLAN_UNTAGGED } else { 0 };
        let mut request = Message::new(kind, 0);
        request.bridge(port).nest(LINK_FAMILY_PART, |part| {
            let value = [(native | untagged).to_ne_bytes(), self.number.to_ne_bytes()];
            part.bytes(BRIDGE_VLAN, &value.concat());
        });
        request
    }
}

impl Links {
    /// Opens the way to the kernel: a socket of protocol 0, which is routing.
    ///
    /// # Errors
    /// Where the kernel does not offer it.
    pub fn open() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
            .map(Self)
            .map_err(|cause| failed("open a netlink socket", &cause.into()))
    }

    /// Makes a pair of devices that are each other's far end.
    ///
    /// # Errors
    /// Where a name is taken or does not fit.
    pub fn create_veth(&self, one: &str, other: &str) -> Result<()> {
        let mut request = Message::new(NEW_LINK, CREATE);
        request.link(0, 0, 0).text(LINK_NAME, one).nest(LINK_INFO, |info| {
            info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                data.nest(VETH_PEER, |peer| {
                    peer.link(0, 0, 0).text(LINK_NAME, other);
                });
            });
        });
        self.ask(request)
            .map_err(|cause| failed(&format!("make the veth pair '{one}', '{other}'"), &cause))
    }

    /// Makes a device that shares the network of the host's device `parent`, with an address of its own.
    ///
    /// # Errors
    /// Where there is no such device, or the name is taken or does not fit.
    pub fn create_macvlan(&self, name: &str, parent: &str, mode: MacvlanMode) -> Result<()> {
        const PARENT: u16 = 5;
        const MODE: u16 = 1;
        let attempt = || format!("make a macvlan device on '{parent}'");
        let index = index(parent).map_err(|cause| failed(&attempt(), &cause))?;
        let mut request = Message::new(NEW_LINK, CREATE);
        request.link(0, 0, 0).text(LINK_NAME, name).number(PARENT, index).nest(LINK_INFO, |info| {
            info.text(INFO_KIND, "macvlan").nest(INFO_DATA, |data| {
                data.number(MODE, mode.number());
            });
        });
        self.ask(request).map_err(|cause| failed(&attempt(), &cause))
    }

    /// Removes a device, and with one end of a veth pair the other.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn delete(&self, name: &str) -> Result<()> {
        let mut request = Message::new(DELETE_LINK, 0);
        request.link(0, 0, 0).text(LINK_NAME, name);
        self.ask(request)
            .map_err(|cause| failed(&format!("remove network device '{name}'"), &cause))
    }

    /// Moves a device into another network namespace, where it is called `new_name`. It is switched off by that
    /// and loses its addresses.
    ///
    /// # Errors
    /// Where there is no such device, it may not be moved, or the name is taken there.
    pub fn move_to(&self, name: &str, namespace: BorrowedFd<'_>, new_name: &str) -> Result<()> {
        let attempt = || format!("move network device '{name}' to its container");
        let index = index(name).map_err(|cause| failed(&attempt(), &cause))?;
        let mut request = Message::new(NEW_LINK, 0);
        let namespace = namespace.as_raw_fd().cast_unsigned();
        request.link(index, 0, 0).number(LINK_NAMESPACE, namespace).text(LINK_NAME, new_name);
        self.ask(request).map_err(|cause| failed(&attempt(), &cause))
    }

    /// Changes the hardware address of a device, and switches it on if wished for.
    ///
    /// # Errors
    /// Where there is no such device, or it does not take the address.
    pub fn set(&self, name: &str, mac: Option<[u8; 6]>, up: bool) -> Result<()> {
        let attempt = || format!("set up network device '{name}'");
        let index = index(name).map_err(|cause| failed(&attempt(), &cause))?;
        let up = u32::from(up);
        let mut request = Message::new(NEW_LINK, 0);
        request.link(index, up, up);
        if let Some(mac) = mac {
            request.bytes(LINK_ADDRESS, &mac);
        }
        self.ask(request).map_err(|cause| failed(&attempt(), &cause))
    }

    /// Lets a new port of a bridge carry these VLANs, and no more the one that its bridge has `given` it.
    ///
    /// # Errors
    /// Where it is no port of a bridge, or the kernel has no VLANs of bridges.
    pub fn set_vlans(&self, port: &str, given: Option<u16>, vlans: &[PortVlan]) -> Result<()> {
        let attempt = || format!("set the VLANs of the port '{port}'");
        let index = index(port).map_err(|cause| failed(&attempt(), &cause))?;
        let ask = |kind, vlan: &PortVlan| {
            self.ask(vlan.request(kind, index)).map_err(|cause| failed(&attempt(), &cause))
        };
        if let Some(number) = given {
            ask(DELETE_LINK, &PortVlan { number, native: false, untagged: false })?;
        }
        vlans.iter().try_for_each(|vlan| ask(SET_LINK, vlan))
    }

    /// Gives a device an address; `peer` is the other end of a point-to-point link.
    ///
    /// # Errors
    /// Where there is no such device, or it has the address already.
    pub fn add_address(
        &self,
        name: &str,
        address: IpAddr,
        prefix: u8,
        peer: Option<IpAddr>,
    ) -> Result<()> {
        const PEER: u16 = 1;
        const LOCAL: u16 = 2;
        const BROADCAST: u16 = 4;
        let attempt = || format!("give network device '{name}' the address {address}/{prefix}");
        let index = index(name).map_err(|cause| failed(&attempt(), &cause))?;
        let mut request = Message::new(NEW_ADDRESS, CREATE);
        request.head(&[family(address), prefix, 0, 0]).head(&index.to_ne_bytes());
        request.address(LOCAL, address).address(PEER, peer.unwrap_or(address));
        if let (IpAddr::V4(v4), None, 0..=30) = (address, peer, prefix) {
            let last = u32::from(v4) | u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            request.bytes(BROADCAST, &last.to_be_bytes());
        }
        self.ask(request).map_err(|cause| failed(&attempt(), &cause))
    }

    /// Leads to `network`/`prefix` through `gateway` and this device.
    ///
    /// # Errors
    /// Where there is no such device, or it does not reach the gateway.
    pub fn add_route(
        &self,
        name: &str,
        (network, prefix): (IpAddr, u8),
        gateway: IpAddr,
        metric: Option<u32>,
    ) -> Result<()> {
        const DESTINATION: u16 = 1;
        const OUTPUT: u16 = 4;
        const GATEWAY: u16 = 5;
        const PRIORITY: u16 = 6;
        const MAIN_TABLE: u8 = 254;
        const BY_ADMINISTRATOR: u8 = 4;
        const UNICAST: u8 = 1;
        let attempt = || format!("add the route to {network}/{prefix} through {gateway}");
        let index = index(name).map_err(|cause| failed(&attempt(), &cause))?;
        let mut request = Message::new(NEW_ROUTE, CREATE);
        let family = family(network);
        request.head(&[family, prefix, 0, 0, MAIN_TABLE, BY_ADMINISTRATOR, 0, UNICAST, 0, 0, 0, 0]);
        if prefix > 0 {
            request.address(DESTINATION, network);
        }
        request.address(GATEWAY, gateway).number(OUTPUT, index);
        if let Some(metric) = metric {
            request.number(PRIORITY, metric);
        }
        self.ask(request).map_err(|cause| failed(&attempt(), &cause))
    }

    /// Sends a request and reads the kernel's verdict, which comes at once.
    fn ask(&self, request: Message) -> io::Result<()> {
        rustix::net::send(&self.0, &request.finish(), SendFlags::empty())?;
        let mut answer = [0_u8; 4096];
        let (_, length) = rustix::net::recv(&self.0, &mut answer[..], RecvFlags::TRUNC)?;
        message::verdict(&answer[..length.min(4096)])
    }
}

/// The number of a device in the caller's network namespace, whatever is mounted on `/sys`.
fn index(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok(rustix::net::netdevice::name_to_index(socket, name)?)
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => 10,
    }
}

fn failed(attempt: &str, cause: &io::Error) -> Error {
    Error::system(format!("cannot {attempt}"), cause).in_domain(ErrorDomain::Network)
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    /// As `bridge vlan add dev DEVICE vid 42 pvid untagged` asks.
    #[test]
    fn vlans_of_ports_are_asked_for_as_iproute2_does() {
        let vlan = PortVlan { number: 42, native: true, untagged: true };
        let words =
            [44_u32, 19 | 5 << 16, 0, 0, 7, 3, 0, 0, 12 | 26 << 16, 8 | 2 << 16, 6 | 42 << 16];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(vlan.request(SET_LINK, 3).finish(), bytes);
    }
}
