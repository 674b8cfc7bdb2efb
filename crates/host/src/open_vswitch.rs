// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Ports of Open vSwitch, by its program `ovs-vsctl`.
//!
//! What stands with a port in the switch's database is what libvirt writes there: controllers of switches find a guest's
//! card by it, and so do we. Invariant: nothing of another guest is removed, although names of devices are used again.
//! What fails leaves a port as it was, unless it timed out: its database may have taken in what the switch is yet to do.

use std::fmt::Display;
use std::time::Duration;

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::netdev::{VirtualPortParameters, Vlan};
use virtus_xml::value::{Mac, YesNo};

use crate::bandwidth::Bandwidth;
use crate::process::Run;

/// The program that tells the switch.
pub const PROGRAM: &str = "ovs-vsctl";
/// How long the switch may take, as libvirt has it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A guest's device that is a port, or becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The device on the host.
    pub device: String,
    /// Whose it is.
    pub guest: Uuid,
}

/// What a port is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The address of the guest's card, which is not that of the device.
    pub mac: Option<Mac>,
    /// Who it is for a controller of the switch.
    pub known_as: VirtualPortParameters,
    /// The VLANs that it carries; none: all.
    pub vlan: Option<Vlan>,
    /// How fast packets pass it.
    pub limits: Bandwidth,
}

impl Port {
    /// Makes the device a port of `switch` and of no other.
    ///
    /// # Errors
    /// Where there is no `ovs-vsctl` or no such switch, or Open vSwitch does not run.
    pub async fn add(&self, switch: &str, profile: &Profile) -> Result<()> {
        let Profile { mac, known_as, vlan, limits } = profile;
        let device = self.device.as_str();
        let attempt = format!("add '{device}' to the Open vSwitch bridge '{switch}'");
        let old = self.limits(&attempt).await?;
        let add = Transaction::default()
            .then(["--if-exists", "del-port", device])
            // What starts the switch anew after this host did removes it.
            .then(["add-port", switch, device, "other-config:transient=true"])
            .with(vlan.iter().flat_map(columns))
            .then(["set", "Interface", device, "external-ids:iface-status=active"])
            .with([id("vm-id", self.guest)])
            .with(mac.map(|mac| id("attached-mac", mac)))
            .with(known_as.interfaceid.map(|uuid| id("iface-id", uuid)))
            .with(known_as.profileid.as_ref().map(|profile| id("port-profile", profile)));
        let added = self.and_limit(add, *limits).run(&attempt).await;
        added.map_err(|error| match error.text().contains("no bridge named") {
            true => no_such(switch, device),
            false => error,
        })?;
        forget(&old).await;
        Ok(())
    }

    /// Puts the port into other VLANs.
    ///
    /// # Errors
    /// Where it is no port, or the switch does not answer.
    pub async fn change_vlan(&self, vlan: Option<&Vlan>) -> Result<()> {
        let device = self.device.as_str();
        let mut change =
            Transaction::default().then(["clear", "Port", device, "tag", "trunks", "vlan_mode"]);
        if let Some(vlan) = vlan {
            change = change.then(["set", "Port", device]).with(columns(vlan));
        }
        change.run(&format!("change the VLANs of the port '{device}'")).await.map(drop)
    }

    /// Limits how fast packets pass the port, in place of the limits that it has. The switch does that by itself: it would
    /// lift limits that it does not know.
    ///
    /// # Errors
    /// Where it is no port, or the switch does not answer.
    pub async fn limit(&self, limits: Bandwidth) -> Result<()> {
        let attempt = format!("limit the bandwidth of the port '{}'", self.device);
        let old = self.limits(&attempt).await?;
        self.and_limit(Transaction::default(), limits).run(&attempt).await?;
        forget(&old).await;
        Ok(())
    }

