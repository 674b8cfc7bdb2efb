// SPDX-License-Identifier: Apache-2.0 OR MIT
//! CPU models between definitions and QEMU: what `host-model` stands for, what becomes of a definition when its
//! guest starts, and how QEMU calls features. Pure: the host's CPU and the descriptions of models are given.

mod guest;
mod host_model;
mod names;
mod offer;

pub(crate) use guest::settle;
pub use host_model::HostModel;
pub(crate) use names::{from_qemu, is_libvirts_alone, to_qemu};
pub use offer::Offer;
pub use virtus_domain::cpu::Cpus;
