// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What local hypervisors share. A new hypervisor implements [`Machine`] and gets definitions,
//! states, jobs, events, restore after a restart, and the calls that every one answers the same way.
//!
//! Invariants: one task (the actor) owns each machine and is its only writer; readers take a
//! published, immutable [`Snapshot`] and never wait; no lock is held across an `.await`.

mod actor;
mod at_rest;
pub mod bandwidth;
pub mod console;
mod context;
mod control;
mod core;
pub mod cpu;
pub mod cpu_map;
mod define;
mod definitions;
mod devices;
mod driver;
pub mod facts;
pub mod filter_bindings;
mod found;
mod handle;
mod hooks;
pub mod host_sleep;
mod hotplug;
pub mod image;
mod ink;
pub mod iotune;
pub mod jobs;
mod keeper;
pub mod keys;
pub mod leases;
mod machine;
pub mod machined;
mod machines;
pub mod moments;
pub mod named;
pub mod network_ports;
pub mod notice;
mod packed;
mod records;
mod restore;
pub mod routes;
mod shared_answer;
mod snapshot;
mod start;
pub mod state;
mod status;
pub mod switch_ports;
mod systemd;
mod tuner;
mod undo;

pub use at_rest::AtRest;
pub use context::Context;
pub use define::Leftovers;
pub use definitions::{Places, check_name};
pub use devices::{attach_to, detach_from, update_in};
pub use driver::{Local, started};
pub use facts::Facts;
pub use handle::Handle;
pub use hooks::{Before, MachineHooks};
pub use hotplug::{DeviceChange, Hotplug};
pub use jobs::{Job, Long};
pub use keeper::Keeper;
pub use machine::{
    Asked, Files, GuestChannel, Launched, Machine, Notices, Origin, Start, Stop, Usage, unsupported,
};
pub use machines::Machines;
pub use notice::{End, Notice, Pause, PowerOff};
pub use routes::{HasMachines, routes};
pub use shared_answer::SharedAnswer;
pub use snapshot::{Snapshot, no_domain_uuid, not_running};
pub use start::Wishes;
pub use state::{Begin, Change, State};
pub use status::{Private, Status};
pub use tuner::{
    BlkioChange, MemoryLimits, Scheduled, Scope, Shares, Threads, Throttling, Tuner, UNLIMITED,
};
pub use undo::Undo;

#[cfg(test)]
mod tests;