    /// Removes the port and what belongs to it. What is not there any more, or is another guest's by now, is no matter.
    ///
    /// # Errors
    /// Where the switch does not answer.
    pub async fn remove(&self) -> Result<()> {
        let device = self.device.as_str();
        let attempt = format!("remove the Open vSwitch port '{device}'");
        // They may be left of a port that is gone.
        let old = self.limits(&attempt).await?;
        let port = Transaction::default()
            .then(["--columns=name", "find", "Interface"])
            .with([format!("name={}", quoted(device)), id("vm-id", self.guest)]);
        let removed = match port.run(&attempt).await?.trim() {
            "" => Ok(()),
            _ => {
                let remove = Transaction::default().then(["--if-exists", "del-port", device]);
                remove.run(&attempt).await.map(drop)
            }
        };
        forget(&old).await;
        removed
    }

    /// The rows with the limits, which do not go with the port.
    async fn limits(&self, attempt: &str) -> Result<String> {
        let find = |table| ["--columns=_uuid", "find", table];
        let (qos, queue) = (find("QoS"), find("Queue"));
        let find = Transaction::default().then(qos).with(self.ids()).then(queue).with(self.ids());
        find.run(attempt).await
    }

    fn ids(&self) -> [String; 2] {
        [id("vm-id", self.guest), id("ifname", &self.device)]
    }

    fn and_limit(&self, all: Transaction, limits: Bandwidth) -> Transaction {
        let device = self.device.as_str();
        // The switch counts what a guest sends in kbit, what it receives in bit; kilobytes are those of `tc`.
        // What is too much for 64 bits is too much for the switch, which says so.
        let times = |amount: u64, unit| amount.saturating_mul(unit);
        let (rate, burst) = limits
            .outbound
            .map_or((0, 0), |rate| (times(rate.average, 8), times(rate.burst.unwrap_or(0), 8)));
        let sending = all
            .then(["set", "Interface", device])
            .with([format!("ingress_policing_rate={rate}")])
            .with([format!("ingress_policing_burst={burst}")])
            .then(["clear", "Port", device, "qos"]);
        let Some(rate) = limits.inbound else { return sending };
        let rates = [
            Some(("min-rate", times(rate.average, 8000))),
            Some(("max-rate", times(rate.peak.unwrap_or(rate.average), 8000))),
            rate.burst.map(|burst| ("burst", times(burst, 8192))),
        ];
        let rates = rates.into_iter().flatten();
        let row = rates.map(|(name, bits)| format!("other-config:{name}={bits}"));
        let row = row.chain(self.ids());
        sending
            .then(["set", "Port", device, "qos=@qos"])
            .then(["--id=@qos", "create", "QoS", "type=linux-htb", "queues:0=@queue"])
            .with(row.clone())
            .then(["--id=@queue", "create", "Queue"])
            .with(row)
    }
}

/// Removes rows from whichever of the tables of limits has them, once no port refers to them any more. The database does
/// that by itself.
async fn forget(limits: &str) {
    let rows = limits.split_whitespace().flat_map(|row| [("QoS", row), ("Queue", row)]);
    let gone = rows.fold(Transaction::default(), |all, (table, row)| {
        all.then(["--if-exists", "destroy", table, row])
    });
    if !gone.0.is_empty()
        && let Err(error) = gone.at_once().run("remove limits of Open vSwitch").await
    {
        tracing::warn!("{error}");
    }
}

/// What a port's row says of its VLANs.
fn columns(vlan: &Vlan) -> Vec<String> {
    let native = vlan.tags.iter().find_map(|tag| Some((tag.id, tag.native_mode?)));
    let alone = vlan.tags.first().filter(|_| vlan.trunk != Some(YesNo::Yes));
    let mut columns = Vec::new();
    if let Some((_, mode)) = native {
        columns.push(format!("vlan_mode=native-{mode}"));
    }
    let tag = native.map(|(tag, _)| tag).or(alone.map(|tag| tag.id));
    columns.extend(tag.map(|tag| format!("tag={tag}")));
    if alone.is_none() {
        let trunks: Vec<_> = vlan.tags.iter().map(|tag| tag.id.to_string()).collect();
        columns.push(format!("trunks={}", trunks.join(",")));
    }
    columns
}

fn id(name: &str, value: impl Display) -> String {
    format!("external-ids:{name}={}", quoted(value))
}

