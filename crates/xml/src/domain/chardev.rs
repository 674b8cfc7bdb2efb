// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Character devices: `<serial>`, `<parallel>`, `<console>`, `<channel>`, and the back ends that others share.

use super::device::Device;
use super::seclabel::DeviceSeclabel;
use super::storage::Reconnect;
use crate::value::{Hex, OnOff, YesNo};

spellings! {
    /// What is at the host's end.
    pub enum ChardevType {
        Pty = "pty", Null = "null", Vc = "vc", Dev = "dev", File = "file", Pipe = "pipe", Stdio = "stdio",
        Udp = "udp", Tcp = "tcp", Unix = "unix", Spicevmc = "spicevmc", Spiceport = "spiceport",
        Nmdm = "nmdm", Vdagent = "qemu-vdagent", Dbus = "dbus",
    }
}

element! {
    /// `<serial>`, `<parallel>`, `<console>` or `<channel>`.
    pub struct Chardev {
        attr kind: ChardevType = "type",
        attr tty: Option<String> = "tty",
        part backend: ChardevBackend,
        child target: Option<ChardevTarget> = "target",
        part info: Device
    }
}

part! {
    /// The host's end; `redirdev`, `smartcard` and `rng` have one too.
    pub struct ChardevBackend {
        child sources: Vec<ChardevSource> = "source",
        child protocol: Option<ChardevProtocol> = "protocol",
        child log: Option<ChardevLog> = "log"
    }
}

element! {
    /// `<source>`: where the bytes come from. UDP has two, one for each direction.
    pub struct ChardevSource {
        attr mode: Option<SocketMode> = "mode",
        attr path: Option<String> = "path",
        attr host: Option<String> = "host",
        attr service: Option<String> = "service",
        attr channel: Option<String> = "channel",
        attr master: Option<String> = "master",
        attr slave: Option<String> = "slave",
        attr tls: Option<YesNo> = "tls",
        status_attr tls_from_config: Option<u32> = "tlsFromConfig",
        attr append: Option<OnOff> = "append",
        child reconnect: Option<Reconnect> = "reconnect",
        child seclabels: Vec<DeviceSeclabel> = "seclabel",
        child clipboard: Option<ClipboardCopy> = "clipboard",
        child mouse: Option<MouseMode> = "mouse"
    }
    schema {
        attr String = "mode"
    }
}

spellings! {
    /// Who waits for whom.
    pub enum SocketMode { Bind = "bind", Connect = "connect" }
}

element! {
    /// `<clipboard copypaste='yes'/>`.
    pub struct ClipboardCopy { attr copypaste: Option<YesNo> = "copypaste" }
}

element! {
    /// `<mouse mode='client'/>`.
    pub struct MouseMode { attr mode: Option<MouseOwner> = "mode" }
}

spellings! {
    /// Which side draws the pointer.
    pub enum MouseOwner { Server = "server", Client = "client" }
}

element! {
    /// `<protocol type='telnet'/>`.
    pub struct ChardevProtocol { attr kind: Option<WireProtocol> = "type" }
}

spellings! {
    /// What is spoken on the socket.
    pub enum WireProtocol { Raw = "raw", Telnet = "telnet", Telnets = "telnets", Tls = "tls" }
}

element! {
    /// `<log file='…'/>`: a copy of what the guest writes.
    pub struct ChardevLog {
        required file: String = "file",
        attr append: Option<OnOff> = "append"
    }
}

element! {
    /// `<target>`: the guest's end.
    pub struct ChardevTarget {
        attr kind: Option<ChardevTargetType> = "type",
        attr name: Option<String> = "name",
        attr state: Option<ChannelState> = "state",
        attr address: Option<String> = "address",
        attr port: Option<u32> = "port",
        child model: Option<ChardevModel> = "model"
    }
    schema {
        attr String = "port"
    }
}

spellings! {
    /// What the guest sees.
    pub enum ChardevTargetType {
        Serial = "serial", Xen = "xen", Uml = "uml", Virtio = "virtio", Lxc = "lxc", Openvz = "openvz",
        Sclp = "sclp", Sclplm = "sclplm", IsaSerial = "isa-serial", UsbSerial = "usb-serial",
        PciSerial = "pci-serial", SpaprVioSerial = "spapr-vio-serial", SystemSerial = "system-serial",
        SclpSerial = "sclp-serial", IsaDebug = "isa-debug", Guestfwd = "guestfwd",
    }
}

