// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The QEMU driver.
//!
//! `caps` knows what a QEMU binary can do, `complete` and `plan` decide what a definition means and what is
//! executed, `launch` executes it, `events` hears what becomes of it, `routes` answers calls. `qmp` talks to
//! the monitor and `agent` to the agent inside the guest. Invariants: no wait in this crate is without a
//! deadline; `complete` and `plan` do no I/O.

pub mod agent;
pub mod bitmaps;
pub mod caps;
mod clean_up;
pub mod complete;
mod config;
#[cfg(test)]
mod corpus;
pub mod cpu;
mod cpu_map;
mod descriptor_files;
pub mod domain_caps;
mod driver;
mod events;
pub mod firmware;
mod given;
mod guest;
pub mod guest_caps;
mod guest_log;
mod hotplug;
mod hypervisor;
mod image_chain;
mod image_size;
mod launch;
mod live;
mod locks;
mod log_keeper;
mod machine;
mod paths;
pub mod plan;
mod ports;
pub mod qmp;
mod readings;
mod reattach;
mod rehearsal;
mod routes;
mod scheduler;
mod stop;
mod tuning;
pub mod validate;
mod vcpus;
pub mod vhost_user;

pub use driver::DRIVER;
