// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plugs devices into a guest that runs, out of it, and changes media.
//!
//! What QEMU is told comes from the same functions as the command line of a start. Every step that fails
//! takes the steps before it back, so that QEMU, the host and the definition agree at any time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use virtus_api::{DomainDeviceModifyFlags as Flags, Error, ErrorCode, Result};
use virtus_core::Peers;
use virtus_domain::{
    Context, DeviceChange, Hotplug, Machine, Origin, Start, attach_to, filter_bindings,
    network_ports, switch_ports, unsupported,
};
use virtus_xml::Domain;
use virtus_xml::domain::any_device::AnyDevice;
use virtus_xml::domain::disk::{Disk, DiskBus, DiskDevice};
use virtus_xml::domain::interface::{Interface, InterfaceType};
use virtus_xml::netdev::Owner;

use crate::driver::Qemu;
use crate::guest::{Guest, WORK};
use crate::image_chain;
use crate::launch::files::give_image;
use crate::launch::{Plan, look_at_files};
use crate::live;
use crate::plan::line::Line;
use crate::plan::{disk, highest_number, net, number_disk};

/// How long a caller waits for the guest to give a device up; it may do so later.
const GIVEN_UP: Duration = Duration::from_secs(5);
/// How long a device that was asked back is waited for in the background.
const EVENTUALLY: Duration = Duration::from_secs(3600);

impl Hotplug for Qemu {
    const UPDATE_FLAGS: Flags = Flags::LIVE.union(Flags::CONFIG).union(Flags::FORCE);

    async fn change_device(
        context: &Context<Self>,
        change: DeviceChange,
        device: AnyDevice,
    ) -> Result<()> {
        match change {
            DeviceChange::Attach => attach(context, device).await,
            DeviceChange::Detach => detach(context, &device).await,
            DeviceChange::Update { force } => change_medium(context, &device, force).await,
        }
    }
}

/// Plugs a device in.
async fn attach(context: &Context<Qemu>, device: AnyDevice) -> Result<()> {
    let guest = context.running()?;
    let plan = with_device(context, device.clone())?;
    match device {
        AnyDevice::Disk(new) => attach_disk(context, &guest, plan, &new.target.dev).await,
        AnyDevice::Interface(_) => attach_card(context, &guest, plan).await,
        other => Err(cannot("plugged into", other.name())),
    }
}

fn cannot(what: &str, kind: &str) -> Error {
    unsupported(format!("a <{kind}> cannot be {what} a running guest yet"))
        .hint("change the definition of the next start with --config")
}

/// The plan of a guest that has the device too.
fn with_device(context: &Context<Qemu>, device: AnyDevice) -> Result<Plan> {
    let live = context.live()?;
    let mut candidate = (*live).clone();
    attach_to(&mut candidate, device)?;
    let machine = context.machine();
    machine.complete(&mut candidate, Origin::User)?;
    if candidate.devices.controllers.len() > live.devices.controllers.len() {
        return Err(Error::new(
            ErrorCode::OperationFailed,
            "the running guest has no free slot for this device",
        )
        .hint("give it more pcie-root-port controllers for its next start"));
    }
    machine.plan(&candidate, &Start { id: live.id.unwrap_or(-1), ..Start::default() })
}

