// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cards on bridges of Open vSwitch.

use virtus_tests::{Container, DEADLINE, Guest, Outcome, Testbed, wait_for};

use crate::containers::traces;
use crate::networks::peer;
use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("only_containers_of_one_vlan_meet", vlans),
    ("ports_go_with_their_containers", ports_go),
    ("limits_go_along_to_another_bridge", limits),
    ("a_network_says_the_vlans_of_its_port_groups", networks),
    ("a_guest_is_a_port", guest),
    ("a_missing_switch_is_named", missing),
];

/// A card on a bridge; `number` is that of its addresses.
fn card(bridge: &str, number: u8, vlan: &str) -> String {
    format!(
        "<interface type='bridge'><mac address='52:54:00:00:00:0{number}'/><source bridge='{bridge}'/>{vlan}\
         <virtualport type='openvswitch'><parameters profileid='red'/></virtualport>\
         <ip address='192.168.80.{number}' family='ipv4' prefix='24'/></interface>"
    )
}

fn tag(number: u16) -> String {
    format!("<vlan><tag id='{number}'/></vlan>")
}

/// What the switch says of a column of a port or of its interface.
fn column(bed: &Testbed, table: &str, port: &str, name: &str) -> Outcome<String> {
    bed.vsctl(&["get", table, port, name])
}

fn ports(bed: &Testbed, bridge: &str) -> Outcome<Vec<String>> {
    Ok(bed.vsctl(&["list-ports", bridge])?.split_whitespace().map(str::to_owned).collect())
}

/// A testbed with a switch of its own.
fn switched(bed: Testbed, bridges: &[&str]) -> Outcome<Testbed> {
    bed.open_vswitch(bridges)?;
    Ok(bed)
}

fn vlans() -> Outcome {
    let bed = switched(Testbed::of_containers()?, &["ovs0", "ovs1"])?;
    for (name, number, vlan) in [("one", 1, 42), ("two", 2, 42), ("far", 3, 43)] {
        let card = card("ovs0", number, &tag(vlan));
        bed.define_container(&Container::busybox(&bed, name)?.device(&card))?;
        bed.virsh(&format!("start {name}"))?;
    }
    let mut console = bed.terminal("console one")?;
    // Each with a word of its own: a question may be asked twice, and answered late.
    let mut ask = |number: u8, meets: bool, word: &str| {
        let ping = format!("ping -c 1 -W 1 192.168.80.{number} >/dev/null");
        let (line, code) = match meets {
            true => (format!("until {ping}; do true; done; echo {word}-$?"), 0),
            false => (format!("{ping}; echo {word}-$?"), 1),
        };
        console.ask(&line, &format!("{word}-{code}"), DEADLINE)
    };
    ask(2, true, "near")?;
    ask(3, false, "far")?;
    equal("VLAN", column(&bed, "Port", "vnet2", "tag")?, "43".to_owned())?;
    let stats = bed.virsh("domifstat one vnet0")?;
    equal("bytes that came", stats.contains("rx_bytes 0\n"), false)?;

    // Into the same VLAN, a trunk, another bridge, and back.
    let number = column(&bed, "Interface", "vnet2", "ofport")?;
    let update = |bridge: &str, vlan: &str| {
        let file = bed.write("card.xml", &card(bridge, 3, vlan))?;
        bed.try_virsh(&format!("update-device far {file} --live"))
    };
    equal("update", update("ovs0", &tag(42))?.err.as_str(), "")?;
    ask(3, true, "moved")?;
    equal("number", column(&bed, "Interface", "vnet2", "ofport")?, number)?;
    let trunk = "<vlan trunk='yes'><tag id='42' nativeMode='untagged'/><tag id='43'/></vlan>";
    equal("update", update("ovs0", trunk)?.err.as_str(), "")?;
    equal("mode", column(&bed, "Port", "vnet2", "vlan_mode")?, "native-untagged".to_owned())?;
    equal("trunk", column(&bed, "Port", "vnet2", "trunks")?, "[42, 43]".to_owned())?;
    contains(&bed.virsh("dumpxml far")?, "<tag id='42' nativeMode='untagged'/>")?;
    contains(&update("nobr", trunk)?.err, "ovs-vsctl add-br nobr")?;
    equal("ports", ports(&bed, "ovs0")?.len(), 3)?;
    equal("update", update("ovs1", trunk)?.err.as_str(), "")?;
    equal("ports", ports(&bed, "ovs1")?, vec!["vnet2".to_owned()])?;
    contains(&bed.virsh("domiflist far")?, "ovs1")?;
    ask(3, false, "away")?;
    equal("update", update("ovs0", &tag(42))?.err.as_str(), "")?;
    ask(3, true, "back")
}

