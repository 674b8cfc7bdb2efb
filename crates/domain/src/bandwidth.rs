// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The limits that a definition sets a card, as the host's traffic control or its switch has them.

use virtus_api::Result;
use virtus_host::bandwidth::{Bandwidth, Rate};
use virtus_xml::domain::interface::Interface;
use virtus_xml::netdev::{self, Owner};

use crate::switch_ports::{is_on_open_vswitch, of_open_vswitch};

/// What holds for a card, by itself or by the network that it is on. A guaranteed minimum is the network's own matter.
#[must_use]
pub fn of(card: &Interface) -> Bandwidth {
    let rate = |rate: &netdev::Rate| {
        Some(Rate { average: rate.average?, peak: rate.peak, burst: rate.burst })
    };
    let stated = card.plugged_bandwidth();
    Bandwidth {
        inbound: stated.and_then(|stated| rate(stated.inbound.as_ref()?)),
        outbound: stated.and_then(|stated| rate(stated.outbound.as_ref()?)),
    }
}

/// Limits a card's new device, as its definition says. Open vSwitch has done so when it became a port.
///
/// # Errors
/// Where the kernel lacks the means.
pub async fn limit(card: &Interface, device: &str) -> Result<()> {
    if is_on_open_vswitch(card) { Ok(()) } else { of(card).limit(device).await }
}

/// Limits a card's device otherwise than it was.
///
/// # Errors
/// Where the kernel or the switch lacks the means.
pub async fn limit_anew(
    card: &Interface,
    owner: &Owner,
    device: &str,
    limits: Bandwidth,
) -> Result<()> {
    match of_open_vswitch(card, owner, device) {
        Some(port) => port.limit(limits).await,
        None => limits.replace(device).await,
    }
}