async fn attach_disk(
    context: &Context<Qemu>,
    guest: &Arc<Guest>,
    mut plan: Plan,
    dev: &str,
) -> Result<()> {
    let last = highest_number(&*context.live()?);
    let Some(place) = plan.def.devices.disks.iter().position(|disk| disk.target.dev == dev) else {
        return Err(Error::new(ErrorCode::DeviceMissing, format!("no disk '{dev}'")));
    };
    let bus = plan.def.devices.disks[place].target.bus;
    if !matches!(bus, Some(DiskBus::Virtio | DiskBus::Scsi | DiskBus::Usb)) {
        let name = bus.map_or("?", DiskBus::as_str);
        return Err(unsupported(format!("disk bus '{name}' cannot be hotplugged.")));
    }
    let new = plan.def.devices.disks.swap_remove(place);
    let new = with_images(context, new, last).await?;
    let boot = new.info.boot.as_ref().map(|boot| boot.order);
    let nodes = disk::backend(&new, &plan.context, &disk::FdSets::new())?;
    let device = disk::device(&plan.def, &new, &plan.context, boot)?
        .ok_or_else(|| unsupported("this disk is part of the machine"))?
        .into_value();
    guest.locks().add(&new).await?;
    let given = match give(context, &new).await {
        Ok(given) => given,
        Err(error) => {
            guest.locks().remove(&new).await;
            return Err(error);
        }
    };
    let added = add_nodes(guest, nodes).await;
    let plugged = match added {
        Ok(names) => match guest.execute("device_add", device, WORK).await {
            Ok(_) => Ok(()),
            Err(error) => {
                remove_nodes(guest, names).await;
                Err(error)
            }
        },
        Err(error) => Err(error),
    };
    if let Err(error) = plugged {
        let _ = spawn_blocking(move || virtus_host::label::restore(&given)).await;
        guest.locks().remove(&new).await;
        return Err(error);
    }
    context.machine().given.add(guest.facts.uuid, given);
    let alias = new.info.alias.clone().unwrap_or_default();
    context.change_live(|def| {
        def.devices.insert(AnyDevice::Disk(Box::new(new)));
        guest.set_disks(live::disk_sources(def));
    })?;
    tell_added(context, alias);
    Ok(())
}

/// The disk with the images that it stands on, numbered from `last` on.
async fn with_images(context: &Context<Qemu>, mut disk: Disk, last: u32) -> Result<Disk> {
    let (live, config) = (context.live()?, context.machine().config());
    let work = move || {
        live::end_chain(&mut disk);
        image_chain::find(&mut disk, &config.identity)?;
        number_disk(&mut disk, last);
        Ok(disk)
    };
    look_at_files(&live.name, work).await
}

async fn give(context: &Context<Qemu>, disk: &Disk) -> Result<Vec<virtus_host::label::Step>> {
    let (disk, config) = (disk.clone(), context.machine().config());
    spawn_blocking(move || give_image(&disk, &config)).await.map_err(|cause| {
        Error::new(ErrorCode::InternalError, format!("giving the image was broken off: {cause}"))
    })?
}

fn tell_added(context: &Context<Qemu>, alias: String) {
    context.emit(|dom| virtus_api::DomainEventDeviceAdded { dom, dev_alias: alias }.into());
}

/// Opens the images; answers the names of their nodes. One that fails closes those before it.
async fn add_nodes(
    guest: &Guest,
    nodes: Vec<(&'static str, crate::plan::Props)>,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (kind, props) in nodes {
        let name = props.get("node-name").and_then(Value::as_str).map(str::to_owned);
        let command = if kind == "-object" { "object-add" } else { "blockdev-add" };
        if let Err(error) = guest.execute(command, props.into_value(), WORK).await {
            remove_nodes(guest, names).await;
            return Err(error);
        }
        names.extend(name);
    }
    Ok(names)
}

async fn remove_nodes(guest: &Guest, names: Vec<String>) {
    for name in names.into_iter().rev() {
        let gone = guest.execute("blockdev-del", json!({ "node-name": name }), WORK).await;
        if let Err(error) = gone {
            tracing::warn!("{error}");
        }
    }
}

