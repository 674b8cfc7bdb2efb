// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the network driver refuses to define although it is a network: what would not run as it says.

use std::collections::HashSet;

use virtus_api::{ErrorCode, Result};

use super::validate::error;
use super::{Forward, ForwardMode, Network, Portgroup};
use crate::ip::Family;
use crate::netdev::{Bandwidth, VirtualPortType};

impl Network {
    /// Refuses what would not run. A definition from disk is not asked: it was, when it was made.
    pub fn check_supported(&self) -> Result<()> {
        if let Some(forward) =
            self.forward.as_ref().filter(|forward| !forward.mode.has_own_bridge())
        {
            self.check_host_side(forward)?;
        }
        self.check_pool()?;
        self.check_dhcp()?;
        self.check_portgroups()?;
        self.check_vlans()
    }

    fn unsupported(&self, why: impl std::fmt::Display) -> virtus_api::Error {
        error(ErrorCode::ConfigUnsupported, self, why)
    }

    /// Only a bridge of its own has an address on the host, and only there names are served.
    fn check_host_side(&self, forward: &Forward) -> Result<()> {
        let own_bridge_only = [
            ("mac", self.mac.is_some()),
            ("ip", !self.ips.is_empty()),
            ("dns", self.dns.has_records()),
            ("domain", self.domain.is_some()),
        ];
        for (name, there) in own_bridge_only {
            if there {
                return Err(self.unsupported(format_args!(
                    "unsupported <{name}> element with forward mode='{}'",
                    forward.mode
                )));
            }
        }
        if self.bandwidth != Bandwidth::default() && self.bridge.name.is_none() {
            return Err(self.unsupported(format_args!(
                "unsupported network-wide <bandwidth> element with forward mode='{}'",
                forward.mode
            )));
        }
        Ok(())
    }

    fn check_pool(&self) -> Result<()> {
        let Some(forward) = &self.forward else { return Ok(()) };
        let hostdev = forward.mode == ForwardMode::Hostdev;
        if let Some(interface) = forward.interfaces.first().filter(|_| hostdev) {
            return Err(self.unsupported(format_args!(
                "a hostdev network lists its devices by PCI address, not by name ('{}')",
                interface.dev
            )));
        }
        if !forward.addresses.is_empty() && !hostdev {
            return Err(self.unsupported(format_args!(
                "devices are listed by PCI address with forward mode 'hostdev' only, not '{}'",
                forward.mode
            )));
        }
        Ok(())
    }

    fn check_dhcp(&self) -> Result<()> {
        for family in [Family::Ipv4, Family::Ipv6] {
            let served = self.ips.iter().filter(|ip| ip.dhcp.is_some());
            if served.filter(|ip| ip.address.family() == family).count() > 1 {
                return Err(self.unsupported(format_args!(
                    "multiple {family} dhcp sections found: dhcp is supported only for a single address of a family"
                )));
            }
        }
        Ok(())
    }

    fn check_portgroups(&self) -> Result<()> {
        let mut names = HashSet::new();
        if let Some(twin) = self.portgroups.iter().find(|group| !names.insert(&group.name)) {
            let why = format!("multiple <portgroup> elements with the same name '{}'", twin.name);
            return Err(self.unsupported(why));
        }
        let mut defaults = self.portgroups.iter().filter(|group| group.default.is_some());
        if let (Some(first), Some(second)) = (defaults.next(), defaults.next()) {
            return Err(self.unsupported(format_args!(
                "multiple default <portgroup> elements ('{}' and '{}'), but only one default is allowed",
                first.name, second.name
            )));
        }
        let bandwidth_allowed = self.mode().has_own_bridge()
            || (self.mode() == ForwardMode::Bridge && self.bridge.name.is_some());
        let limited = self.portgroups.iter().find(|group| group.bandwidth != Bandwidth::default());
        if let Some(group) = limited.filter(|_| !bandwidth_allowed) {
            return Err(self.unsupported(format_args!(
                "unsupported <bandwidth> element in portgroup '{}' with forward mode='{}'",
                group.name,
                self.mode()
            )));
        }
        Ok(())
    }

    /// Tags are set on virtual functions and by switches that can: Open vSwitch and bridges of the host.
    fn check_vlans(&self) -> Result<()> {
        let switch = |port: Option<&crate::netdev::VirtualPort>| {
            port.is_none_or(|port| {
                port.kind.is_none_or(|kind| kind == VirtualPortType::Openvswitch)
            })
        };
        let bridged = self.mode() == ForwardMode::Bridge;
        let allowed = matches!(self.mode(), ForwardMode::Hostdev | ForwardMode::Passthrough)
            || (bridged && switch(self.virtualport.as_ref()));
        let allowed_in = |group: &Portgroup| match &group.virtualport {
            Some(port) if port.kind.is_some() => bridged && switch(Some(port)),
            _ => allowed,
        };
        let tagged = |group: &&Portgroup| self.vlan.is_some() || group.vlan.is_some();
        let bad_group = self.portgroups.iter().filter(tagged).any(|group| !allowed_in(group));
        let has_default = self.portgroups.iter().any(|group| group.default.is_some());
        if bad_group || (self.vlan.is_some() && !allowed && !has_default) {
            return Err(self.unsupported(
                "<vlan> element specified, but the network's type does not support it",
            ));
        }
        Ok(())
    }
}
