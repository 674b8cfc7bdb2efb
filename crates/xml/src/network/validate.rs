// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a network cannot be, whoever is to run it: parts that do not go with its forward mode, or with each other.

use std::collections::HashSet;
use std::fmt::Display;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::{Forward, ForwardMode, Network};
use crate::ip::IpAddress;

/// An error about a network that is well formed.
pub(super) fn error(code: ErrorCode, network: &Network, why: impl Display) -> Error {
    Error::new(code, format!("network '{}': {why}", network.name)).in_domain(ErrorDomain::Network)
}

pub(super) fn validate(network: &Network) -> Result<()> {
    names(network)?;
    dns(network)?;
    bandwidths(network)?;
    gateways(network)?;
    if let Some(forward) = &network.forward {
        pool(network, forward)?;
        by_mode(network, forward)?;
    }
    Ok(())
}

fn names(network: &Network) -> Result<()> {
    let name = &network.name;
    if name.is_empty() {
        return Err(Error::new(ErrorCode::NoName, "")
            .in_domain(ErrorDomain::Network)
            .hint("the document has no <name>"));
    }
    for bad in ['/', '\n'] {
        if name.contains(bad) {
            return Err(error(
                ErrorCode::XmlError,
                network,
                format_args!("name cannot contain {bad:?}"),
            ));
        }
    }
    if network.title.as_ref().is_some_and(|title| title.contains('\n')) {
        return Err(error(ErrorCode::XmlError, network, "<title> cannot contain a line break"));
    }
    if let Some(mac) = network.mac.as_ref().filter(|mac| mac.address.is_multicast()) {
        let why = format_args!("the bridge's address '{}' is a multicast address", mac.address);
        return Err(error(ErrorCode::XmlError, network, why));
    }
    if network.virtualport.as_ref().is_some_and(|port| port.kind.is_none()) {
        return Err(error(ErrorCode::XmlError, network, "<virtualport> needs a 'type'"));
    }
    Ok(())
}

fn dns(network: &Network) -> Result<()> {
    let dns = &network.dns;
    let disabled = dns.enable.is_some_and(|enable| !enable.is_yes());
    if disabled && (dns.has_records() || !dns.forwarders.is_empty()) {
        let why = "extra data in disabled <dns>: without enable='no', or without the records";
        return Err(error(ErrorCode::XmlError, network, why));
    }
    Ok(())
}

fn bandwidths(network: &Network) -> Result<()> {
    let groups = network.portgroups.iter().map(|group| &group.bandwidth);
    for bandwidth in groups.chain([&network.bandwidth]) {
        if bandwidth.class_id.is_some() {
            return Err(error(
                ErrorCode::XmlDetail,
                network,
                "'classID' is for network ports only",
            ));
        }
        if bandwidth.has_floor() {
            let why = "'floor' is for the cards of guests, not for a network";
            return Err(error(ErrorCode::ConfigUnsupported, network, why));
        }
    }
    Ok(())
}

/// A gateway must be reachable directly, through one of the network's own addresses.
fn gateways(network: &Network) -> Result<()> {
    let reachable: HashSet<(u32, IpAddress)> = network
        .ips
        .iter()
        .filter_map(|ip| {
            let prefix = ip.network_prefix()?;
            Some((prefix, ip.address.network(prefix)?))
        })
        .collect();
    // There are few prefixes, however many addresses and routes there are.
    let prefixes: HashSet<u32> = reachable.iter().map(|(prefix, _)| *prefix).collect();
    for route in &network.routes {
        let within = |prefix| Some((prefix, route.gateway.network(prefix)?));
        if !prefixes
            .iter()
            .any(|prefix| within(*prefix).is_some_and(|key| reachable.contains(&key)))
        {
            return Err(error(
                ErrorCode::ConfigUnsupported,
                network,
                format_args!(
                    "unreachable static route gateway '{}': it is in no <ip>",
                    route.gateway
                ),
            ));
        }
    }
    Ok(())
}

/// No device twice.
fn pool(network: &Network, forward: &Forward) -> Result<()> {
    let mut seen = HashSet::new();
    let interfaces =
        forward.interfaces.iter().map(|interface| format!("interface '{}'", interface.dev));
    let addresses = forward.addresses.iter().map(|address| format!("PCI device '{}'", address.pci));
    for device in interfaces.chain(addresses) {
        if seen.contains(&device) {
            let why = format_args!("{device} can only be listed once in <forward>");
            return Err(error(ErrorCode::XmlError, network, why));
        }
        seen.insert(device);
    }
    Ok(())
}

fn by_mode(network: &Network, forward: &Forward) -> Result<()> {
    let refuse = |why: &str| {
        let text = format!("{why} (forward mode '{}')", forward.mode);
        Err(error(ErrorCode::XmlError, network, text))
    };
    let bridge = &network.bridge;
    match forward.mode {
        ForwardMode::None => {}
        ForwardMode::Nat | ForwardMode::Route | ForwardMode::Open => {
            if network.ips.is_empty() {
                return refuse("forwarding requested, but no <ip> says from where");
            }
            if forward.interfaces.len() > 1 {
                let name = &network.name;
                let text = format!(
                    "multiple forwarding interfaces specified for network '{name}', only one is supported"
                );
                return Err(Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::Network));
            }
            if forward.mode == ForwardMode::Open && !forward.interfaces.is_empty() {
                return refuse(
                    "forward dev not allowed: an open network goes where the host routes",
                );
            }
        }
        ForwardMode::Private
        | ForwardMode::Vepa
        | ForwardMode::Passthrough
        | ForwardMode::Hostdev => {
            if *bridge != super::Bridge::default() {
                return refuse(
                    "<bridge> is not allowed: the guests' cards are on devices of the host",
                );
            }
        }
        ForwardMode::Bridge => {
            if bridge.delay.is_some() || bridge.stp.is_some() || bridge.zone.is_some() {
                return refuse("delay, stp and zone of <bridge> are for the network's own bridge");
            }
            if bridge.name.is_some() && (!forward.interfaces.is_empty() || forward.pf.is_some()) {
                return refuse("a bridge name or a forward dev can be specified, but not both");
            }
        }
    }
    if network.mtu.is_some() && !forward.mode.has_own_bridge() {
        return refuse("<mtu> is for the network's own bridge");
    }
    Ok(())
}
