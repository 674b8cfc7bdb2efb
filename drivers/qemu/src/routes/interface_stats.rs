// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What went through a guest's network cards, as the guest sees it.

use std::sync::Arc;

use virtus_api::{DomainInterfaceStats, DomainInterfaceStatsReply, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_domain::named;
use virtus_xml::domain::interface::{Interface, InterfaceType};

use super::stats::links;
use super::{by, running};
use crate::driver::QemuDriver;
use crate::readings::link::Traffic;

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(stats))
}

async fn stats(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainInterfaceStats,
) -> Result<DomainInterfaceStatsReply> {
    let (_, snapshot) = running(&driver, &request.dom)?;
    let device = request.device.as_str();
    let interface = named::interface(snapshot.live()?, device)?;
    let Some(dev) = interface.target_dev() else {
        let text = format!(
            "interface stats not supported for interface type '{}'",
            interface.kind.as_str()
        );
        return Err(Error::new(ErrorCode::OperationUnsupported, text)
            .hint("only interfaces with a device on this host are counted"));
    };
    let traffic = links().get(dev).copied().ok_or_else(|| {
        let text = format!("interface '{dev}' is not on this host");
        Error::new(ErrorCode::OperationFailed, text)
    })?;
    let Traffic { received, sent } = seen_by_guest(interface, traffic);
    let signed = |value| i64::try_from(value).unwrap_or(i64::MAX);
    Ok(DomainInterfaceStatsReply {
        rx_bytes: signed(received.bytes),
        rx_packets: signed(received.packets),
        rx_errs: signed(received.errors),
        rx_drop: signed(received.dropped),
        tx_bytes: signed(sent.bytes),
        tx_packets: signed(sent.packets),
        tx_errs: signed(sent.errors),
        tx_drop: signed(sent.dropped),
    })
}

/// What a tap sends its guest receives; a macvtap counts from the guest's side already.
pub(super) fn seen_by_guest(interface: &Interface, traffic: Traffic) -> Traffic {
    match interface.kind {
        InterfaceType::Direct => traffic,
        _ => traffic.seen_from_the_other_end(),
    }
}
