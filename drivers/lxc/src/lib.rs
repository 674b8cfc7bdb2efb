// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Containers of this host's own kernel.
//!
//! A container belongs to a process of its own, its **controller** (the program `libvirt_lxc`), which
//! outlives the daemon:
//!
//! ```text
//! definition --plan--> Blueprint --Starting::begin--> controller --clone--> init
//!                                   ^ "ready", Run ^     |
//!                     daemon  <------ monitor socket ----+   (init's pid, how it ended)
//! ```
//! [`blueprint`] is all that a controller is told; [`launch`] starts one; [`monitor`] is what it tells a daemon
//! afterwards, in the words of libvirt's own controller; [`orders`] change a container that runs; [`controller`] is the
//! program itself.
//!
//! Invariant: the controller has one thread, no runtime and no XML; nothing in it follows a symbolic link
//! of a container's file system.

pub mod blueprint;
mod complete;
mod config;
mod container;
pub mod controller;
mod disk_file;
mod driver;
mod end;
pub mod failure;
mod home;
mod hotplug;
mod initctl;
pub mod launch;
mod log;
mod machine;
pub mod monitor;
pub mod native;
pub mod orders;
mod paths;
mod plan;
mod reattach;
mod rehearsal;
mod routes;
mod start;
mod terminal;
mod tuning;
mod update;
mod validate;
mod watch;

pub use complete::complete;
pub use driver::DRIVER;
