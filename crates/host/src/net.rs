// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network devices of guests: taps, and what the kernel counts of them.
//!
//! A tap lives as long as a descriptor of it is open: QEMU holds the last one, so that nothing is left
//! behind when it ends.
#![expect(unsafe_code, reason = "network devices are changed by ioctl, which has no safe form")]

use std::ffi::c_ulong;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::kernel_file;

const TUNSETIFF: c_ulong = 0x4004_54ca;
const TUNGETIFF: c_ulong = 0x8004_54d2;
const TUNSETOFFLOAD: c_ulong = 0x4004_54d0;
const IFF_TAP: i16 = 0x0002;
const IFF_NO_PI: i16 = 0x1000;
const IFF_VNET_HDR: i16 = 0x4000;
const IFF_MULTI_QUEUE: i16 = 0x0100;

/// A new tap device.
#[derive(Debug)]
pub struct Tap {
    /// What the kernel named it.
    pub name: String,
    /// One descriptor for each queue.
    pub queues: Vec<OwnedFd>,
}

/// What a tap has to be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapOptions {
    /// Whether packets carry a header for offloads (all virtio devices).
    pub vnet_header: bool,
    /// How many queues; 1 is an ordinary tap.
    pub queues: usize,
}

impl Tap {
    /// Makes a tap called `name`; `%d` in it becomes the first free number (libvirt uses `vnet%d`).
    ///
    /// # Errors
    /// Where the name is taken or too long, or the daemon may not make one.
    pub fn create(name: &str, options: TapOptions) -> Result<Self> {
        let mut flags = IFF_TAP | IFF_NO_PI;
        if options.vnet_header {
            flags |= IFF_VNET_HDR;
        }
        if options.queues > 1 {
            flags |= IFF_MULTI_QUEUE;
        }
        let mut tap = Self { name: name.to_owned(), queues: Vec::new() };
        for _ in 0..options.queues.max(1) {
            let file =
                OpenOptions::new().read(true).write(true).open("/dev/net/tun").map_err(|e| {
                    Error::system("cannot open '/dev/net/tun'", &e)
                        .in_domain(ErrorDomain::Network)
                        .hint("load the kernel's module: modprobe tun")
                })?;
            let mut request = request(&tap.name)?;
            request.ifr_ifru.ifru_flags = flags;
            ioctl(&file, TUNSETIFF, &mut request)
                .map_err(|cause| failed(&format!("create tap device '{name}'"), &cause))?;
            // Further queues attach to the name that the kernel chose for the first one.
            tap.name = name_of(&request);
            tap.queues.push(file.into());
        }
        Ok(tap)
    }
}

/// The name of the tap behind a descriptor.
///
/// # Errors
/// Where it is no tap.
pub fn tap_name(file: &File) -> Result<String> {
    let mut answer = request("")?;
    ioctl(file, TUNGETIFF, &mut answer)
        .map_err(|cause| failed("ask a tap device its name", &cause))?;
    Ok(name_of(&answer))
}

/// Switches offloads of a tap off, for guests that do not understand them.
///
/// # Errors
/// Where the descriptor is no tap.
pub fn clear_offloads(file: &File) -> Result<()> {
    // SAFETY: this request takes a number, not a pointer.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETOFFLOAD as _, 0) };
    if status < 0 {
        return Err(failed("change the offloads of a tap device", &io::Error::last_os_error()));
    }
    Ok(())
}

/// Sets the hardware address of a device.
///
/// # Errors
/// Where there is no such device or the kernel refuses the address.
pub fn set_mac(name: &str, mac: [u8; 6]) -> Result<()> {
    const ARPHRD_ETHER: u16 = 1;
    let mut address = libc::sockaddr { sa_family: ARPHRD_ETHER, sa_data: [0; 14] };
    for (place, byte) in address.sa_data.iter_mut().zip(mac) {
        *place = byte as libc::c_char;
    }
    change(name, libc::SIOCSIFHWADDR as c_ulong, "set the MAC address of", |request| {
        request.ifr_ifru.ifru_hwaddr = address;
    })
}

/// Sets the largest packet of a device.
///
/// # Errors
/// Where there is no such device or it does not take packets of this size.
pub fn set_mtu(name: &str, mtu: u32) -> Result<()> {
    let mtu = i32::try_from(mtu).unwrap_or(i32::MAX);
    change(name, libc::SIOCSIFMTU as c_ulong, "set the MTU of", |request| {
        request.ifr_ifru.ifru_mtu = mtu;
    })
}

/// The largest packet of a device.
#[must_use]
pub fn mtu(name: &str) -> Option<u32> {
    fs::read_to_string(class(name)?.join("mtu")).ok()?.trim().parse().ok()
}

