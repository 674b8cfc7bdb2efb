// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What went through a guest's network cards, as the guest sees it.

use std::sync::Arc;

use virtus_api::{DomainInterfaceStats, DomainInterfaceStatsReply, Error, ErrorCode, Result};
use virtus_core::{Call, Routes};
use virtus_xml::Domain;
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
    let interface = by_name(snapshot.live()?, device).ok_or_else(|| {
        Error::new(ErrorCode::InvalidArg, format!("'{device}' is not a known interface"))
            .hint(format!("see the interfaces with 'virsh domiflist {}'", snapshot.name))
    })?;
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

/// The interface that is called so: by its device on this host, or by its address.
fn by_name<'def>(def: &'def Domain, name: &str) -> Option<&'def Interface> {
    let interfaces = &def.devices.interfaces;
    interfaces.iter().find(|interface| interface.target_dev() == Some(name)).or_else(|| {
        let mut same = interfaces.iter().filter(|interface| {
            let mac = interface.mac_address().map(mac_text);
            mac.is_some_and(|mac| mac.eq_ignore_ascii_case(name))
        });
        let first = same.next()?;
        // An address that two cards have names neither.
        same.next().is_none().then_some(first)
    })
}

fn mac_text(mac: virtus_xml::value::Mac) -> String {
    let pairs: Vec<String> = mac.0.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

/// What a tap sends its guest receives; a macvtap counts from the guest's side already.
pub(super) fn seen_by_guest(interface: &Interface, traffic: Traffic) -> Traffic {
    match interface.kind {
        InterfaceType::Direct => traffic,
        _ => traffic.seen_from_the_other_end(),
    }
}

#[cfg(test)]
mod tests {
    use virtus_xml::ParseFlags;

    use super::*;

    #[test]
    fn interfaces_go_by_device_or_address() {
        let xml = "<domain type='qemu'><name>g</name><memory>1</memory>\
            <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
            <interface type='ethernet'><mac address='52:54:00:12:34:56'/><target dev='tap7'/></interface>\
            <interface type='user'><mac address='52:54:00:aa:bb:01'/></interface>\
            <interface type='user'><mac address='52:54:00:aa:bb:01'/></interface></devices></domain>";
        let def = Domain::parse(xml, ParseFlags::empty()).unwrap().value;
        assert!(by_name(&def, "tap7").is_some());
        assert_eq!(by_name(&def, "52:54:00:12:34:56").unwrap().target_dev(), Some("tap7"));
        assert!(by_name(&def, "52:54:00:aa:bb:01").is_none());
        assert!(by_name(&def, "eth0").is_none());
    }
}
