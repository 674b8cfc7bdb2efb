// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a machine is held to a share of the host: on paper, and while it runs. One topic a file.

mod blkio;
mod block;
mod memory;
mod numa;
pub(super) mod pinning;
mod scheduler;

use virtus_api::{TypedParam, TypedParameterFlags};
use virtus_core::Routes;

pub use self::scheduler::scheduler_routes;
use super::HasMachines;
use crate::tuner::{Shares, Tuner};

/// Clients that can read texts say so.
pub const TYPED_STRINGS: u32 = TypedParameterFlags::OKAY.bits();

/// What every driver answers whose machines can be held to a share of memory and disks.
#[must_use]
pub fn share_routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Shares,
{
    memory::routes().include(blkio::routes())
}

/// What every driver answers whose machines can be tuned in all that they have.
#[must_use]
pub fn tuning_routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Tuner,
{
    share_routes().include(pinning::routes()).include(numa::routes()).include(block::routes())
}

/// The parameters for which a client has room, and how many there are: with no room it only asks that.
#[must_use]
pub fn no_more_than(room: i32, mut params: Vec<TypedParam>) -> (Vec<TypedParam>, i32) {
    let room = usize::try_from(room).unwrap_or_default();
    let all = params.len();
    params.truncate(room);
    let told = if room == 0 { all } else { params.len() };
    (params, i32::try_from(told).unwrap_or(i32::MAX))
}
