// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a QEMU binary can do: asked once over QMP, kept in libvirt's own cache format.
//!
//! Invariant: a [`Capabilities`] is a value; nothing here changes after it was loaded or probed, so it is
//! shared freely behind an `Arc` and the planner that reads it stays pure.

mod cache;
mod cache_xml;
mod flag;
mod flag_set;
mod interpret;
mod kvm_trial;
mod model;
mod probe;
mod replies;
mod rules;
mod schema;

pub use cache::Cache;
pub use flag::Flag;
pub use flag_set::FlagSet;
pub use interpret::Circumstances;
pub use model::{
    Accel, Accelerator, Capabilities, CpuModel, CpuProperty, CpuValue, GicVersion, HostCpu, Hyperv,
    Machine, SevInfo, SgxInfo, SgxSection,
};
pub use replies::Replies;
