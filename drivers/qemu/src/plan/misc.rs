// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The small devices: input, watchdog, balloon, random numbers, panic, shared memory, vsock, crypto and others.

use virtus_api::Result;
use virtus_xml::domain::disk::VirtioModel;
use virtus_xml::domain::input::{Grab, Input, InputBus, InputType};
use virtus_xml::domain::misc::{
    BalloonModel, IommuModel, PanicModel, RngModel, Shmem, ShmemModelType, WatchdogAction,
    WatchdogModel,
};
use virtus_xml::domain::tuning::Poll;
use virtus_xml::value::OnOff;

use super::argv::Props;
use super::chardev::{Backend, End, Socket};
use super::context::FdKey;
use super::device::{alias, place, virtio, virtio_model};
use super::line::Line;
use super::storage::unsupported;
use crate::caps::Flag;

/// Writes mice, tablets and keyboards that are not part of the machine.
pub(crate) fn inputs(line: &mut Line<'_>) -> Result<()> {
    for input in &line.domain.devices.inputs {
        match input.bus {
            Some(InputBus::Usb) => {
                let name = match input.kind {
                    InputType::Mouse => "usb-mouse",
                    InputType::Tablet => "usb-tablet",
                    InputType::Keyboard => "usb-kbd",
                    other => return Err(unsupported(format!("USB input of type '{other}'"))),
                };
                let mut props = Props::device(name).with("id", alias(&input.info)?.to_owned());
                props.extend(place(line.domain, &input.info)?);
                line.device(props);
            }
            Some(InputBus::Virtio) => {
                let props = virtio_input(line, input)?;
                line.device(props);
            }
            None | Some(InputBus::None) if input.kind == InputType::Evdev => {
                let props = evdev(input)?;
                line.object(props);
            }
            _ => {}
        }
    }
    Ok(())
}

fn virtio_input(line: &Line<'_>, input: &Input) -> Result<Props> {
    let base = match input.kind {
        InputType::Mouse => "virtio-mouse",
        InputType::Tablet => "virtio-tablet",
        InputType::Keyboard => "virtio-keyboard",
        InputType::Passthrough => "virtio-input-host",
        InputType::Evdev => return Err(unsupported("virtio input of type 'evdev'")),
    };
    let options = input.driver.as_ref().map(|driver| &driver.virtio);
    // QEMU's names for the older generation exist for the passed-through kind only.
    let model = input.model.filter(|_| input.kind == InputType::Passthrough);
    let mut props = virtio(base, &input.info, model, options)?;
    props.set("id", alias(&input.info)?.to_owned());
    if input.kind == InputType::Passthrough {
        props = props.maybe("evdev", input.source.as_ref().and_then(|s| s.evdev.clone()));
    }
    props.extend(place(line.domain, &input.info)?);
    Ok(props)
}

fn evdev(input: &Input) -> Result<Props> {
    let mut props = Props::object("input-linux", alias(&input.info)?);
    let Some(source) = &input.source else { return Ok(props) };
    props =
        props.maybe("evdev", source.dev.clone()).maybe("repeat", source.repeat.map(OnOff::is_on));
    if source.grab == Some(Grab::All) {
        props.set("grab_all", true);
    }
    Ok(props.maybe("grab-toggle", source.grab_toggle.map(|keys| keys.as_str())))
}

/// Writes watchdogs and what their bite does.
pub(crate) fn watchdogs(line: &mut Line<'_>) -> Result<()> {
    let watchdogs = &line.domain.devices.watchdogs;
    // That of a Q35 is part of the machine; it must only be allowed to bite.
    let (builtin, plugged): (Vec<_>, Vec<_>) =
        watchdogs.iter().partition(|watchdog| watchdog.model == WatchdogModel::Itco);
    for watchdog in plugged {
        let mut props =
            Props::device(watchdog.model.as_str()).with("id", alias(&watchdog.info)?.to_owned());
        props.extend(place(line.domain, &watchdog.info)?);
        line.device(props);
    }
    if !builtin.is_empty() {
        line.argv.pair("-global", "ICH9-LPC.noreboot=off");
    }
    if let Some(first) = watchdogs.first() {
        let action = match first.action {
            // The dump is taken by the driver, from a guest that stands still.
            WatchdogAction::Dump => "pause",
            other => other.as_str(),
        };
        line.argv.pair("-watchdog-action", action);
    }
    Ok(())
}

