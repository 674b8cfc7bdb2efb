// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a network means though it does not say so.

use super::{ForwardMode, Network};
use crate::value::OnOff;

pub(super) fn settle(network: &mut Network) {
    let own_bridge = network.mode().has_own_bridge();
    let body = &mut network.body;
    body.ipv6.take_if(|ipv6| !ipv6.is_yes());
    for text in [&mut body.title, &mut body.description] {
        text.take_if(|text| text.is_empty());
    }
    body.forward.take_if(|forward| forward.mode == ForwardMode::None);
    body.mtu.take_if(|mtu| mtu.size == 0);
    for name in [&mut body.bridge.name, &mut body.bridge.zone] {
        name.take_if(|name| name.is_empty());
    }
    if own_bridge {
        body.bridge.stp.get_or_insert(OnOff::On);
        body.bridge.delay.get_or_insert(0);
    } else {
        body.bridge.delay.take_if(|delay| *delay == 0);
    }
}
