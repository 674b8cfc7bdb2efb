// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Input, randomness, leases and other small devices: what each must say, and what fits together.

use virtus_api::{ErrorCode, Result};

use super::must;
use crate::domain::Domain;
use crate::domain::chardev::{ChardevTargetType, Smartcard, SmartcardMode};
use crate::domain::filesystem::{Filesystem, FilesystemType};
use crate::domain::hostdev::{Hostdev, HostdevMode, HostdevSource, HostdevType};
use crate::domain::input::{Input, InputBus, InputType};
use crate::domain::misc::{Crypto, Lease, Rng, RngModel, Vsock};
use crate::domain::video::{VideoModel, VideoType};
use crate::settle::{missing, unsupported, xml_error};

pub(super) fn validate(domain: &Domain) -> Result<()> {
    let devices = &domain.devices;
    devices.inputs.iter().try_for_each(input)?;
    devices.rngs.iter().try_for_each(random)?;
    devices.cryptos.iter().try_for_each(crypto)?;
    devices.leases.iter().try_for_each(lease)?;
    devices.smartcards.iter().try_for_each(smartcard)?;
    devices.filesystems.iter().try_for_each(filesystem)?;
    devices.videos.iter().try_for_each(|one| video(&one.model))?;
    devices.hostdevs.iter().try_for_each(hostdev)?;
    devices.vsock.as_deref().map_or(Ok(()), vsock)?;
    let tpm = |tpm: &crate::domain::tpm::Tpm| {
        must(tpm.backend.is_some(), || xml_error("missing TPM device backend"))
    };
    devices.tpms.iter().try_for_each(tpm)?;
    for target in devices.channels.iter().filter_map(|channel| channel.target.as_ref()) {
        let forwards = target.kind == Some(ChardevTargetType::Guestfwd);
        must(!forwards || target.address.is_some(), || {
            xml_error("guestfwd channel does not define a target address")
        })?;
        must(!forwards || !target.address.iter().any(|address| address.contains(':')), || {
            unsupported("guestfwd channel only supports IPv4 addresses")
        })?;
    }
    Ok(())
}

fn input(input: &Input) -> Result<()> {
    let (kind, bus) = (input.kind, input.bus);
    match (kind, bus) {
        (InputType::Passthrough, Some(bus)) if bus != InputBus::Virtio => {
            Err(unsupported("only bus 'virtio' is supported for 'passthrough' input devices"))
        }
        (InputType::Evdev, Some(bus)) if bus != InputBus::None => {
            Err(unsupported("input evdev doesn't support bus element"))
        }
        (InputType::Tablet, Some(InputBus::Ps2 | InputBus::Xen)) => Err(unsupported(format!(
            "{} bus does not support {kind} input device",
            bus.unwrap_or_default()
        ))),
        _ => Ok(()),
    }
}

fn random(rng: &Rng) -> Result<()> {
    let Some(backend) = &rng.backend else {
        return Err(xml_error("<rng> needs one <backend>"));
    };
    must(backend.model != RngModel::Egd || backend.kind.is_some(), || {
        xml_error("missing EGD backend type")
    })
}

fn crypto(crypto: &Crypto) -> Result<()> {
    must(crypto.backend.is_some(), || xml_error("only one crypto backend is supported"))
}

fn lease(lease: &Lease) -> Result<()> {
    for (element, given) in [("key", lease.key.is_some()), ("target", lease.target.is_some())] {
        must(given, || xml_error(format!("Missing '{element}' element for lease")))?;
    }
    Ok(())
}

fn smartcard(card: &Smartcard) -> Result<()> {
    match card.mode {
        SmartcardMode::HostCertificates => must(card.certificates.len() == 3, || {
            xml_error("host-certificates mode needs exactly three certificates")
        }),
        SmartcardMode::Passthrough => must(card.kind.is_some(), || {
            xml_error("passthrough mode requires a character device type attribute")
        }),
        SmartcardMode::Host => Ok(()),
    }
}

fn filesystem(fs: &Filesystem) -> Result<()> {
    let source = fs.source.as_ref();
    let Some(target) = &fs.target else {
        let of = source.and_then(|source| source.dir.as_deref()).unwrap_or_default();
        return Err(missing(ErrorCode::NoTarget, of));
    };
    must(source.is_some() || fs.kind == FilesystemType::Ram, || {
        missing(ErrorCode::NoSource, &target.dir)
    })
}

fn video(model: &VideoModel) -> Result<()> {
    let own = [("ram", model.ram), ("vram64", model.vram64), ("vgamem", model.vgamem)];
    own.into_iter().try_for_each(|(name, value)| {
        must(value.is_none() || model.kind == VideoType::Qxl, || {
            unsupported(format!("{name} attribute only supported for video type qxl"))
        })
    })
}

fn hostdev(hostdev: &Hostdev) -> Result<()> {
    let source = hostdev.source.as_ref();
    if hostdev.mode != HostdevMode::Subsystem {
        return Ok(());
    }
    match hostdev.kind {
        HostdevType::Usb => {
            let vendor = source.and_then(|source| source.vendor.as_ref());
            let product = source.and_then(|source| source.product.as_ref());
            must(vendor.is_none_or(|vendor| vendor.id.0 != 0), || {
                xml_error(
                    "Invalid value for attribute 'id' in element 'vendor': Zero is not permitted",
                )
            })?;
            must(vendor.is_some() == product.is_some(), || {
                xml_error("usb hostdev: <vendor> and <product> are given together")
            })
        }
        HostdevType::Scsi => {
            let network = source.is_some_and(|source| source.protocol.is_some());
            must(network || source.is_some_and(|source| source.address.is_some()), || {
                xml_error("'address' must be specified for scsi hostdev source")
            })?;
            must(network || source.is_some_and(|source| source.adapter.is_some()), || {
                xml_error("'adapter' name must be specified for scsi hostdev source")
            })
        }
        HostdevType::ScsiHost => vhost_scsi(source),
        _ => Ok(()),
    }
}

fn vhost_scsi(source: Option<&HostdevSource>) -> Result<()> {
    let protocol = source.and_then(|source| source.protocol.as_deref()).unwrap_or_default();
    must(protocol == "vhost", || {
        xml_error(format!(
            "Invalid value for attribute 'protocol' in element 'source': '{protocol}'. Allowed: vhost"
        ))
    })?;
    let wwpn = source.and_then(|source| source.wwpn.as_deref()).unwrap_or_default();
    let named = wwpn.strip_prefix("naa.").is_some_and(|digits| {
        digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    });
    must(named, || {
        xml_error(format!(
            "malformed 'wwpn' value '{wwpn}': allowed is naa. and 16 hexadecimal digits"
        ))
    })
}

/// The lowest numbers belong to the hypervisor and to the host.
const FIRST_GUEST_CID: u32 = 3;

fn vsock(vsock: &Vsock) -> Result<()> {
    let cid = vsock.cid.as_ref().and_then(|cid| cid.address);
    must(cid.is_none_or(|cid| cid >= FIRST_GUEST_CID), || {
        unsupported(format!("guest CIDs must be >= {FIRST_GUEST_CID}"))
    })
}