/// A text that the program takes for nothing else.
fn quoted(text: impl Display) -> String {
    format!("\"{}\"", text.to_string().replace('\\', "\\\\").replace('"', "\\\""))
}

/// Commands that the program carries out together or not at all.
#[derive(Default)]
struct Transaction(Vec<String>);

impl Transaction {
    /// Begins a further command.
    fn then<const N: usize>(self, command: [&str; N]) -> Self {
        self.with(["--".to_owned()]).with(command.map(str::to_owned))
    }

    /// Adds to the last command.
    fn with(mut self, words: impl IntoIterator<Item = String>) -> Self {
        self.0.extend(words);
        self
    }

    /// Does not wait until the switch has done it: its database is enough.
    fn at_once(mut self) -> Self {
        self.0.insert(0, "--no-wait".to_owned());
        self
    }

    /// Waits until the switch has done it; what the program prints.
    async fn run(self, attempt: &str) -> Result<String> {
        // Where the switch's database is, if not at the usual place.
        let run = Run::new(PROGRAM).change(|spawn| spawn.pass_env("OVS_RUNDIR"));
        let said = run.arg("--bare").args(self.0).succeed(PATIENCE).await.map_err(|error| {
            let error = error.context(format!("cannot {attempt}")).in_domain(ErrorDomain::Network);
            match error.hint_text() {
                Some(_) => error,
                None => error.hint("see whether it runs: 'systemctl status openvswitch-switch'"),
            }
        })?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

fn no_such(switch: &str, device: &str) -> Error {
    let text = format!("cannot add '{device}' to a bridge: Open vSwitch has no bridge '{switch}'");
    Error::new(ErrorCode::NoNetwork, text)
        .in_domain(ErrorDomain::Network)
        .hint(format!("make it (ovs-vsctl add-br {switch}), or name another one"))
}

#[cfg(test)]
mod tests {
    use virtus_xml::netdev::{NativeMode, VlanTag};

    use super::*;
    use crate::bandwidth::Rate;

    fn tagged(tags: &[(u32, Option<NativeMode>)], trunk: bool) -> String {
        let tag = |&(id, native_mode)| VlanTag { id, native_mode };
        let trunk = trunk.then_some(YesNo::Yes);
        columns(&Vlan { trunk, tags: tags.iter().map(tag).collect() }).join(" ")
    }

    #[test]
    fn vlans_are_those_of_an_access_port_or_of_a_trunk() {
        assert_eq!(tagged(&[(42, None)], false), "tag=42");
        assert_eq!(tagged(&[(42, None)], true), "trunks=42");
        assert_eq!(tagged(&[(42, None), (43, None)], true), "trunks=42,43");
        let native = [(42, None), (43, Some(NativeMode::Untagged))];
        assert_eq!(tagged(&native, true), "vlan_mode=native-untagged tag=43 trunks=42,43");
        assert_eq!(
            tagged(&[(7, Some(NativeMode::Tagged))], false),
            "vlan_mode=native-tagged tag=7"
        );
    }

    #[test]
    fn limits_are_those_of_the_switch() {
        let port = Port { device: "vnet0".to_owned(), guest: Uuid::nil() };
        let rate = Rate { average: 100, peak: Some(300), burst: Some(64) };
        let both = Bandwidth { inbound: Some(rate), outbound: Some(rate) };
        let line = port.and_limit(Transaction::default(), both).0.join(" ");
        assert!(line.contains("ingress_policing_rate=800 ingress_policing_burst=512"), "{line}");
        assert!(
            line.contains("create QoS type=linux-htb queues:0=@queue other-config:min-rate=800000"),
            "{line}"
        );
        assert!(line.contains("other-config:max-rate=2400000 other-config:burst=524288"), "{line}");
        let none = port.and_limit(Transaction::default(), Bandwidth::default()).0.join(" ");
        assert!(none.ends_with("ingress_policing_burst=0 -- clear Port vnet0 qos"), "{none}");
    }

    #[test]
    fn texts_are_no_words_of_the_program() {
        assert_eq!(id("port-profile", r#"a" b\"#), r#"external-ids:port-profile="a\" b\\""#);
    }
}
