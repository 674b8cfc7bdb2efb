// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<route>`: how a network is reached that is not the own.

use virtus_api::Result;

use crate::ip::{Family, IpAddress};
use crate::reader::Node;

element! {
    /// `<route>`.
    pub struct Route {
        attr family: Option<Family> = "family",
        required address: IpAddress = "address",
        attr netmask: Option<IpAddress> = "netmask",
        attr prefix: Option<u32> = "prefix",
        required gateway: IpAddress = "gateway",
        attr metric: Option<u32> = "metric"
    }
    then Self::check
}

impl Route {
    fn check(&mut self, node: Node<'_>) -> Result<()> {
        let family = self.family.unwrap_or_default();
        for (what, address) in [("address", self.address), ("gateway", self.gateway)] {
            if address.family() != family {
                return Err(node.error(format_args!(
                    "{what} '{address}' of the route is not of family '{family}'; without 'family' it is ipv4"
                )));
            }
        }
        if let Some(mask) = self.netmask {
            if family == Family::Ipv6 {
                return Err(node.error("a route of family 'ipv6' takes a prefix, not a netmask"));
            }
            if mask.family() != family {
                return Err(node
                    .error(format_args!("netmask '{mask}' of the route is not an IPv4 address")));
            }
            if self.prefix.is_some() {
                return Err(node.error("a route cannot have both a prefix and a netmask"));
            }
        }
        if self.prefix.is_some_and(|prefix| prefix > family.width()) {
            return Err(
                node.error(format_args!("the prefix of a route must be 0 - {}", family.width()))
            );
        }
        if self.metric == Some(0) {
            return Err(node.error("the metric of a route must be greater than 0"));
        }
        let mask =
            self.netmask.or_else(|| IpAddress::netmask(family, self.prefix.unwrap_or_default()));
        if mask.is_none_or(|mask| self.address.masked(mask) != self.address) {
            return Err(node.error(format_args!(
                "'{}' is not the address of a network: bits behind its prefix are set",
                self.address
            )));
        }
        Ok(())
    }
}