fn ports_go() -> Outcome {
    let mut bed = switched(Testbed::of_containers()?, &["ovs0"])?;
    let container = Container::busybox(&bed, "box")?;
    let odd = card("ovs0", 1, &tag(42)).replace("='red'", "='\"red\" one'");
    bed.define_container(&container.clone().device(&odd))?;
    let broken = container.clone().called("broken").init("<init>/no/such</init>");
    bed.define_container(&broken.device(&card("ovs0", 2, "")))?;
    let lost = container.called("lost").device(&card("nobr", 3, ""));
    bed.define_container(&lost)?;

    contains(&bed.virsh_fails("start lost")?, "ovs-vsctl add-br nobr")?;
    bed.virsh_fails("start broken")?;
    equal("traces", traces(&bed)?, Vec::new())?;
    equal("ports", ports(&bed, "ovs0")?, Vec::new())?;

    bed.virsh("start box")?;
    let live = bed.virsh("dumpxml box")?;
    let port = live.split("<virtualport").nth(1).ok_or("no virtual port")?;
    let known_as = port.split("interfaceid='").nth(1).and_then(|rest| rest.split('\'').next());
    let uuid = bed.virsh("domuuid box")?;
    for (id, value) in [
        ("attached-mac", "52:54:00:00:00:01"),
        ("iface-id", known_as.ok_or("no interfaceid")?),
        ("vm-id", &uuid),
        ("iface-status", "active"),
        ("port-profile", "\\\"red\\\" one"),
    ] {
        let found = column(&bed, "Interface", "vnet0", &format!("external-ids:{id}"))?;
        equal(id, found.trim_matches('"'), value)?;
    }
    let second = bed.write("second.xml", &card("ovs0", 2, &tag(7)))?;
    bed.virsh(&format!("attach-device box {second} --live"))?;
    equal("ports", ports(&bed, "ovs0")?.len(), 2)?;
    bed.virsh(&format!("detach-device box {second} --live"))?;
    equal("ports", ports(&bed, "ovs0")?, vec!["vnet0".to_owned()])?;

    let pid = std::fs::read_to_string(bed.path("run/libvirt/lxc/box.pid"))?;
    bed.signal("KILL", pid.trim().parse()?)?;
    wait_for("the port to go", DEADLINE, || Ok(ports(&bed, "ovs0")?.is_empty()))?;
    wait_for("the end", DEADLINE, || Ok(bed.virsh("domstate box")? == "shut off"))?;
    bed.virsh("start box")?;
    bed.virsh("destroy box")?;
    equal("ports", ports(&bed, "ovs0")?, Vec::new())?;

    // One ends while nobody looks.
    bed.virsh("start box")?;
    bed.kill9()?;
    let pid = std::fs::read_to_string(bed.path("run/libvirt/lxc/box.pid"))?;
    bed.signal("KILL", pid.trim().parse()?)?;
    equal("ports", ports(&bed, "ovs0")?.len(), 1)?;
    bed.start()?;
    wait_for("the port to go", DEADLINE, || Ok(ports(&bed, "ovs0")?.is_empty()))
}

fn limits() -> Outcome {
    let bed = switched(Testbed::of_containers()?, &["ovs0", "ovs1"])?;
    bed.define_container(&Container::busybox(&bed, "box")?.device(&card("ovs0", 1, "")))?;
    bed.virsh("start box")?;
    let update = |bridge: &str, average: Option<u32>| {
        let limits = average.map(|average| {
            format!("<bandwidth><inbound average='{average}'/></bandwidth><virtualport")
        });
        let card = card(bridge, 1, "");
        let card = limits.map(|limits| card.replace("<virtualport", &limits)).unwrap_or(card);
        let file = bed.write("card.xml", &card)?;
        bed.virsh(&format!("update-device box {file} --live"))
    };
    let rates = || bed.vsctl(&["--bare", "--columns=other_config", "list", "Queue"]);
    update("ovs0", Some(1000))?;
    equal("rates", rates()?.as_str(), "max-rate=8000000 min-rate=8000000")?;
    update("ovs1", Some(2000))?;
    equal("ports", ports(&bed, "ovs1")?, vec!["vnet0".to_owned()])?;
    equal("rates", rates()?.as_str(), "max-rate=16000000 min-rate=16000000")?;
    update("ovs1", None)?;
    equal("rates", rates()?.as_str(), "")?;
    update("ovs1", Some(1000))?;
    // Also where somebody else has removed the port.
    bed.vsctl(&["del-port", "vnet0"])?;
    equal("rates", rates()?.as_str(), "max-rate=8000000 min-rate=8000000")?;
    bed.virsh("destroy box")?;
    equal("rates", rates()?.as_str(), "")?;

    // Of a switch that hangs the database knows all: what failed is undone, and an end waits once.
    bed.virsh("start box")?;
    update("ovs0", Some(1000))?;
    bed.hang_open_vswitch()?;
    let limits = "<bandwidth><inbound average='1000'/></bandwidth>";
    let file = bed.write("card.xml", &card("ovs0", 1, &format!("{}{limits}", tag(42))))?;
    bed.virsh_fails(&format!("update-device box {file} --live"))?;
    equal("VLAN", column(&bed, "Port", "vnet0", "tag")?, "[]".to_owned())?;
    bed.virsh("destroy box")?;
    equal("rates", rates()?.as_str(), "")?;
    equal("ports", ports(&bed, "ovs0")?, Vec::new())?;
    equal("waits for limits", bed.log().contains("remove limits of Open vSwitch"), false)
}

