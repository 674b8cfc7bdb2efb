// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CPU models between definitions and QEMU: what `host-model` stands for, what becomes of a definition when its
//! guest starts, and how QEMU calls features. Pure: the host's CPU and the descriptions of models are given.

mod guest;
mod host;
mod host_model;
mod names;
mod offer;

use std::sync::Arc;

use virtus_domain::cpu::{CpuMap, Profile};

pub(crate) use guest::settle;
pub use host_model::HostModel;
pub(crate) use names::{from_qemu, is_libvirts_alone, to_qemu};
pub use offer::Offer;

/// What is known of CPUs on this host.
#[derive(Debug, Clone, Default)]
pub struct Cpus {
    /// The descriptions of models.
    pub map: Arc<CpuMap>,
    /// The host's architecture.
    pub arch: String,
    /// The host's own CPU, if its model is known.
    pub host: Option<Profile>,
    /// The width of the host's physical addresses in bits; 0 if it is not known.
    pub address_bits: u32,
}
