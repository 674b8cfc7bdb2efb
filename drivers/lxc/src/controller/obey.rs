// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Carries out a daemon's orders, and notes them in the blueprint, so that the next boot has what this one has.

use rustix::io::Errno;

use super::boot::Boot;
use super::dev;
use super::held::Held;
use super::network::Network;
use crate::blueprint::Blueprint;
use crate::failure::{Attempt, Failure, Step};
use crate::orders::Order;

/// Carries out one order.
pub(super) fn obey(
    order: Order,
    boot: &mut Boot,
    held: &mut Held,
    blueprint: &mut Blueprint,
) -> Step<()> {
    match order {
        Order::MakeDevice(node) | Order::MakeHeldDevice(node) => {
            // The container's root may have moved the file away: what is held belongs to the first.
            if blueprint.devices.iter().any(|known| known.path == node.path) {
                return Err(Errno::EXIST)
                    .attempt(|| format!("make the device file '/dev/{}'", node.path.display()));
            }
            dev::make(&boot.dev, &node)?;
            if let Err(failure) = held.hold(&node) {
                boot.dev.remove(&node.path)?;
                return Err(failure);
            }
            blueprint.devices.push(node);
        }
        Order::RemoveDevice(path) => {
            match boot.dev.remove(&path) {
                // The container's root may have removed it.
                Err(failure) if failure.errno == libc::ENOENT => {}
                removed => removed?,
            }
            held.release(&path);
            blueprint.devices.retain(|node| node.path != path);
        }
        Order::TakeLink(link) => {
            let network = network(boot)?;
            network.take(&link)?;
            if let Err(failure) = network.set_up(&link) {
                network.give_back(&link.name)?;
                return Err(failure);
            }
            blueprint.links.push(link);
        }
        Order::GiveLinkBack(name) => {
            network(boot)?.give_back(&name)?;
            blueprint.links.retain(|link| link.name != name);
        }
        Order::SwitchLink { name, up } => {
            network(boot)?.switch(&name, up)?;
            let links = blueprint.links.iter_mut().filter(|link| link.name == name);
            links.for_each(|link| link.up = up);
        }
    }
    Ok(())
}

fn network(boot: &mut Boot) -> Step<&mut Network> {
    boot.network
        .as_mut()
        .ok_or_else(|| Failure::refused("the container has no network namespace of its own"))
}