fn networks() -> Outcome {
    const NETWORK: &str = "<network><name>switched</name><forward mode='bridge'/><bridge name='ovs0'/>\
        <virtualport type='openvswitch'/>\
        <portgroup name='red' default='yes'><vlan><tag id='42'/></vlan></portgroup>\
        <portgroup name='blue'><vlan><tag id='43'/></vlan>\
        <virtualport type='openvswitch'><parameters profileid='sky'/></virtualport></portgroup></network>";
    let bed = switched(Testbed::of_containers()?, &["ovs0"])?;
    let peer = peer(&bed)?;
    let file = bed.write("switched.xml", NETWORK)?;
    peer.virsh(&["net-define", &file])?;
    peer.virsh(&["net-start", "switched"])?;
    let cards = "<interface type='network'><source network='switched'/></interface>\
        <interface type='network'><source network='switched' portgroup='blue'/></interface>\
        <interface type='network'><source network='switched' portgroup='blue'/>\
        <vlan><tag id='44'/></vlan></interface>";
    bed.define_container(&Container::busybox(&bed, "box")?.device(cards))?;
    bed.virsh("start box")?;
    for (port, vlan) in [("vnet0", "42"), ("vnet1", "43"), ("vnet2", "44")] {
        equal(port, column(&bed, "Port", port, "tag")?.as_str(), vlan)?;
    }
    equal(
        "profile",
        column(&bed, "Interface", "vnet2", "external-ids:port-profile")?,
        "sky".to_owned(),
    )?;
    contains(&bed.virsh("dumpxml box")?, "<virtualport type='openvswitch'>")?;
    bed.virsh("destroy box")?;
    equal("ports", ports(&bed, "ovs0")?, Vec::new())
}

fn guest() -> Outcome {
    let bed = switched(Testbed::new()?, &["ovs0"])?;
    let limits =
        "<bandwidth><inbound average='1000' burst='64'/><outbound average='500'/></bandwidth>";
    let card = card("ovs0", 1, &tag(42)).replace("<virtualport", &format!("{limits}<virtualport"));
    let card = card.replace("<ip address='192.168.80.1' family='ipv4' prefix='24'/>", "");
    bed.define(&Guest::firmware("vm").device(&card))?;
    bed.virsh("start vm")?;
    equal("ports", ports(&bed, "ovs0")?, vec!["vnet0".to_owned()])?;
    equal("VLAN", column(&bed, "Port", "vnet0", "tag")?, "42".to_owned())?;
    contains(&column(&bed, "Port", "vnet0", "other-config")?, "transient=\"true\"")?;
    let uuid = format!("\"{}\"", bed.virsh("domuuid vm")?);
    equal("guest", column(&bed, "Interface", "vnet0", "external-ids:vm-id")?, uuid)?;
    let rate = column(&bed, "Interface", "vnet0", "ingress_policing_rate")?;
    equal("what it may send", rate.as_str(), "4000")?;
    contains(&bed.vsctl(&["list", "QoS"])?, "min-rate=\"8000000\"")?;
    let pid = bed.qemu_pid("vm")?;
    bed.signal("KILL", pid)?;
    wait_for("the port to go", DEADLINE, || Ok(ports(&bed, "ovs0")?.is_empty()))?;
    wait_for("the end", DEADLINE, || Ok(bed.virsh("domstate vm")? == "shut off"))?;
    let rows = ["QoS", "Queue"].map(|table| bed.vsctl(&["list", table]).unwrap_or_default());
    equal("limits", rows.concat(), String::new())?;
    bed.virsh("start vm")?;
    bed.virsh("destroy vm")?;
    wait_for("the port to go", DEADLINE, || Ok(ports(&bed, "ovs0")?.is_empty()))
}

fn missing() -> Outcome {
    let bed = Testbed::of_containers()?;
    if !bed.is_ours() {
        return Err(Skip("the stock daemon tells no more than that it failed".to_owned()).into());
    }
    let container = Container::busybox(&bed, "alone")?;
    bed.define_container(&container.clone().device(&card("ovs0", 1, "")))?;
    let hidden =
        bed.run("sh", &["-c", "tool=$(command -v ovs-vsctl) && mount --bind /dev/null $tool"])?;
    if !hidden.ok() {
        return Err(Skip("Open vSwitch is not installed".to_owned()).into());
    }
    contains(&bed.virsh_fails("start alone")?, "install the package that contains 'ovs-vsctl'")?;
    bed.run("sh", &["-c", "umount /*/bin/ovs-vsctl"])?;
    contains(&bed.virsh_fails("start alone")?, "systemctl status openvswitch-switch")?;
    equal("traces", traces(&bed)?, Vec::new())?;
    let other = card("ovs0", 1, "").replace("'openvswitch'", "'802.1Qbh'");
    let file = bed.write("other.xml", &container.called("other").device(&other).xml())?;
    contains(&bed.virsh_fails(&format!("define {file}"))?, "<virtualport type='802.1Qbh'>")
}
