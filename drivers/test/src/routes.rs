// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which calls the driver answers beside those that every local hypervisor answers the same way. One topic a file.

mod capabilities;
mod connect;
mod node;

use virtus_core::Routes;

use crate::world::World;

/// The routes of the driver.
pub(crate) fn routes() -> Routes<World> {
    virtus_domain::routes::routes::<World>()
        .include(connect::routes())
        .include(capabilities::routes())
        .include(node::routes())
}

/// A length or count as the wire has it; what does not fit is cut off at the type's end.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
