// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of the host.

use virtus_api::Result;
use virtus_xml::domain::address::Address;
use virtus_xml::domain::disk::Sgio;
use virtus_xml::domain::hostdev::{Hostdev, HostdevMode, HostdevType};
use virtus_xml::value::OnOff;

use super::{Rules, need, xml_error};
use crate::caps::Flag;

pub(super) fn validate(rules: Rules<'_>) -> Result<()> {
    let hostdevs = &rules.domain.devices.hostdevs;
    hostdevs.iter().try_for_each(|one| hostdev(rules, one))?;
    let crypto = hostdevs.iter().filter(|one| one.model.as_deref() == Some("vfio-ap")).count();
    need(crypto <= 1, || format!("there are {crypto} <hostdev model='vfio-ap'>; QEMU has one"))
}

fn hostdev(rules: Rules<'_>, hostdev: &Hostdev) -> Result<()> {
    need(hostdev.mode == HostdevMode::Subsystem, || {
        format!("<hostdev mode='{}'> is for containers", hostdev.mode)
    })?;
    let kind = hostdev.kind;
    let element = format!("<hostdev type='{kind}'>");
    let source = hostdev.source.as_ref();
    match kind {
        HostdevType::Usb => {
            if source.is_some_and(|source| source.guest_reset.is_some()) {
                rules.needs(
                    Flag::UsbHostGuestResetsAll,
                    format_args!("{element}<source guestReset>"),
                )?;
            }
            Ok(())
        }
        HostdevType::Pci => {
            rules.needs(Flag::VfioPci, &element)?;
            let filtering = source.is_some_and(|source| source.write_filtering.is_some());
            need(!filtering, || format!("{element}<source writeFiltering> is for Xen"))?;
            shown(rules, hostdev, &element)
        }
        HostdevType::Scsi => need(hostdev.sgio != Some(Sgio::Unfiltered), || {
            format!("{element}: sgio='unfiltered' is gone from Linux")
        }),
        HostdevType::ScsiHost => {
            need(hostdev.info.boot.is_none(), || {
                format!("{element}: nothing boots from vhost SCSI")
            })?;
            rules.needs(Flag::VhostScsi, &element)
        }
        HostdevType::Mdev => mediated(rules, hostdev),
        _ => Ok(()),
    }
}

/// A screen of its own needs somewhere to be shown.
fn shown(rules: Rules<'_>, hostdev: &Hostdev, element: &str) -> Result<()> {
    let shown = hostdev.display == Some(OnOff::On);
    need(!shown || !rules.domain.devices.graphics.is_empty(), || {
        format!("{element} with display='on' needs <graphics>")
    })
}

fn mediated(rules: Rules<'_>, hostdev: &Hostdev) -> Result<()> {
    let model = hostdev.model.as_deref().unwrap_or_default();
    let element = format!("<hostdev type='mdev' model='{model}'>");
    let place = hostdev.info.address.as_ref();
    let (flag, fits) = match model {
        "vfio-pci" => (Flag::VfioPci, matches!(place, None | Some(Address::Pci(_)))),
        "vfio-ccw" => (Flag::VfioCcw, matches!(place, None | Some(Address::Ccw(_)))),
        "vfio-ap" => (Flag::VfioAp, place.is_none()),
        _ => {
            return Err(xml_error(format!(
                "{element}: allowed are vfio-pci, vfio-ccw and vfio-ap"
            )));
        }
    };
    if let Some(place) = place.filter(|_| !fits) {
        return Err(xml_error(format!("{element} has no <address type='{}'>", place.kind())));
    }
    rules.needs(flag, &element)?;
    need(hostdev.info.boot.is_none() || model == "vfio-ccw", || {
        format!("{element}: nothing boots from it")
    })?;
    let display = hostdev.display.is_some();
    need(!display || model == "vfio-pci", || format!("{element} has no 'display'"))?;
    shown(rules, hostdev, &element)
}