spellings! {
    /// Whether a guest's agent holds its end of a channel open.
    pub enum ChannelState { Connected = "connected", Disconnected = "disconnected" }
}

element! {
    /// `<model name='…'/>`: the device that implements a serial port.
    pub struct ChardevModel { required name: String = "name" }
}

element! {
    /// `<smartcard>`.
    pub struct Smartcard {
        required mode: SmartcardMode = "mode",
        attr kind: Option<ChardevType> = "type",
        part backend: ChardevBackend,
        leaf certificates: Vec<String> = "certificate",
        leaf database: Option<String> = "database",
        part info: Device
    }
}

spellings! {
    /// Where a smartcard is.
    pub enum SmartcardMode {
        Host = "host", HostCertificates = "host-certificates", Passthrough = "passthrough",
    }
}

element! {
    /// `<redirdev>`: a USB device of the client's machine.
    pub struct Redirdev {
        attr bus: Option<String> = "bus",
        required kind: ChardevType = "type",
        part backend: ChardevBackend,
        part info: Device
    }
}

element! {
    /// `<redirfilter>`: which USB devices may be redirected.
    pub struct Redirfilter { child usbdevs: Vec<UsbRule> = "usbdev" }
}

element! {
    /// One rule.
    pub struct UsbRule {
        attr class: Option<UsbWild<2>> = "class",
        attr vendor: Option<UsbWild<4>> = "vendor",
        attr product: Option<UsbWild<4>> = "product",
        attr version: Option<UsbVersion> = "version",
        required allow: YesNo = "allow"
    }
}

/// A hexadecimal identifier, or `-1` for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsbWild<const WIDTH: usize>(pub Option<u64>);

impl<const WIDTH: usize> crate::value::Value for UsbWild<WIDTH> {
    const ALLOWED: crate::value::Allowed =
        crate::value::Allowed::A("a number such as 0x08, or -1 for any");
    const DATA: crate::schema::Data = crate::schema::Data::Pattern("-1|(0x)?[0-9a-fA-F]+");
    fn parse(text: &str) -> Option<Self> {
        if text == "-1" {
            Some(Self(None))
        } else {
            Hex::<WIDTH>::parse(text).map(|id| Self(Some(id.0)))
        }
    }
    fn write(&self, out: &mut crate::writer::Escaped<'_>) {
        match self.0 {
            Some(id) => out.put(format_args!("0x{id:0WIDTH$X}")),
            None => out.put("-1"),
        }
    }
}

/// The version that a USB device states, in binary coded decimals: 0x0940 is `9.40`; none for `-1`, any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsbVersion(pub Option<u64>);

impl crate::value::Value for UsbVersion {
    const ALLOWED: crate::value::Allowed =
        crate::value::Allowed::A("a version such as 1.10, or -1 for any");
    fn parse(text: &str) -> Option<Self> {
        if text == "-1" {
            return Some(Self(None));
        }
        let (major, minor) = text.split_once('.').unwrap_or((text, "00"));
        let digits = |text: &str| match text.len() {
            1 | 2 => u64::from_str_radix(text, 16).ok(),
            _ => None,
        };
        // `1.1` is `1.10`.
        let minor = digits(minor)? << if minor.len() == 1 { 4 } else { 0 };
        Some(Self(Some((digits(major)? << 8) | minor)))
    }
    fn write(&self, out: &mut crate::writer::Escaped<'_>) {
        match self.0 {
            Some(version) => out.put(format_args!("{:x}.{:02x}", version >> 8, version & 0xff)),
            None => out.put("-1"),
        }
    }
}

impl Chardev {
    /// The first source.
    #[must_use]
    pub fn source(&self) -> Option<&ChardevSource> {
        self.backend.sources.first()
    }

    /// The first source, made if there is none.
    pub fn source_mut(&mut self) -> &mut ChardevSource {
        if self.backend.sources.is_empty() {
            self.backend.sources.push(ChardevSource::default());
        }
        &mut self.backend.sources[0]
    }

    /// The port number of the guest's end.
    #[must_use]
    pub fn target_port(&self) -> Option<u32> {
        self.target.as_ref().and_then(|target| target.port)
    }
}

impl ChardevBackend {
    /// Drops the path of a pty, which the host chose.
    pub fn strip_pty(&mut self, kind: ChardevType) {
        if kind == ChardevType::Pty {
            for source in &mut self.sources {
                source.path = None;
            }
            self.sources.retain(|source| *source != ChardevSource::default());
        }
    }
}
