// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Linux, as the drivers need it: processes, users, labels, cgroups, network devices, facts about the host.
//!
//! Invariant: this is the only crate below the drivers that contains `unsafe`, each block with its reason.

pub mod access;
pub mod bandwidth;
pub mod blocking;
pub mod capabilities;
pub mod cgroup;
pub mod descriptor;
pub mod gssapi;
pub mod hooks;
mod kernel_file;
pub mod label;
pub mod link;
pub mod lock;
pub mod loop_device;
pub mod memory;
pub mod net;
pub mod node;
pub mod open_vswitch;
pub mod peer;
pub mod pidfile;
pub mod process;
pub mod sysinfo;
pub mod usb;
pub mod user;