/// Writes the balloon.
pub(crate) fn balloon(line: &mut Line<'_>) -> Result<()> {
    let Some(balloon) = &line.domain.devices.memballoon else { return Ok(()) };
    if balloon.model == BalloonModel::None {
        return Ok(());
    }
    let options = balloon.driver.as_ref().map(|driver| &driver.virtio);
    let model = virtio_model(Some(balloon.model.as_str()));
    let mut props = virtio("virtio-balloon", &balloon.info, model, options)?
        .with("id", alias(&balloon.info)?.to_owned())
        .maybe("deflate-on-oom", balloon.autodeflate.map(OnOff::is_on))
        .maybe("free-page-reporting", balloon.free_page_reporting.map(OnOff::is_on));
    props.extend(place(line.domain, &balloon.info)?);
    line.device(props);
    Ok(())
}

/// Writes sources of random numbers.
pub(crate) fn rngs(line: &mut Line<'_>) -> Result<()> {
    for rng in &line.domain.devices.rngs {
        let id = alias(&rng.info)?;
        let backend =
            rng.backend.as_ref().ok_or_else(|| unsupported("an <rng> without a <backend>"))?;
        let object = format!("obj{id}");
        let props = match backend.model {
            RngModel::Random => Props::object("rng-random", object.clone())
                .with("filename", backend.path.clone().unwrap_or("/dev/random".to_owned())),
            RngModel::Builtin => Props::object("rng-builtin", object.clone()),
            RngModel::Egd => {
                let kind =
                    backend.kind.ok_or_else(|| unsupported("an egd <backend> without a type"))?;
                End { kind, backend: &backend.chardev, alias: id, spice: "" }.write(line)?;
                Props::object("rng-egd", object.clone()).with("chardev", format!("char{id}"))
            }
        };
        line.object(props);
        let options = rng.driver.as_ref().map(|driver| &driver.virtio);
        let mut card = virtio("virtio-rng", &rng.info, Some(rng.model), options)?
            .with("rng", object)
            .with("id", id.to_owned());
        if let Some(rate) = &rng.rate {
            card.set("max-bytes", rate.bytes);
            card.set("period", rate.period.filter(|period| *period > 0).unwrap_or(1000));
        }
        card.extend(place(line.domain, &rng.info)?);
        line.device(card);
    }
    Ok(())
}

/// Writes what tells the host that a guest has panicked.
pub(crate) fn panics(line: &mut Line<'_>) -> Result<()> {
    for panic in &line.domain.devices.panics {
        let mut props = match panic.model {
            Some(PanicModel::Isa) => {
                let mut props = Props::device("pvpanic");
                if let Some(virtus_xml::domain::address::Address::Isa { iobase, .. }) =
                    &panic.info.address
                {
                    props = props.maybe("ioport", iobase.map(|port| port.0));
                }
                line.device(props);
                continue;
            }
            Some(PanicModel::Pvpanic) => Props::device("pvpanic-pci"),
            _ => continue,
        };
        props.extend(place(line.domain, &panic.info)?);
        line.device(props);
    }
    Ok(())
}

/// Writes shared memory.
pub(crate) fn shmems(line: &mut Line<'_>) -> Result<()> {
    for shmem in &line.domain.devices.shmems {
        let id = alias(&shmem.info)?.to_owned();
        match shmem.model.as_ref().map(|model| model.kind) {
            Some(ShmemModelType::IvshmemPlain) => plain_shmem(line, shmem, &id)?,
            Some(ShmemModelType::IvshmemDoorbell) => doorbell_shmem(line, shmem, &id)?,
            _ => return Err(unsupported("shmem model 'ivshmem'")),
        }
    }
    Ok(())
}

