// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which calls the driver answers beside those that every local hypervisor answers the same way. One topic a
//! file.

mod addresses;
pub(crate) mod capabilities;
mod connect;
mod console;
mod namespace;
mod native;
mod security;
mod signal;
mod stats;

use std::sync::Arc;

use virtus_api::{DomainRef, Result};
use virtus_core::Routes;
use virtus_domain::routes::{
    device_routes, files_routes, find, node_routes, scheduler_routes, share_routes,
};
use virtus_domain::{Snapshot, not_running};

use crate::container::Container;
use crate::driver::LxcDriver;

/// The routes of the driver.
pub(crate) fn routes() -> Routes<LxcDriver> {
    virtus_domain::routes::routes::<LxcDriver>()
        .include(node_routes())
        .include(scheduler_routes())
        .include(share_routes())
        .include(files_routes())
        .include(addresses::routes())
        .include(connect::routes())
        .include(capabilities::routes())
        .include(console::routes())
        .include(device_routes())
        .include(namespace::routes())
        .include(native::routes())
        .include(security::routes())
        .include(signal::routes())
        .include(stats::routes())
}

/// A container that runs, and what is known of it. Read beside whatever jobs it has.
fn running(driver: &LxcDriver, dom: &DomainRef) -> Result<(Arc<Container>, Arc<Snapshot>)> {
    let (handle, snapshot) = find(driver, dom)?;
    match handle.running() {
        Some(container) => Ok((container, snapshot)),
        None => Err(not_running(&snapshot.name)),
    }
}

/// A length or count as the wire has it; what does not fit is cut off at the type's end.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
