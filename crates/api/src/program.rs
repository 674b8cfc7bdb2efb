// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The programs that calls belong to. How they are numbered on a socket is `virtus-wire`'s matter.

use std::fmt;

/// A set of calls that is served together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Program {
    /// libvirt's main API.
    Remote,
    /// What only the QEMU driver answers.
    Qemu,
    /// What only the LXC driver answers.
    Lxc,
    /// The daemon about itself, on its admin socket.
    Admin,
    /// The lock daemon.
    Lock,
    /// The log daemon.
    Log,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Remote, Self::Qemu, Self::Lxc, Self::Admin, Self::Lock, Self::Log];
}

/// A number that a C enum does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownValue {
    /// The C enum.
    pub of: &'static str,
    pub value: i32,
}

impl fmt::Display for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a value of {}", self.value, self.of)
    }
}

impl std::error::Error for UnknownValue {}
