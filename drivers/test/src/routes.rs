// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which calls the driver answers beside those that every local hypervisor answers the same way. One topic a file.

mod addresses;
mod capabilities;
mod connect;
mod devices;
mod domain_capabilities;
mod domain_stats;
mod guest;
mod interfaces;
mod iothreads;
mod memory;
mod node;
mod perf;
mod saved;
mod scheduler;
mod screenshot;
mod security;
mod stats;
mod vcpus;

use std::sync::Arc;

use virtus_api::{DomainRef, Result};
use virtus_core::Routes;
use virtus_domain::routes::{amend, find};
use virtus_domain::{Snapshot, not_running};
use virtus_xml::Domain;

use crate::guest::Guest;
use crate::strict;
use crate::world::World;

/// The routes of the driver.
pub(crate) fn routes() -> Routes<World> {
    virtus_domain::routes::routes::<World>()
        .include(virtus_domain::routes::files_routes())
        .include(virtus_domain::routes::moment_routes())
        .include(virtus_domain::routes::tuning_routes())
        .include(virtus_domain::routes::cpu_routes())
        .include(virtus_objects::network::routes())
        .include(virtus_objects::interface::routes())
        .include(virtus_objects::node_device::routes())
        .include(addresses::routes())
        .include(connect::routes())
        .include(capabilities::routes())
        .include(node::routes())
        .include(guest::routes())
        .include(memory::routes())
        .include(saved::routes())
        .include(screenshot::routes())
        .include(security::routes())
        .include(devices::routes())
        .include(domain_capabilities::routes())
        .include(domain_stats::routes())
        .include(interfaces::routes())
        .include(iothreads::routes())
        .include(perf::routes())
        .include(scheduler::routes())
        .include(stats::routes())
        .include(vcpus::routes())
        .include(virtus_objects::storage::routes())
        .guarded(strict::check)
}

/// A guest that runs, and what is known of it.
fn running(world: &World, dom: &DomainRef) -> Result<(Arc<Guest>, Arc<Snapshot>)> {
    let (handle, snapshot) = find(world, dom)?;
    match handle.running() {
        Some(guest) => Ok((guest, snapshot)),
        None => Err(not_running(&snapshot.name)),
    }
}

/// Changes the definitions that a call is for; what a guest's definition says is all there is of it.
async fn change(
    world: &World,
    dom: &DomainRef,
    flags: u32,
    name: &'static str,
    change: impl Fn(&mut Domain) -> Result<()> + Send + 'static,
) -> Result<()> {
    amend(world, dom, flags, name, change, |_, _, _, _| Ok(())).await
}

/// A length or count as the wire has it; what does not fit is cut off at the type's end.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
