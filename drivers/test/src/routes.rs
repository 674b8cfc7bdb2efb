// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which calls the driver answers beside those that every local hypervisor answers the same way. One topic a file.

mod capabilities;
mod connect;
mod guest;
mod memory;
mod node;
mod saved;
mod screenshot;
mod security;
mod stats;
mod vcpus;

use std::sync::Arc;

use virtus_api::{DomainRef, Result};
use virtus_core::Routes;
use virtus_domain::routes::find;
use virtus_domain::{Snapshot, not_running};

use crate::guest::Guest;
use crate::world::World;

/// The routes of the driver.
pub(crate) fn routes() -> Routes<World> {
    virtus_domain::routes::routes::<World>()
        .include(virtus_domain::routes::moment_routes())
        .include(virtus_objects::network::routes())
        .include(virtus_objects::interface::routes())
        .include(virtus_objects::node_device::routes())
        .include(connect::routes())
        .include(capabilities::routes())
        .include(node::routes())
        .include(guest::routes())
        .include(memory::routes())
        .include(saved::routes())
        .include(screenshot::routes())
        .include(security::routes())
        .include(stats::routes())
        .include(vcpus::routes())
        .include(virtus_objects::storage::routes())
}

/// A guest that runs, and what is known of it.
fn running(world: &World, dom: &DomainRef) -> Result<(Arc<Guest>, Arc<Snapshot>)> {
    let (handle, snapshot) = find(world, dom)?;
    match handle.running() {
        Some(guest) => Ok((guest, snapshot)),
        None => Err(not_running(&snapshot.name)),
    }
}

/// A length or count as the wire has it; what does not fit is cut off at the type's end.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
