// SPDX-License-Identifier: Apache-2.0 OR MIT
//! systemd's manager of machines, where the host has one: `machinectl` shows guests that are registered, and systemd has
//! a unit for each, its scope, in whose control group theirs are.
//!
//! ```text
//! daemon: start a process --> create: machined makes the scope, with that process in it --> the guest's groups below it
//!         guest is there ---> lead: this is its first process             it has ended --> terminate
//! ```
//! Each call has a deadline; a host without machined, or one that does not answer, runs guests all the same.

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;
use zbus::{Message, Variant};

use crate::systemd::Manager;

/// Its name among systemd's managers.
const MACHINED: &str = "machine1";
/// How long the bus and machined may take, together.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a scope that nobody waits for any more may still be made, to be forgotten.
const LATEST: Duration = Duration::from_secs(120);
/// The longest name of a machine.
const LONGEST: usize = 64;
/// Where it is if systemd runs this host.
const SYSTEMD: &str = "/run/systemd/system";

/// A guest, as machined is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its name among machines; see [`machine_name`].
    pub name: String,
    /// Its UUID.
    pub uuid: Uuid,
    /// Who runs it: `libvirt-lxc`.
    pub service: &'static str,
    /// `container` or `vm`.
    pub class: &'static str,
    /// The host's ends of its network devices, by number.
    pub interfaces: Vec<i32>,
}

impl Registration {
    /// Makes a scope for the guest, in the slice of `partition`, with process `leader` in it. The control group of the
    /// scope, as the kernel tells it; `None` where that cannot be had, and why is logged.
    pub async fn create(&self, leader: u32, partition: &str) -> Option<String> {
        if !Path::new(SYSTEMD).exists() {
            return None;
        }
        let (machine, slice) = (self.clone(), slice(partition));
        let (made, mut waiting) = oneshot::channel();
        tokio::spawn(async move {
            let scope = machine.make_scope(leader, slice);
            let scope = machine.done("registered", LATEST, scope).await;
            // Nobody may wait for it any more.
            if scope.is_some() && made.send(()).is_err() {
                machine.forget("it came too late").await;
            }
        });
        match timeout(PATIENCE, &mut waiting).await {
            Ok(made) => made.ok()?,
            Err(_) => {
                // From now on nobody waits, but it may have been made just before.
                waiting.close();
                waiting.try_recv().ok()?;
            }
        }
        let groups = std::fs::read_to_string(format!("/proc/{leader}/cgroup")).unwrap_or_default();
        let found = scope(&groups).map(str::to_owned);
        if found.is_none() {
            self.forget("it has no scope").await;
        }
        found
    }

    async fn make_scope(&self, leader: u32, slice: String) -> zbus::Result<Message> {
        let properties = vec![
            ("Slice", Variant::from(slice)),
            ("After", Variant::from(vec!["libvirtd.service", "virtlxcd.service"])),
            ("Before", Variant::from(vec!["virt-guest-shutdown.target"])),
        ];
        let Self { name, uuid, service, class, interfaces } = self;
        let id = &uuid.as_bytes()[..];
        let machine = (name, id, service, class, leader, "", interfaces, properties);
        Manager::open(MACHINED).await?.call("CreateMachineWithNetwork", &machine).await
    }

    async fn forget(&self, why: &str) {
        tracing::warn!("machine '{}' is forgotten again: {why}", self.name);
        let forget = async {
            Manager::open(MACHINED).await?.call("UnregisterMachine", &(&self.name,)).await
        };
        self.done("forgotten", PATIENCE, forget).await;
    }

    /// Says which process is the guest's first one now.
    pub async fn lead(&self, leader: u32) {
        let lead = async {
            let machined = Manager::open(MACHINED).await?;
            // It may have gone with its last leader.
            let _gone = machined.call("UnregisterMachine", &(&self.name,)).await;
            let Self { name, uuid, service, class, interfaces } = self;
            let id = &uuid.as_bytes()[..];
            let machine = (name, id, service, class, leader, "", interfaces);
            machined.call("RegisterMachineWithNetwork", &machine).await
        };
        self.done("led by its first process", PATIENCE, lead).await;
    }

    async fn done<T>(
        &self,
        what: &str,
        patience: Duration,
        work: impl Future<Output = zbus::Result<T>>,
    ) -> Option<T> {
        let cause = match timeout(patience, work).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(cause)) => cause.to_string(),
            Err(_) => format!("systemd-machined took longer than {patience:?}"),
        };
        tracing::warn!("machine '{}' is not {what}: {cause}", self.name);
        None
    }
}

/// Ends what may still be in the scope of a machine, and forgets it.
pub async fn terminate(name: &str) {
    let call = async { Manager::open(MACHINED).await?.call("TerminateMachine", &(name,)).await };
    // Mostly it went with its last process.
    if let Ok(Err(cause)) = timeout(PATIENCE, call).await {
        tracing::debug!("machine '{name}': {cause}");
    }
}

/// The name of a guest among machines, of which its number makes it the only one: libvirt's.
#[must_use]
pub fn machine_name(driver: &str, number: u32, name: &str) -> String {
    let mut machine = format!("{driver}-{number}-");
    for c in name.chars() {
        let after_dash = machine.ends_with(['-', '.']);
        let fits = c.is_ascii_alphanumeric() || (matches!(c, '-' | '.') && !after_dash);
        if fits && machine.len() < LONGEST {
            machine.push(c);
        }
    }
    machine.trim_end_matches(['-', '.']).to_owned()
}

/// The slice of a partition: `/machine/prod` is `machine-prod.slice`.
fn slice(partition: &str) -> String {
    let parts = partition.split('/').filter(|part| !part.is_empty());
    let escaped: Vec<String> = parts.map(escape).collect();
    format!("{}.slice", escaped.join("-"))
}

/// As systemd writes names in those of units.
fn escape(part: &str) -> String {
    let mut escaped = String::new();
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("\\x{other:02x}")),
        }
    }
    escaped
}

/// The control group in systemd's own hierarchy, from the text of `/proc/PID/cgroup`, if it is a scope.
fn scope(groups: &str) -> Option<&str> {
    let own = |prefix: &str| groups.lines().find_map(move |line| line.split_once(prefix));
    let (_, group) = own(":name=systemd:").or_else(|| own("0::"))?;
    group.ends_with(".scope").then(|| group.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_libvirts() {
        assert_eq!(machine_name("lxc", 7, "web.1"), "lxc-7-web.1");
        assert_eq!(machine_name("lxc", 7, "-a_b--c é-"), "lxc-7-ab-c");
        assert_eq!(machine_name("lxc", 7, &"x".repeat(99)).len(), LONGEST);
        assert_eq!(slice("/machine"), "machine.slice");
        assert_eq!(slice("/machine/prod-1"), "machine-prod\\x2d1.slice");
    }

    #[test]
    fn the_scope_is_found_in_every_layout() {
        let group = "/machine.slice/machine-lxc\\x2d7\\x2da.scope";
        let found = Some(&group[1..]);
        assert_eq!(scope(&format!("0::{group}\n")), found);
        let hybrid = format!("3:cpu:/elsewhere\n1:name=systemd:{group}\n0::{group}\n");
        assert_eq!(scope(&hybrid), found);
        assert_eq!(scope("0::/system.slice/virtlxcd.service\n"), None);
    }
}
