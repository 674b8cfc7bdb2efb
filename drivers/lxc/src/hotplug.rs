// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Gives a running container devices of the host, and takes them away again.
//!
//! What is done inside, its controller does. Invariant: what fails half-way is taken back.

use virtus_api::{DomainDeviceModifyFlags as Flags, Error, ErrorCode, Result};
use virtus_domain::{
    Context, DeviceChange, Hotplug, Undo, attach_to, detach_from, filter_bindings, network_ports,
    switch_ports, unsupported,
};
use virtus_host::cgroup::DeviceRule;
use virtus_xml::Domain;
use virtus_xml::domain::any_device::AnyDevice;
use virtus_xml::domain::hostdev::HostdevType;
use virtus_xml::domain::interface::Interface;

use crate::blueprint::{DeviceNode, allowed_devices};
use crate::complete::{MAC_PREFIX, random};
use crate::container::Container;
use crate::disk_file;
use crate::driver::Lxc;
use crate::end::remove_link;
use crate::orders::{Order, give};
use crate::plan::{self, HostNode, device_node, disk_node};
use crate::start::{connect, find_usb, node};
use crate::update::update;
use crate::validate::validate;

impl Hotplug for Lxc {
    const UPDATE_FLAGS: Flags = Flags::LIVE.union(Flags::CONFIG);

    async fn change_device(
        context: &Context<Self>,
        change: DeviceChange,
        device: AnyDevice,
    ) -> Result<()> {
        match change {
            DeviceChange::Attach => attach(context, device).await,
            DeviceChange::Detach => detach(context, device).await,
            DeviceChange::Update { .. } => update(context, device).await,
        }
    }
}

/// Gives a container a device.
async fn attach(context: &Context<Lxc>, mut device: AnyDevice) -> Result<()> {
    let live = context.live()?;
    settle(&mut device).await?;
    let mut wanted = (*live).clone();
    attach_to(&mut wanted, device.clone())?;
    wanted.name_missing(MAC_PREFIX, &mut random);
    validate(&wanted)?;
    plan::name_devices(&mut wanted);
    match device {
        AnyDevice::Interface(_) => {
            let number = live.devices.interfaces.len();
            let new = wanted.devices.interfaces.get_mut(number);
            plug_in(context, new.ok_or_else(|| cannot("attached", "interface"))?, number).await?;
        }
        AnyDevice::Disk(disk) => {
            let mut disks = wanted.devices.disks.iter_mut();
            let new = disks.find(|new| new.target.dev == disk.target.dev);
            let new = new.ok_or_else(|| cannot("attached", "disk"))?;
            let _until_the_controller_has_it = disk_file::lend(new).await?;
            let host = disk_node(new)?;
            add(context, &wanted, &host).await?;
        }
        AnyDevice::Hostdev(device) if device.kind != HostdevType::Net => {
            add(context, &wanted, &device_node(&device)?).await?;
        }
        other => return Err(cannot("attached", other.name())),
    }
    context.change_live(|def| *def = wanted)
}

/// Takes a device away from a container.
async fn detach(context: &Context<Lxc>, mut device: AnyDevice) -> Result<()> {
    let live = context.live()?;
    settle(&mut device).await?;
    let mut left = (*live).clone();
    detach_from(&mut left, device.clone())?;
    match device {
        AnyDevice::Interface(card) => {
            let mut cards = live.devices.interfaces.iter();
            let known = cards.find(|known| known.mac_address() == card.mac_address());
            unplug(context, known.unwrap_or(&card)).await?;
        }
        AnyDevice::Disk(disk) => {
            let mut disks = live.devices.disks.iter();
            let known = disks.find(|known| known.target.dev == disk.target.dev);
            let known = known.unwrap_or(&disk);
            remove(context, &left, &disk_node(known)?).await?;
            disk_file::take_back(std::slice::from_ref(known)).await;
        }
        AnyDevice::Hostdev(device) if device.kind != HostdevType::Net => {
            remove(context, &left, &device_node(&device)?).await?;
        }
        other => return Err(cannot("detached", other.name())),
    }
    context.change_live(|def| *def = left)
}

