// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who asks: what the transport and authentication have proved about a client.

/// What is known about the peer of a connection. Only proven facts are set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Peer's user id, from the kernel (unix sockets).
    pub uid: Option<u32>,
    /// Peer's group id, from the kernel (unix sockets).
    pub gid: Option<u32>,
    /// Peer's process id, from the kernel (unix sockets).
    pub pid: Option<i32>,
    /// Peer's process start time in clock ticks since boot: makes `pid` safe against reuse.
    pub pid_start_time: Option<u64>,
    /// Name proven by SASL.
    pub sasl_user: Option<String>,
    /// Distinguished name of the verified client certificate.
    pub x509_dname: Option<String>,
    /// SELinux context of the peer.
    pub selinux_context: Option<String>,
}
