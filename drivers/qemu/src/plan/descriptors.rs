// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which descriptors a start must open before its command line can be written.

use virtus_xml::Domain;
use virtus_xml::domain::chardev::{ChardevBackend, ChardevType};
use virtus_xml::domain::device::Device;
use virtus_xml::domain::hostdev::HostdevType;
use virtus_xml::domain::interface::InterfaceType;
use virtus_xml::domain::storage::StorageType;
use virtus_xml::domain::tpm::TpmBackendType;
use virtus_xml::domain::video::VideoBackend;

use super::chardev::End;
use super::context::FdKey;
use super::net::{is_tap, queues, wants_vhost};

/// One descriptor, or several of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Where its number goes in [`super::Context::fds`].
    pub key: FdKey,
    /// What it is.
    pub what: What,
    /// How many of them.
    pub count: u32,
    /// Whether the guest starts without it.
    pub optional: bool,
}

/// How a descriptor comes to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A Unix socket that listens on this path.
    Listen(String),
    /// The monitor's socket; its path is the launcher's.
    Monitor,
    /// A file that is written; `append` or cut first.
    Write {
        /// The file.
        path: String,
        /// Whether what is in it stays.
        append: bool,
    },
    /// The queues of the tap device of an interface.
    Tap,
    /// A device node, read and written.
    Device(String),
    /// The socket to the renderer of a video card.
    Renderer,
}

/// The descriptors of a live definition, in the order in which they are handed over.
#[must_use]
pub fn descriptors(domain: &Domain) -> Vec<Descriptor> {
    let one = |key, what| Descriptor { key, what, count: 1, optional: false };
    let mut out = vec![one(FdKey::Monitor, What::Monitor)];
    let devices = &domain.devices;
    let name = |info: &Device| info.alias.clone().unwrap_or_default();
    for net in &devices.interfaces {
        let count = queues(net);
        if is_tap(net) {
            out.push(Descriptor { count, ..one(FdKey::Tap(name(&net.info)), What::Tap) });
        }
        if wants_vhost(net) {
            let forced =
                net.driver.as_ref().and_then(|driver| driver.name.as_deref()) == Some("vhost");
            let what = What::Device(
                net.backend
                    .as_ref()
                    .and_then(|backend| backend.vhost.clone())
                    .unwrap_or_else(|| "/dev/vhost-net".to_owned()),
            );
            out.push(Descriptor {
                count,
                optional: !forced,
                ..one(FdKey::VhostNet(name(&net.info)), what)
            });
        }
        if net.kind == InterfaceType::Vdpa {
            let dev = net.source.as_ref().and_then(|source| source.dev.clone()).unwrap_or_default();
            out.push(one(FdKey::Vdpa(name(&net.info)), What::Device(dev)));
        }
    }
    for disk in &devices.disks {
        let dev = disk.source.as_ref().and_then(|source| source.dev.clone());
        if let Some(dev) = dev.filter(|_| disk.kind == StorageType::VhostVdpa) {
            out.push(one(FdKey::Vdpa(dev.clone()), What::Device(dev)));
        }
    }
    let chardevs = devices.serials.iter().chain(&devices.parallels).chain(&devices.channels);
    for chardev in chardevs {
        character(&mut out, chardev.kind, &chardev.backend, name(&chardev.info));
    }
    for console in &devices.consoles {
        let twin = console.info.alias.as_deref().is_some_and(|alias| alias.starts_with("serial"));
        if !twin {
            character(&mut out, console.kind, &console.backend, name(&console.info));
        }
    }
    for card in &devices.smartcards {
        if let Some(kind) = card.kind {
            character(&mut out, kind, &card.backend, name(&card.info));
        }
    }
    for redirdev in &devices.redirdevs {
        character(&mut out, redirdev.kind, &redirdev.backend, name(&redirdev.info));
    }
    for rng in &devices.rngs {
        if let Some(backend) = &rng.backend
            && let Some(kind) = backend.kind
        {
            character(&mut out, kind, &backend.chardev, name(&rng.info));
        }
    }
    for tpm in &devices.tpms {
        let Some(backend) = &tpm.backend else { continue };
        if backend.kind == TpmBackendType::Passthrough {
            let path = backend.device.as_ref().and_then(|device| device.path.clone());
            let path = path.unwrap_or_else(|| "/dev/tpm0".to_owned());
            out.push(one(FdKey::Tpm, What::Device(path.clone())));
            let class = path.rsplit('/').next().unwrap_or("tpm0").to_owned();
            let cancel = format!("/sys/class/tpm/{class}/device/cancel");
            out.push(one(FdKey::TpmCancel, What::Device(cancel)));
        }
    }
    for video in &devices.videos {
        let backend = video.driver.as_ref().and_then(|driver| driver.name);
        if backend == Some(VideoBackend::VhostUser) {
            out.push(one(FdKey::VhostUserVideo(name(&video.info)), What::Renderer));
        }
    }
    for hostdev in &devices.hostdevs {
        if hostdev.kind == HostdevType::ScsiHost {
            let what = What::Device("/dev/vhost-scsi".to_owned());
            out.push(one(FdKey::VhostScsi(name(&hostdev.info)), what));
        }
    }
    if devices.vsock.is_some() {
        out.push(one(FdKey::VhostVsock, What::Device("/dev/vhost-vsock".to_owned())));
    }
    out
}

fn character(
    out: &mut Vec<Descriptor>,
    kind: ChardevType,
    backend: &ChardevBackend,
    alias: String,
) {
    let source = backend.sources.first();
    let path = source.and_then(|source| source.path.clone()).unwrap_or_default();
    let listens = End { kind, backend, alias: &alias, spice: "" }.listens();
    let mut push = |key, what| out.push(Descriptor { key, what, count: 1, optional: false });
    match kind {
        ChardevType::Unix if listens => push(FdKey::Listen(alias.clone()), What::Listen(path)),
        ChardevType::File => {
            let append = source
                .and_then(|source| source.append)
                .is_some_and(virtus_xml::value::OnOff::is_on);
            push(FdKey::File(alias.clone()), What::Write { path, append });
        }
        _ => {}
    }
    if let Some(log) = &backend.log {
        let append = log.append.is_some_and(virtus_xml::value::OnOff::is_on);
        push(FdKey::Log(alias), What::Write { path: log.file.clone(), append });
    }
}
