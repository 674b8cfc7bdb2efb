// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The stock daemon as a peer of ours: its driver of virtual networks, in the testbed's folder and namespaces.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::run::ends_within;
use crate::space::script;
use crate::{Backend, DEADLINE, Outcome, Process, Testbed, wait_for};

/// A stock daemon that answers for virtual networks. It ends with the testbed's namespaces, if not before.
pub struct NetworkPeer<'a> {
    bed: &'a Testbed,
    child: Child,
    socket: PathBuf,
}

impl Testbed {
    /// Starts the peer and waits until it answers.
    pub fn network_peer(&self) -> Outcome<NetworkPeer<'_>> {
        let Backend::Stock(stock) = Backend::stock()? else { return Err("no stock daemon".into()) };
        self.write("etc/libvirt/libvirtd.conf", "auth_unix_rw = \"none\"\n")?;
        let log = File::create(self.path("peer.log"))?;
        let mut command = self.client_command("unshare");
        command.arg("--mount").arg(script()).arg("peer").arg(self.path("")).arg(stock);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let peer = NetworkPeer { bed: self, child, socket: self.path("run/libvirt/libvirt-sock") };
        let answers = wait_for("the peer's socket", DEADLINE, || {
            if ends_within(peer.child.id(), std::time::Duration::ZERO)? {
                return Err("the peer ended".into());
            }
            Ok(UnixStream::connect(&peer.socket).is_ok())
        });
        let log = std::fs::read_to_string(self.path("peer.log"));
        answers.map_err(|error| format!("{error}; its log:\n{}", log.unwrap_or_default()))?;
        Ok(peer)
    }
}

impl NetworkPeer<'_> {
    /// What the stock `virsh` says when it asks the peer; its failure is an error.
    pub fn virsh(&self, words: &[&str]) -> Outcome<String> {
        let uri = format!("network+unix:///system?socket={}", self.socket.display());
        let done = self.bed.run("virsh", &[&["--connect", &uri], words].concat())?;
        if done.ok() { Ok(done.out.trim_end().to_owned()) } else { Err(done.err.into()) }
    }
}

impl Drop for NetworkPeer<'_> {
    fn drop(&mut self) {
        // The child is the program that leads into the namespaces; it ends with the daemon.
        let is_peer = |process: &Process| process.words == ["/usr/sbin/libvirtd"];
        let peer = self.bed.processes().ok().and_then(|all| all.into_iter().find(is_peer));
        if let Some(peer) = peer {
            // It may have ended.
            let _ = self.bed.signal("KILL", peer.pid);
        }
        let _ = ends_within(self.child.id(), DEADLINE);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
