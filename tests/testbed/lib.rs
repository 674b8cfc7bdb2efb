// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The testbed: a daemon in a folder and namespaces of its own, and the stock clients that talk to it.
//!
//! A test makes a [`Testbed`], which starts `virtqemud` with every path moved into a folder, and drives it from outside:
//! with `virsh`, with `python3-libvirt`, by signals. When the testbed is dropped, the kernel ends everything in its
//! namespaces, so that no test can leave a process or a mount behind. `VIRTUS_TEST_BACKEND=stock` runs the same tests
//! against an unpacked stock libvirtd, which proves the tests.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start programs and wait; no daemon's process table is near"
)]

mod admin;
mod backend;
mod bed;
mod beside;
mod container;
mod counter;
mod guest;
mod host;
mod languages;
mod lines;
mod nobody;
mod open_vswitch;
mod peer;
mod pki;
mod program;
mod run;
mod space;
mod terminal;
mod wait;
mod watch;
mod wire;

pub use backend::{Backend, built_program, daemon_program, target_folder};
pub use bed::{Options, Testbed};
pub use beside::Beside;
pub use container::{Container, debian_folder, from_archive};
pub use counter::counted;
pub use guest::{Guest, guest_folder};
pub use host::Host;
pub use languages::{go_obstacle, go_program, perl_obstacle, script};
pub use lines::Lines;
pub use peer::NetworkPeer;
pub use pki::{Authority, Signed, write_client};
pub use program::program;
pub use run::Done;
pub use space::{Process, Space, obstacle};
pub use terminal::Terminal;
pub use wait::{DEADLINE, promptly, wait_for};
pub use wire::{Answer, Raw};

/// What a test and its helpers answer; the text of the error is what the person who runs the tests sees.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The error with which a test says that it cannot run here, and why.
#[derive(Debug)]
pub struct Skip(pub String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}