fn plain_shmem(line: &mut Line<'_>, shmem: &Shmem, id: &str) -> Result<()> {
    let object = format!("shmmem-{id}");
    line.object(
        Props::object("memory-backend-file", object.clone())
            .with("mem-path", format!("/dev/shm/{}", shmem.name))
            .with("size", shmem.size.map_or(4 << 20, |size| size.bytes))
            .with("share", true),
    );
    let master = shmem.role.map(|role| super::argv::on_off(role.as_str() == "master"));
    let props = Props::device("ivshmem-plain")
        .with("id", id.to_owned())
        .with("memdev", object)
        .maybe("master", master);
    shmem_card(line, shmem, props)
}

fn shmem_card(line: &mut Line<'_>, shmem: &Shmem, props: Props) -> Result<()> {
    let msi = shmem.msi.as_ref();
    let mut props = props
        .maybe("vectors", msi.and_then(|msi| msi.vectors))
        .maybe("ioeventfd", msi.and_then(|msi| msi.ioeventfd).map(OnOff::is_on));
    props.extend(place(line.domain, &shmem.info)?);
    line.device(props);
    Ok(())
}

fn doorbell_shmem(line: &mut Line<'_>, shmem: &Shmem, id: &str) -> Result<()> {
    let chardev = format!("char{id}");
    let props = Props::device("ivshmem-doorbell")
        .with("id", id.to_owned())
        .with("chardev", chardev.clone());
    shmem_card(line, shmem, props)?;
    let path = shmem
        .server
        .as_ref()
        .and_then(|server| server.path.clone())
        .unwrap_or_else(|| format!("/var/lib/libvirt/shmem-{}-sock", shmem.name));
    Backend::socket(chardev, Socket::call(path)).write(line);
    Ok(())
}

/// Writes the IOMMU.
pub(crate) fn iommu(line: &mut Line<'_>) -> Result<()> {
    let Some(iommu) = &line.domain.devices.iommu else { return Ok(()) };
    match iommu.model {
        IommuModel::Intel => {
            let mut props = Props::device("intel-iommu").with("id", "iommu0");
            if let Some(driver) = &iommu.driver {
                props = props
                    .maybe("intremap", driver.intremap.map(|on| on.as_str()))
                    .maybe("caching-mode", driver.caching_mode.map(OnOff::is_on))
                    .maybe("eim", driver.eim.map(|on| on.as_str()))
                    .maybe("device-iotlb", driver.iotlb.map(OnOff::is_on))
                    .maybe("aw-bits", driver.aw_bits)
                    .maybe("dma-translation", driver.dma_translation.map(OnOff::is_on));
            }
            line.device(props);
        }
        IommuModel::Virtio => {
            let mut props =
                Props::device("virtio-iommu").with("id", alias(&iommu.info)?.to_owned());
            props.extend(place(line.domain, &iommu.info)?);
            line.device(props);
        }
        // The machine itself has it.
        IommuModel::Smmuv3 => {}
    }
    Ok(())
}

/// Writes the vsock device.
pub(crate) fn vsock(line: &mut Line<'_>) -> Result<()> {
    let Some(vsock) = &line.domain.devices.vsock else { return Ok(()) };
    let cid = vsock
        .cid
        .as_ref()
        .and_then(|cid| cid.address)
        .ok_or_else(|| unsupported("a vsock device whose CID was not chosen"))?;
    let fd = line.cx.fd(&FdKey::VhostVsock)?;
    let options = vsock.driver.as_ref().map(|driver| &driver.virtio);
    let mut props = virtio("vhost-vsock", &vsock.info, vsock.model, options)?
        .with("id", alias(&vsock.info)?.to_owned())
        .with("guest-cid", cid)
        .with("vhostfd", fd.to_string());
    props.extend(place(line.domain, &vsock.info)?);
    line.device(props);
    Ok(())
}