/// Switches a device on or off.
///
/// # Errors
/// Where there is no such device.
pub fn set_up(name: &str, up: bool) -> Result<()> {
    let mut now = request(name)?;
    let socket = any_socket()?;
    let attempt = || format!("switch network device '{name}' {}", if up { "on" } else { "off" });
    ioctl(&socket, libc::SIOCGIFFLAGS as c_ulong, &mut now).map_err(|e| failed(&attempt(), &e))?;
    // SAFETY: the kernel has just filled this member in.
    let flags = unsafe { now.ifr_ifru.ifru_flags };
    let bit = libc::IFF_UP as i16;
    now.ifr_ifru.ifru_flags = if up { flags | bit } else { flags & !bit };
    ioctl(&socket, libc::SIOCSIFFLAGS as c_ulong, &mut now).map_err(|e| failed(&attempt(), &e))
}

/// Puts a device into a bridge.
///
/// # Errors
/// Where there is no such bridge or device, or the device is in a bridge already.
pub fn add_to_bridge(bridge: &str, device: &str) -> Result<()> {
    const SIOCBRADDIF: c_ulong = 0x89a2;
    in_bridge(SIOCBRADDIF, bridge, device, &format!("add '{device}' to bridge '{bridge}'"))
}

/// Takes a device out of a bridge.
///
/// # Errors
/// Where it is not in that bridge.
pub fn remove_from_bridge(bridge: &str, device: &str) -> Result<()> {
    const SIOCBRDELIF: c_ulong = 0x89a3;
    in_bridge(SIOCBRDELIF, bridge, device, &format!("remove '{device}' from bridge '{bridge}'"))
}

/// Whether a bridge tells VLANs apart.
#[must_use]
pub fn filters_vlans(bridge: &str) -> bool {
    let file = class(bridge).map(|class| class.join("bridge/vlan_filtering"));
    file.and_then(|file| fs::read_to_string(file).ok()).is_some_and(|text| text.trim() == "1")
}

/// The VLAN that a bridge gives each new port, if any.
#[must_use]
pub fn default_vlan(bridge: &str) -> Option<u16> {
    let text = fs::read_to_string(class(bridge)?.join("bridge/default_pvid")).ok()?;
    text.trim().parse().ok().filter(|number| *number != 0)
}

/// Lets a port of a bridge reach only those ports that are not isolated too.
///
/// # Errors
/// Where it is no port of a bridge, or the kernel is older than 4.18.
pub fn isolate(device: &str) -> Result<()> {
    let file = class(device).ok_or_else(|| no_such(device))?.join("brport/isolated");
    kernel_file::write(&file, "1")
        .map_err(|cause| failed(&format!("isolate the port '{device}'"), &cause))
}

fn in_bridge(what: c_ulong, bridge: &str, device: &str, attempt: &str) -> Result<()> {
    let index = index(device).ok_or_else(|| no_such(device))?;
    if !class(bridge).is_some_and(|folder| folder.join("bridge").is_dir()) {
        let text = format!("cannot {attempt}: there is no bridge '{bridge}' on this host");
        return Err(Error::new(ErrorCode::NoNetwork, text)
            .in_domain(ErrorDomain::Network)
            .hint(format!("make it (ip link add {bridge} type bridge), or name another one")));
    }
    change(bridge, what, attempt, |request| request.ifr_ifru.ifru_ifindex = index)
}

/// The number of a device.
#[must_use]
pub fn index(name: &str) -> Option<i32> {
    fs::read_to_string(class(name)?.join("ifindex")).ok()?.trim().parse().ok()
}

/// What the kernel counts of a device, seen from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Bytes that came in.
    pub rx_bytes: u64,
    /// Packets that came in.
    pub rx_packets: u64,
    /// Errors on the way in.
    pub rx_errors: u64,
    /// Packets dropped on the way in.
    pub rx_dropped: u64,
    /// Bytes that went out.
    pub tx_bytes: u64,
    /// Packets that went out.
    pub tx_packets: u64,
    /// Errors on the way out.
    pub tx_errors: u64,
    /// Packets dropped on the way out.
    pub tx_dropped: u64,
}

