// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How libvirt's objects look on paper: text -> typed values -> text.
//!
//! One declaration ([`element!`], [`spellings!`]) gives an element its struct, reader, writer and schema;
//! what is irregular stands by hand in the same file. `domain` holds the elements of a domain.
//!
//! Invariants: no I/O, no `unsafe`; time and memory are bounded by a constant times the input; whatever is
//! read without a warning is written back; what libvirt would write is written byte for byte.

#[macro_use]
mod declare;
#[macro_use]
mod describe;
pub mod backup;
pub mod capabilities;
pub mod chance;
pub mod cpu;
pub mod cpu_map;
pub mod cpuset;
pub mod document;
pub mod domain;
pub mod domain_capabilities;
mod glance;
pub mod host_interface;
pub mod ip;
pub mod limits;
mod malformed;
pub mod moment;
pub mod names;
mod nearest;
pub mod netdev;
pub mod network;
pub mod network_port;
pub mod node_device;
mod note;
pub mod nwfilter;
pub mod pool;
pub mod reader;
pub mod schema;
pub mod secret;
pub mod settle;
pub mod slot;
pub mod status;
pub mod tree;
pub mod units;
mod validate;
pub mod value;
pub mod volume;
pub mod writer;

pub use backup::Backup;
pub use capabilities::Capabilities;
pub use cpu::CpuDocument;
pub use document::{Document, parse_any};
pub use domain::Domain;
pub use domain::any_device::AnyDevice;
pub use domain_capabilities::DomainCapabilities;
pub use glance::{Glance, glance};
pub use host_interface::HostInterface;
pub use moment::{Checkpoint, Snapshot};
pub use network::Network;
pub use network_port::NetworkPort;
pub use node_device::NodeDevice;
pub use note::{Note, Noted};
pub use nwfilter::{Nwfilter, NwfilterBinding};
pub use pool::StoragePool;
pub use pool::capabilities::PoolCapabilities;
pub use pool::sources::PoolSources;
pub use reader::{ParseFlags, Parsed, Warning};
pub use secret::Secret;
pub use status::Status;
pub use volume::{Volume, VolumeFlags};
pub use writer::FormatFlags;
