// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network cards: where they are plugged in, who they are.

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use super::{must, need, no_virtio_options};
use crate::domain::interface::{Interface, InterfaceSource, InterfaceType, Teaming, TeamingType};
use crate::settle::{unsupported, xml_error};
use crate::value::YesNo;

pub(super) fn validate(interface: &Interface) -> Result<()> {
    source(interface)?;
    fits(interface)?;
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

/// What fits to what the card is plugged into.
fn fits(net: &Interface) -> Result<()> {
    let kind = net.kind;
    let element = format!("<interface type='{kind}'>");
    if let Some(port) = &net.virtualport {
        use InterfaceType::{Bridge, Direct, Hostdev, Network};
        need(matches!(kind, Network | Bridge | Direct | Hostdev), || {
            format!("<virtualport> element unsupported for {element}")
        })?;
        // A network may say which type it is.
        must(kind == Network || port.kind.is_some(), || {
            xml_error("missing required virtualport type")
        })?;
    }
    for (name, size) in net
        .driver
        .iter()
        .flat_map(|d| [("rx_queue_size", d.rx_queue_size), ("tx_queue_size", d.tx_queue_size)])
    {
        if size.is_some_and(|size| !size.is_power_of_two()) {
            return Err(unsupported(format!("{name} has to be a power of two")));
        }
    }
    let ethernet = kind == InterfaceType::Ethernet;
    let source = net.source.as_ref();
    need(ethernet || source.is_none_or(|s| s.ips.is_empty() && s.routes.is_empty()), || {
        format!("{element}<source>: <ip> and <route> of the host's side are for type 'ethernet'")
    })?;
    let managed = net.target.as_ref().and_then(|target| target.managed);
    need(ethernet || managed != Some(YesNo::No), || {
        format!("{element}<target managed='no'> is for type 'ethernet'")
    })?;
    if let Some(team) = &net.teaming {
        teaming(team)?;
    }
    if net.port.as_ref().is_some_and(|port| port.isolated == Some(YesNo::Yes)) {
        need(matches!(kind, InterfaceType::Network | InterfaceType::Bridge), || {
            format!("{element}<port isolated='yes'>: allowed on types network and bridge")
        })?;
        let switch = net.virtualport.as_ref().and_then(|port| port.kind);
        need(switch.is_none(), || {
            format!("{element}<port isolated='yes'> and <virtualport type> exclude each other")
        })?;
    }
    virtio(net, &element)?;
    passt(net, &element)?;
    let tagged = net.vlan.as_ref().is_some_and(|vlan| !vlan.tags.is_empty());
    let tags = match kind {
        InterfaceType::Hostdev | InterfaceType::Network | InterfaceType::Bridge => true,
        InterfaceType::Direct => source.is_some_and(|s| s.mode.as_deref() == Some("passthrough")),
        _ => false,
    };
    need(!tagged || tags, || {
        format!(
            "{element}<vlan>: allowed on hostdev, network, bridge, and direct in mode passthrough"
        )
    })
}

/// Which half of a team names the other.
pub(super) fn teaming(team: &Teaming) -> Result<()> {
    let named = team.persistent.is_some();
    need(named == (team.kind == TeamingType::Transient), || {
        format!(
            "<teaming type='{}'>: 'persistent' must stand on type transient, and only there",
            team.kind
        )
    })
}

/// The transport's options, where the model is stated and is not virtio.
fn virtio(net: &Interface, element: &str) -> Result<()> {
    let Some(model) = net.model.as_ref().map(|model| model.kind.as_str()) else { return Ok(()) };
    let options = net.driver.as_ref().is_none_or(|d| no_virtio_options(&d.virtio));
    need(options || model.starts_with("virtio"), || {
        format!("{element}<model type='{model}'> has no virtio options in <driver>")
    })
}

fn passt(net: &Interface, element: &str) -> Result<()> {
    let passt =
        net.backend.as_ref().is_some_and(|backend| backend.kind.as_deref() == Some("passt"));
    let fits = matches!(net.kind, InterfaceType::User | InterfaceType::VhostUser);
    need(!passt || fits, || {
        format!("{element}<backend type='passt'>: allowed on types user and vhostuser")
    })?;
    let dev = net.source.as_ref().is_some_and(|source| source.dev.is_some());
    need(!(fits && dev) || passt, || {
        format!("{element}<source dev> needs <backend type='passt'>")
    })?;
    need(net.port_forwards.is_empty() || passt, || {
        format!("{element}<portForward> needs <backend type='passt'>")
    })
}
