// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network cards: where they are plugged in, who they are.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::must;
use crate::domain::interface::{Interface, InterfaceSource, InterfaceType};
use crate::settle::xml_error;

pub(super) fn validate(interface: &Interface) -> Result<()> {
    source(interface)?;
    if let Some(address) = interface.mac_address() {
        must(!address.is_multicast(), || {
            xml_error(format!("expected unicast mac address, found multicast '{address}'"))
        })?;
    }
    let model = interface.model.as_ref().map_or("", |model| model.kind.as_str());
    must(model.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_')), || {
        Error::new(
            ErrorCode::InvalidArg,
            format!("<interface><model type='{model}'>: a model has letters, digits, '-' and '_'"),
        )
        .in_domain(ErrorDomain::Domain)
    })
}

/// What a card of each type must say of the place it is plugged into.
fn source(interface: &Interface) -> Result<()> {
    type Given = fn(&InterfaceSource) -> bool;
    let network: (&str, Given) = ("network", |source| source.network.is_some());
    let bridge: (&str, Given) = ("bridge", |source| source.bridge.is_some());
    let dev: (&str, Given) = ("dev", |source| source.dev.is_some());
    let name: (&str, Given) = ("name", |source| source.name.is_some());
    let port: (&str, Given) = ("port", |source| source.port.is_some());
    let address: (&str, Given) = ("address", |source| source.address.is_some());
    let needed: &[(&str, Given)] = match interface.kind {
        InterfaceType::Network => &[network],
        InterfaceType::Bridge => &[bridge],
        InterfaceType::Direct | InterfaceType::Vdpa => &[dev],
        InterfaceType::Internal => &[name],
        InterfaceType::Server => &[port],
        InterfaceType::Client | InterfaceType::Mcast | InterfaceType::Udp => &[port, address],
        InterfaceType::Hostdev => &[("address", |source| source.pci_address.is_some())],
        _ => return Ok(()),
    };
    let kind = interface.kind;
    let Some(source) = &interface.source else {
        return Err(xml_error(format!("interface type='{kind}' requires a 'source' element")));
    };
    needed.iter().try_for_each(|(attribute, given)| {
        must(given(source), || {
            xml_error(format!(
                "Missing required attribute '{attribute}' in element 'source' of interface type='{kind}'"
            ))
        })
    })
}
