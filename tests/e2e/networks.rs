// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cards on virtual networks: the driver of networks is a peer, here that of the stock daemon.

use virtus_tests::{Backend, Container, DEADLINE, Guest, NetworkPeer, Outcome, Testbed, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_missing_driver_of_networks_is_named", missing),
    ("a_container_is_plugged_into_a_network", container),
    ("a_guest_is_plugged_into_a_network", guest),
    ("a_vlan_that_nothing_would_set_is_refused", tagged),
    ("a_limited_card_is_slow", bandwidth),
];

/// A network that needs neither firewall nor helper programs.
const NETWORK: &str = "<network><name>lab</name><forward mode='open'/><bridge name='virbr7'/>\
                       <dns enable='no'/><ip address='192.168.79.1' prefix='24'/></network>";

const CARD: &str = "<interface type='network'><mac address='52:54:00:aa:bb:01'/><source network='lab'/>\
                    <ip address='192.168.79.2' family='ipv4' prefix='24'/></interface>";

/// The peer of a testbed; without the stock daemon there is none.
pub(crate) fn peer(bed: &Testbed) -> Outcome<NetworkPeer<'_>> {
    if !bed.is_ours() {
        return Err(Skip("the stock daemon asks no peer".to_owned()).into());
    }
    if let Err(error) = Backend::stock() {
        return Err(Skip(format!("no stock daemon to be the peer: {error}")).into());
    }
    let peer = bed.network_peer()?;
    let file = bed.write("lab.xml", NETWORK)?;
    peer.virsh(&["net-define", &file])?;
    Ok(peer)
}

/// The ports of the network.
fn ports(peer: &NetworkPeer<'_>) -> Outcome<Vec<String>> {
    let list = peer.virsh(&["net-port-list", "lab", "--uuid"])?;
    Ok(list.split_whitespace().map(str::to_owned).collect())
}

fn missing() -> Outcome {
    let bed = Testbed::of_containers()?;
    if !bed.is_ours() {
        return Err(Skip("the stock daemon asks no peer".to_owned()).into());
    }
    bed.define_container(&Container::busybox(&bed, "alone")?.device(CARD))?;
    let said = bed.virsh_fails("start alone")?;
    contains(&said, "virtnetworkd-sock")?;
    contains(&said, "systemctl start virtnetworkd.socket")?;
    let card = "<interface type='ethernet'><filterref filter='clean-traffic'/></interface>";
    bed.define_container(&Container::busybox(&bed, "filtered")?.device(card))?;
    contains(&bed.virsh_fails("start filtered")?, "systemctl start virtnwfilterd.socket")?;
    equal("devices left", bed.run("ip", &["-o", "link"])?.out.contains("vnet"), false)
}

fn bandwidth() -> Outcome {
    let bed = Testbed::of_containers()?;
    if !bed.run("tc", &["qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb"])?.ok() {
        return Err(Skip("this kernel's traffic control has no htb".to_owned()).into());
    }
    let card = "<interface type='ethernet'><mac address='52:54:00:aa:bb:01'/><bandwidth><inbound average='1000' burst='64'/></bandwidth></interface>";
    bed.define_container(&Container::busybox(&bed, "slow")?.device(card))?;
    bed.virsh("start slow")?;
    let class = bed.run("tc", &["class", "show", "dev", "vnet0"])?.out;
    contains(&class, "htb 1:1 root")?;
    contains(&class, "rate 8Mbit")?;
    let update = |limits: &str| {
        let file = bed.write("card.xml", &card.replace("average='1000' burst='64'/>", limits))?;
        bed.try_virsh(&format!("update-device slow {file} --live"))
    };
    // What is limited before the failure is so again.
    let refused = update("average='500'/><outbound average='1' burst='99999999999'/>")?;
    contains(&refused.err, "cannot limit the bandwidth of network device 'vnet0'")?;
    contains(&bed.run("tc", &["class", "show", "dev", "vnet0"])?.out, "rate 8Mbit")?;
    contains(&bed.virsh("dumpxml slow")?, "<inbound average='1000' burst='64'/>")?;
    equal("update", update("average='500'/>")?.err.as_str(), "")?;
    contains(&bed.run("tc", &["class", "show", "dev", "vnet0"])?.out, "rate 4Mbit")?;
    contains(&bed.virsh("dumpxml slow")?, "<inbound average='500'/>")?;
    bed.virsh("destroy slow").map(drop)
}