/// Writes crypto devices.
pub(crate) fn cryptos(line: &mut Line<'_>) -> Result<()> {
    for crypto in &line.domain.devices.cryptos {
        let id = alias(&crypto.info)?.to_owned();
        let object = format!("obj{id}");
        let backend = crypto.backend.as_ref();
        let kind = backend.map_or("builtin", |backend| backend.model.as_str());
        line.object(
            Props::object(&format!("cryptodev-backend-{kind}"), object.clone())
                .maybe("queues", backend.and_then(|backend| backend.queues)),
        );
        let options = crypto.driver.as_ref().map(|driver| &driver.virtio);
        let mut props = virtio("virtio-crypto", &crypto.info, None::<VirtioModel>, options)?
            .with("cryptodev", object)
            .with("id", id);
        props.extend(place(line.domain, &crypto.info)?);
        line.device(props);
    }
    Ok(())
}

/// Writes the store that survives a crash of the guest.
pub(crate) fn pstore(line: &mut Line<'_>) -> Result<()> {
    let Some(pstore) = &line.domain.devices.pstore else { return Ok(()) };
    let id = alias(&pstore.info)?.to_owned();
    let object = format!("mem{id}");
    let path = pstore.path.clone().ok_or_else(|| unsupported("a pstore without a path"))?;
    line.object(
        Props::object("memory-backend-file", object.clone())
            .with("mem-path", path)
            .with("size", pstore.size.map_or(0, |size| size.0 << 10))
            .with("share", true),
    );
    let mut props = Props::device("acpi-erst").with("id", id).with("memdev", object);
    props.extend(place(line.domain, &pstore.info)?);
    line.device(props);
    Ok(())
}

/// Writes what describes a crashed guest to the host.
pub(crate) fn vmcoreinfo(line: &mut Line<'_>) -> Result<()> {
    let Some(state) = &line.domain.features.vmcoreinfo else { return Ok(()) };
    if state.state == Some(OnOff::Off) {
        return Ok(());
    }
    if !line.has(Flag::Vmcoreinfo) {
        return Err(unsupported("'vmcoreinfo' with this QEMU"));
    }
    line.device(Props::device("vmcoreinfo"));
    Ok(())
}

/// Writes the generation of the guest's identity.
pub(crate) fn genid(line: &mut Line<'_>) {
    if let Some(id) = line.domain.genid.and_then(|genid| genid.0) {
        line.device(
            Props::device("vmgenid")
                .with("guid", id.hyphenated().to_string())
                .with("id", "vmgenid0"),
        );
    }
}

/// Writes the threads that serve disks.
pub(crate) fn iothreads(line: &mut Line<'_>) {
    for thread in line.domain.all_iothreads() {
        let min = thread.thread_pool_min.filter(|n| *n >= 0);
        let max = thread.thread_pool_max.filter(|n| *n >= 0);
        let poll = |part: fn(&Poll) -> Option<u64>| thread.poll.as_ref().and_then(part);
        line.object(
            Props::object("iothread", format!("iothread{}", thread.id))
                .maybe("thread-pool-min", min)
                .maybe("thread-pool-max", max)
                .maybe("poll-max-ns", poll(|poll| poll.max))
                .maybe("poll-grow", poll(|poll| poll.grow))
                .maybe("poll-shrink", poll(|poll| poll.shrink)),
        );
    }
    if let Some(main) = &line.domain.defaultiothread {
        line.object(
            Props::object("main-loop", "main-loop")
                .maybe("thread-pool-min", main.thread_pool_min.filter(|n| *n >= 0))
                .maybe("thread-pool-max", main.thread_pool_max.filter(|n| *n >= 0)),
        );
    }
}
