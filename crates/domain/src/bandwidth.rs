// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The limits that a definition sets a card, as the host's traffic control has them.

use virtus_host::bandwidth::{Bandwidth, Rate};
use virtus_xml::domain::interface::Interface;
use virtus_xml::netdev;

/// What holds for a card, by itself or by the network that it is on. A guaranteed minimum is the network's own matter.
#[must_use]
pub fn bandwidth(card: &Interface) -> Bandwidth {
    let rate = |rate: &netdev::Rate| {
        Some(Rate { average: rate.average?, peak: rate.peak, burst: rate.burst })
    };
    let stated = card.plugged_bandwidth();
    Bandwidth {
        inbound: stated.and_then(|stated| rate(stated.inbound.as_ref()?)),
        outbound: stated.and_then(|stated| rate(stated.outbound.as_ref()?)),
    }
}