/// Fills in what the host knows of a device.
async fn settle(device: &mut AnyDevice) -> Result<()> {
    match device {
        AnyDevice::Hostdev(device) => find_usb(device).await,
        _ => Ok(()),
    }
}

fn cannot(what: &str, kind: &str) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, format!("device type '{kind}' cannot be {what}"))
        .hint("change the next start's definition with '--config'")
}

/// Has the controller change something inside.
pub(crate) async fn order(context: &Context<Lxc>, order: &Order) -> Result<()> {
    let socket = context.machine().places.socket(&context.live()?.name);
    give(&socket, order).await
}

/// Makes a network device and moves it into the container.
async fn plug_in(context: &Context<Lxc>, interface: &mut Interface, number: usize) -> Result<()> {
    let mut undo = Undo::new();
    let owner = network_ports::owner(&*context.live()?);
    let peers = &context.machine().peers;
    let link = connect(peers, &owner, number, interface, &mut undo).await?;
    order(context, &Order::TakeLink(link)).await?;
    undo.keep();
    Ok(())
}

/// Brings a network device back and removes it.
async fn unplug(context: &Context<Lxc>, interface: &Interface) -> Result<()> {
    let inner = interface.guest.as_ref().and_then(|guest| guest.actual.clone());
    let (Some(end), Some(inner)) = (interface.target_dev(), inner) else {
        let text = "only interfaces with a device on this host can be detached";
        return Err(
            unsupported(text).hint("detach it from the next start's definition: '--config'")
        );
    };
    // A container may have renamed or removed it; with the host's end it is gone in any case.
    if let Err(error) = order(context, &Order::GiveLinkBack(inner)).await {
        tracing::debug!("{error}");
    }
    let cards = std::slice::from_ref(interface);
    filter_bindings::unbind(&context.machine().peers, cards).await;
    switch_ports::leave(&network_ports::owner(&*context.live()?), cards).await;
    remove_link(end);
    network_ports::release(&context.machine().peers, cards).await;
    Ok(())
}

/// Makes a device file in the container and allows its use.
async fn add(context: &Context<Lxc>, wanted: &Domain, host: &HostNode) -> Result<()> {
    let container = context.running()?;
    let device = node(host).await?;
    allow(&container, wanted, &device).await?;
    let make = if host.fleeting { Order::MakeHeldDevice } else { Order::MakeDevice };
    let made = order(context, &make(device.clone())).await;
    if made.is_err()
        && let Err(error) = forbid(&container, &*context.live()?, &device).await
    {
        tracing::warn!("{error}");
    }
    made
}

/// Forbids the use of a device, also to who has it open, and removes its file.
async fn remove(context: &Context<Lxc>, left: &Domain, host: &HostNode) -> Result<()> {
    let device = node(host).await?;
    forbid(&*context.running()?, left, &device).await?;
    order(context, &Order::RemoveDevice(device.path)).await
}

/// The rules for all devices of a definition.
async fn rules(def: &Domain) -> Result<Vec<DeviceRule>> {
    let mut nodes = DeviceNode::standard();
    for host in plan::nodes(def)? {
        nodes.push(node(&host).await?);
    }
    Ok(allowed_devices(&nodes))
}

async fn allow(container: &Container, wanted: &Domain, device: &DeviceNode) -> Result<()> {
    if container.group.asks_for_devices() {
        return container.group.set_devices(&rules(wanted).await?);
    }
    let rule = allowed_devices(std::slice::from_ref(device));
    // The group with the limits, and the one in it where the processes are.
    let groups = [container.group.clone(), container.group.child("payload")];
    groups.iter().try_for_each(|group| group.allow_device(&rule[0]))
}

async fn forbid(container: &Container, left: &Domain, device: &DeviceNode) -> Result<()> {
    if container.group.asks_for_devices() {
        return container.group.set_devices(&rules(left).await?);
    }
    let rule = allowed_devices(std::slice::from_ref(device));
    container.group.deny_device(&rule[0])
}