/// The names of the nodes of a disk that is there.
fn nodes_of(disk: &Disk, plan: &Plan) -> Result<Vec<String>> {
    let nodes = disk::backend(disk, &plan.context, &disk::FdSets::new())?;
    let names = nodes.iter().filter_map(|(_, props)| props.get("node-name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

/// The plan as it would be now, for names that are made from it.
fn plan_now(context: &Context<Qemu>) -> Result<Plan> {
    let live = context.live()?;
    context.machine().plan(&live, &Start { id: live.id.unwrap_or(-1), ..Start::default() })
}

async fn attach_card(context: &Context<Qemu>, guest: &Arc<Guest>, mut plan: Plan) -> Result<()> {
    let live = context.live()?;
    let known = |card: &Interface| live.devices.interfaces.iter().any(|old| old.mac == card.mac);
    let place = plan.def.devices.interfaces.iter().position(|card| !known(card));
    let Some(place) = place else {
        return Err(Error::new(
            ErrorCode::OperationInvalid,
            "the guest has this interface already",
        ));
    };
    let card = &mut plan.def.devices.interfaces[place];
    if card.kind != InterfaceType::User {
        return Err(unsupported(format!(
            "an interface of type '{}' cannot be plugged into a running guest yet",
            card.kind
        )));
    }
    let number = (0..).find(|number| {
        let alias = format!("net{number}");
        !live.devices.interfaces.iter().any(|old| old.info.alias.as_deref() == Some(&alias))
    });
    card.info.alias = number.map(|number: u32| format!("net{number}"));
    let card = card.clone();
    let mut line = Line::new(&plan.def, &plan.caps, &plan.context);
    let netdev = net::backend(&mut line, &card)?.into_value();
    let device = net::device(&line, &card, None)?.into_value();
    let id = netdev["id"].clone();
    guest.execute("netdev_add", netdev, WORK).await?;
    if let Err(error) = guest.execute("device_add", device, WORK).await {
        if let Err(error) = guest.execute("netdev_del", json!({ "id": id }), WORK).await {
            tracing::warn!("{error}");
        }
        return Err(error);
    }
    let alias = card.info.alias.clone().unwrap_or_default();
    context.change_live(|def| def.devices.interfaces.push(card))?;
    tell_added(context, alias);
    Ok(())
}

/// What is left on the host's side when the guest has given a device up.
enum Rest {
    Disk { names: Vec<String>, disk: Box<Disk> },
    Netdev { id: String, card: Box<Interface>, owner: Owner, peers: Peers },
}

/// Asks the guest to give a device up, and waits a little; it may do so later.
async fn detach(context: &Context<Qemu>, device: &AnyDevice) -> Result<()> {
    let guest = context.running()?;
    let live = context.live()?;
    let (alias, rest) = match device {
        AnyDevice::Disk(wanted) => {
            let disk = find_disk(&live, &wanted.target.dev)?;
            let names = nodes_of(disk, &plan_now(context)?)?;
            (disk.info.alias.clone(), Rest::Disk { names, disk: Box::new(disk.clone()) })
        }
        AnyDevice::Interface(wanted) => {
            let mut cards = live.devices.interfaces.iter();
            let card = cards.find(|card| card.mac == wanted.mac).ok_or_else(|| {
                Error::new(ErrorCode::DeviceMissing, "no interface with this address")
            })?;
            let alias = card.info.alias.clone();
            let id = format!("host{}", alias.as_deref().unwrap_or_default());
            let (card, peers) = (Box::new(card.clone()), context.machine().peers.clone());
            (alias, Rest::Netdev { id, card, owner: network_ports::owner(&live), peers })
        }
        other => return Err(cannot("taken out of", other.name())),
    };
    let alias = alias.unwrap_or_default();
    let gone = guest.unplugged.subscribe();
    guest.execute("device_del", json!({ "id": alias }), WORK).await?;
    let cleaned = tokio::spawn(clean_when_gone(guest, gone, alias.clone(), rest));
    if let Ok(Ok(true)) = timeout(GIVEN_UP, cleaned).await {
        context.change_live(|def| def.devices.take(&alias))?;
    }
    Ok(())
}

fn find_disk<'a>(def: &'a Domain, dev: &str) -> Result<&'a Disk> {
    def.devices.disks.iter().find(|disk| disk.target.dev == dev).ok_or_else(|| {
        Error::new(ErrorCode::DeviceMissing, format!("no target device {dev}"))
            .hint(format!("see the disks of the domain with 'virsh domblklist {}'", def.name))
    })
}

/// Whether the guest gave the device up; then what was behind it is closed.
async fn clean_when_gone(
    guest: Arc<Guest>,
    mut gone: broadcast::Receiver<String>,
    alias: String,
    rest: Rest,
) -> bool {
    let wait = async {
        loop {
            match gone.recv().await {
                Ok(other) if other != alias => {}
                Ok(_) => return true,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return false,
            }
        }
    };
    let given_up = tokio::select! {
        given_up = timeout(EVENTUALLY, wait) => given_up.unwrap_or(false),
        _ = guest.process.exited() => false,
    };
    if !given_up {
        return false;
    }
    match rest {
        Rest::Disk { names, disk } => {
            remove_nodes(&guest, names).await;
            guest.locks().remove(&disk).await;
        }
        Rest::Netdev { id, card, owner, peers } => {
            if let Err(error) = guest.execute("netdev_del", json!({ "id": id }), WORK).await {
                tracing::warn!("{error}");
            }
            let cards = std::slice::from_ref(&*card);
            filter_bindings::unbind(&peers, cards).await;
            switch_ports::leave(&owner, cards).await;
            network_ports::release(&peers, cards).await;
        }
    }
    true
}

/// Puts another medium into a drive, or takes it out.
async fn change_medium(context: &Context<Qemu>, device: &AnyDevice, force: bool) -> Result<()> {
    let AnyDevice::Disk(wanted) = device else {
        return Err(cannot("changed in", device.name()));
    };
    let guest = context.running()?;
    let live = context.live()?;
    let old = find_disk(&live, &wanted.target.dev)?.clone();
    if !matches!(old.device, DiskDevice::Cdrom | DiskDevice::Floppy) {
        let text = format!("disk '{}' cannot be changed while the guest runs", wanted.target.dev);
        return Err(Error::new(ErrorCode::OperationUnsupported, text)
            .hint("only the media of CD-ROM and floppy drives can"));
    }
    let plan = plan_now(context)?;
    let mut new = old.clone();
    new.kind = wanted.kind;
    new.source.clone_from(&wanted.source);
    new.backing_store = None;
    if wanted.driver.is_some() {
        new.driver.clone_from(&wanted.driver);
    }
    let new = with_images(context, new, highest_number(&live)).await?;
    let given = if new.source.is_some() { give(context, &new).await? } else { Vec::new() };
    let id = old.info.alias.clone().unwrap_or_default();
    let swapped = swap(&guest, &id, &old, &new, &plan, force).await;
    if let Err(error) = swapped {
        let _ = spawn_blocking(move || virtus_host::label::restore(&given)).await;
        return Err(error);
    }
    context.machine().given.add(guest.facts.uuid, given);
    context.change_live(|def| {
        let mut disks = def.devices.disks.iter_mut();
        if let Some(disk) = disks.find(|disk| disk.target.dev == new.target.dev) {
            *disk = new;
        }
        guest.set_disks(live::disk_sources(def));
    })
}

async fn swap(
    guest: &Guest,
    id: &str,
    old: &Disk,
    new: &Disk,
    plan: &Plan,
    force: bool,
) -> Result<()> {
    let opening = json!({ "id": id, "force": force });
    guest.execute("blockdev-open-tray", opening, WORK).await?;
    if old.source.is_some() {
        guest.execute("blockdev-remove-medium", json!({ "id": id }), WORK).await?;
        remove_nodes(guest, nodes_of(old, plan)?).await;
    }
    if new.source.is_some() {
        let names =
            add_nodes(guest, disk::backend(new, &plan.context, &disk::FdSets::new())?).await?;
        if let Some(top) = names.last() {
            let insert = json!({ "id": id, "node-name": top });
            guest.execute("blockdev-insert-medium", insert, WORK).await?;
        }
    }
    guest.execute("blockdev-close-tray", json!({ "id": id }), WORK).await.map(drop)
}