fn container() -> Outcome {
    let mut bed = Testbed::of_containers()?;
    let second = CARD.replace("bb:01", "bb:02").replace("79.2", "79.3");
    let second = bed.write("second.xml", &second)?;
    bed.define_container(&Container::busybox(&bed, "box")?.device(CARD))?;
    let broken = Container::busybox(&bed, "broken")?.init("<init>/no/such</init>");
    bed.define_container(&broken.device(CARD))?;
    {
        let peer = peer(&bed)?;
        let said = bed.virsh_fails("start box")?;
        contains(&said, "network 'lab' is not active")?;
        peer.virsh(&["net-start", "lab"])?;
        bed.virsh_fails("start broken")?;
        equal("ports after a failed start", ports(&peer)?, Vec::new())?;
        bed.virsh("start box")?;
        let held = ports(&peer)?;
        equal("number of ports", held.len(), 1)?;
        let live = bed.virsh("dumpxml box")?;
        contains(&live, &format!("<source network='lab' portid='{}' bridge='virbr7'/>", held[0]))?;
        contains(&peer.virsh(&["net-port-dumpxml", "lab", &held[0]])?, "<name>box</name>")?;
        equal("definition", bed.virsh("dumpxml box --inactive")?.contains("portid"), false)?;
        let mut console = bed.terminal("console box")?;
        console.ask("ping -c 1 -W 5 192.168.79.1", "1 packets received", DEADLINE)?;
        contains(&bed.virsh("domifaddr box --source arp")?, "192.168.79.2")?;
        equal("leases", bed.virsh("domifaddr box")?.contains("192.168"), false)?;
        contains(&bed.virsh_fails("domhostname box")?, "no hostname found for domain box")?;
        bed.virsh(&format!("attach-device box {second} --live"))?;
        equal("number of ports", ports(&peer)?.len(), 2)?;
        bed.virsh(&format!("detach-device box {second} --live"))?;
        equal("ports", ports(&peer)?, held)?;
    }
    let held = bed.virsh("dumpxml box")?;
    bed.kill9()?;
    bed.start()?;
    equal("live XML", bed.virsh("dumpxml box")?, held)?;
    let peer = bed.network_peer()?;
    equal("number of ports", ports(&peer)?.len(), 1)?;
    bed.virsh("destroy box")?;
    wait_for("the port to go", DEADLINE, || Ok(ports(&peer)?.is_empty()))
}

fn tagged() -> Outcome {
    let bed = Testbed::of_containers()?;
    let peer = peer(&bed)?;
    bed.run("ip", &["link", "add", "up0", "type", "veth", "peer", "name", "up1"])?;
    let network = "<network><name>direct</name>\
                   <forward mode='passthrough'><interface dev='up0'/></forward>\
                   <portgroup name='blue' default='yes'><vlan><tag id='7'/></vlan></portgroup></network>";
    peer.virsh(&["net-define", &bed.write("direct.xml", network)?])?;
    peer.virsh(&["net-start", "direct"])?;
    let card = "<interface type='network'><source network='direct'/></interface>";
    bed.define_container(&Container::busybox(&bed, "blue")?.device(card))?;
    let said = bed.virsh_fails("start blue")?;
    contains(&said, "vlan tag not supported for this connection type")?;
    contains(&said, "ip link add link up0")?;
    equal("ports", peer.virsh(&["net-port-list", "direct", "--uuid"])?.as_str(), "")
}

fn guest() -> Outcome {
    let bed = Testbed::new()?;
    let peer = peer(&bed)?;
    peer.virsh(&["net-start", "lab"])?;
    let card = CARD.replace("<ip address='192.168.79.2' family='ipv4' prefix='24'/>", "");
    bed.define(&Guest::firmware("vm").device(&card))?;
    bed.virsh("start vm")?;
    let held = ports(&peer)?;
    equal("number of ports", held.len(), 1)?;
    contains(&bed.virsh("dumpxml vm")?, &format!("portid='{}' bridge='virbr7'", held[0]))?;
    contains(&bed.virsh("domiflist vm")?, "lab")?;
    contains(&bed.run("ip", &["-o", "link"])?.out, "master virbr7")?;
    bed.virsh("destroy vm")?;
    wait_for("the port to go", DEADLINE, || Ok(ports(&peer)?.is_empty()))
}
