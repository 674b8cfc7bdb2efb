// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Viewers that come and go.

use serde_json::Value;
use virtus_api::{
    DomainEventGraphics, DomainEventGraphicsAddress, DomainEventGraphicsAddressType as Kind,
    DomainEventGraphicsIdentity, DomainEventGraphicsPhase as Phase,
};
use virtus_domain::Notice;

use super::plain::{tell, word};

/// The news in an event of VNC or SPICE; nothing for every other event.
pub(super) fn notices(name: &str, data: &Value) -> Vec<Notice> {
    let phase = match name {
        "VNC_CONNECTED" | "SPICE_CONNECTED" => Phase::Connect,
        "VNC_INITIALIZED" | "SPICE_INITIALIZED" => Phase::Initialize,
        "VNC_DISCONNECTED" | "SPICE_DISCONNECTED" => Phase::Disconnect,
        _ => return Vec::new(),
    } as i32;
    let (server, client) = (&data["server"], &data["client"]);
    let (local, remote) = (address(server), address(client));
    let auth_scheme = word(&server["auth"]);
    let subject = [("x509dname", "x509_dname"), ("saslUsername", "sasl_username")]
        .into_iter()
        .filter_map(|(kind, member)| {
            let name = client[member].as_str()?.to_owned();
            Some(DomainEventGraphicsIdentity { r#type: kind.to_owned(), name })
        })
        .collect();
    vec![tell(move |dom| DomainEventGraphics { dom, phase, local, remote, auth_scheme, subject })]
}

fn address(end: &Value) -> DomainEventGraphicsAddress {
    let family = match end["family"].as_str() {
        Some("ipv6") => Kind::Ipv6,
        Some("unix") => Kind::Unix,
        _ => Kind::Ipv4,
    } as i32;
    let service = match end["service"].as_str() {
        Some(service) => service.to_owned(),
        None => word(&end["port"]),
    };
    DomainEventGraphicsAddress { family, node: word(&end["host"]), service }
}
