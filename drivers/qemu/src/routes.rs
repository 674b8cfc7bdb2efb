// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which calls the driver answers: its support matrix, together with those that every local hypervisor
//! answers the same way. What is in neither answers `VIR_ERR_NO_SUPPORT`. One topic a file.

mod agent;
mod agent_timeout;
mod block_info;
mod block_stats;
pub(crate) mod capabilities;
mod connect;
pub(crate) mod console;
mod cpu;
mod dirty_rate;
mod disks;
pub(crate) mod domain_capabilities;
mod guest_info;
mod guest_vcpus;
mod interface_stats;
pub(crate) mod iothreads;
mod keys;
mod memory;
mod messages;
mod monitor;
mod native;
mod screenshot;
mod security;
mod ssh_keys;
mod stats;
mod supports;
mod vcpus;

use std::sync::Arc;

use virtus_api::{DomainRef, Result};
use virtus_core::Routes;
use virtus_domain::routes::{
    by, device_routes, find, no_more_than, node_routes, scheduler_routes, tuning_routes,
};
use virtus_domain::{Snapshot, not_running};

use crate::driver::QemuDriver;
use crate::guest::Guest;

/// The routes of the driver.
pub(crate) fn routes() -> Routes<QemuDriver> {
    virtus_domain::routes::routes::<QemuDriver>()
        .include(connection())
        .include(cpu::routes())
        .include(resources())
        .include(guest())
        .include(device_routes())
        .include(console::routes())
        .include(keys::routes())
        .include(monitor::routes())
        .include(native::routes())
        .include(screenshot::routes())
        .include(agent_timeout::routes())
        .include(guest_vcpus::routes())
        .include(messages::routes())
        .include(security::routes())
        .include(ssh_keys::routes())
        .include(supports::routes())
}

/// The connection and the host.
fn connection() -> Routes<QemuDriver> {
    node_routes()
        .on(by(connect::get_type))
        .on(by(connect::get_version))
        .on(by(connect::get_max_vcpus))
        .on(by(capabilities::get))
        .on(by(domain_capabilities::get))
}

/// What a guest uses and may use.
fn resources() -> Routes<QemuDriver> {
    tuning_routes()
        .include(stats::routes())
        .include(vcpus::routes())
        .include(iothreads::routes())
        .include(scheduler_routes())
        .include(dirty_rate::routes())
        .include(memory::routes())
        .include(block_stats::routes())
        .include(block_info::routes())
        .include(interface_stats::routes())
}

/// What the guest's agent is asked for.
fn guest() -> Routes<QemuDriver> {
    Routes::new()
        .on(by(agent::command))
        .on(by(agent::get_time))
        .on(by(agent::set_time))
        .on(by(agent::freeze))
        .on(by(agent::thaw))
        .on(by(agent::trim))
        .on(by(agent::set_password))
        .on(by(agent::suspend_for))
        .on(by(agent::wake_up))
        .on(by(guest_info::get_fsinfo))
        .on(by(guest_info::get))
        .on(by(guest_info::get_hostname))
        .on(by(guest_info::get_addresses))
}

/// A guest that runs, and what is known of it. Read beside whatever jobs it has.
fn running(driver: &QemuDriver, dom: &DomainRef) -> Result<(Arc<Guest>, Arc<Snapshot>)> {
    let (handle, snapshot) = find(driver, dom)?;
    match handle.running() {
        Some(guest) => Ok((guest, snapshot)),
        None => Err(not_running(&snapshot.name)),
    }
}

/// A length or count as the wire has it; what does not fit is cut off at the type's end.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