impl Counters {
    /// Those of one device; `None` if there is no such device.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        let folder = class(name)?.join("statistics");
        let count = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok();
        Some(Self {
            rx_bytes: count("rx_bytes")?,
            rx_packets: count("rx_packets")?,
            rx_errors: count("rx_errors")?,
            rx_dropped: count("rx_dropped")?,
            tx_bytes: count("tx_bytes")?,
            tx_packets: count("tx_packets")?,
            tx_errors: count("tx_errors")?,
            tx_dropped: count("tx_dropped")?,
        })
    }

    /// As the guest behind a tap sees it: what goes out of the host comes in there.
    #[must_use]
    pub fn seen_by_guest(self) -> Self {
        Self {
            rx_bytes: self.tx_bytes,
            rx_packets: self.tx_packets,
            rx_errors: self.tx_errors,
            rx_dropped: self.tx_dropped,
            tx_bytes: self.rx_bytes,
            tx_packets: self.rx_packets,
            tx_errors: self.rx_errors,
            tx_dropped: self.rx_dropped,
        }
    }
}

/// The folder of a device that exists.
fn class(name: &str) -> Option<std::path::PathBuf> {
    let plain = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    Some(Path::new("/sys/class/net").join(name)).filter(|folder| plain && folder.is_dir())
}

fn change(
    name: &str,
    what: c_ulong,
    attempt: &str,
    fill: impl FnOnce(&mut libc::ifreq),
) -> Result<()> {
    let mut request = request(name)?;
    fill(&mut request);
    let attempt =
        if attempt.contains('\'') { attempt.to_owned() } else { format!("{attempt} '{name}'") };
    ioctl(&any_socket()?, what, &mut request).map_err(|cause| failed(&attempt, &cause))
}

fn any_socket() -> Result<OwnedFd> {
    socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|cause| failed("make a socket", &cause.into()))
}

/// A request about the device called `name`.
fn request(name: &str) -> Result<libc::ifreq> {
    // SAFETY: a structure of numbers, arrays and one pointer, for all of which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() || name.contains(['\0', '/']) {
        let text = format!(
            "network device name '{name}' is longer than {} characters or contains '/'",
            request.ifr_name.len() - 1
        );
        return Err(Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Network));
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    Ok(request)
}

fn name_of(request: &libc::ifreq) -> String {
    let bytes: Vec<u8> =
        request.ifr_name.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ioctl(file: &impl AsRawFd, what: c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every request number in this file takes a pointer to an `ifreq`, which lives here.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), what as _, &raw mut *request) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn no_such(device: &str) -> Error {
    let text = format!("there is no network device '{device}' on this host");
    Error::new(ErrorCode::NoInterface, text).in_domain(ErrorDomain::Network)
}

fn failed(attempt: &str, cause: &io::Error) -> Error {
    Error::system(format!("cannot {attempt}"), cause).in_domain(ErrorDomain::Network)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_loopback_device_is_counted() {
        let counters = Counters::read("lo").unwrap();
        assert_eq!(counters.seen_by_guest().seen_by_guest(), counters);
        assert_eq!(index("lo"), Some(1));
        assert!(mtu("lo").is_some());
        assert_eq!(Counters::read("../etc"), None);
        assert_eq!(Counters::read("no such device"), None);
    }

    #[test]
    fn a_tap_is_made_changed_and_gone_with_its_last_descriptor() {
        let options = TapOptions { vnet_header: true, queues: 2 };
        let tap = match Tap::create("virtustest%d", options) {
            Ok(tap) => tap,
            Err(error) => {
                eprintln!("skipped: {error}");
                return;
            }
        };
        assert!(tap.name.starts_with("virtustest") && tap.queues.len() == 2);
        set_mac(&tap.name, [0xfe, 0x54, 0, 1, 2, 3]).unwrap();
        set_mtu(&tap.name, 1400).unwrap();
        assert_eq!(mtu(&tap.name), Some(1400));
        set_up(&tap.name, true).unwrap();
        set_up(&tap.name, false).unwrap();
        let mac = fs::read_to_string(class(&tap.name).unwrap().join("address")).unwrap();
        assert_eq!(mac.trim(), "fe:54:00:01:02:03");
        let queue = File::from(tap.queues[0].try_clone().unwrap());
        assert_eq!(tap_name(&queue).unwrap(), tap.name);
        let error = add_to_bridge("nosuchbridge", &tap.name).unwrap_err();
        assert!(error.text().contains("there is no bridge 'nosuchbridge'"), "{error}");
        let name = tap.name.clone();
        drop((tap, queue));
        // What another test starts at this moment holds all descriptors until it is another program.
        let end = Instant::now() + Duration::from_secs(60);
        while index(&name).is_some() {
            assert!(Instant::now() < end, "{name} is still there");
            std::thread::yield_now();
        }
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let long =
            Tap::create("a-name-that-is-too-long", TapOptions { vnet_header: false, queues: 1 });
        assert!(long.unwrap_err().text().contains("is longer than 15 characters"));
    }
}
