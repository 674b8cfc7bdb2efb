// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Plans of small definitions.

use virtus_core::Paths;
use virtus_xml::ParseFlags;
use virtus_xml::domain::interface::{ActualNetwork, Interface, InterfaceSource, InterfaceType};
use virtus_xml::netdev::{Vlan, VlanTag};
use virtus_xml::tree::Tree;

use super::*;
use crate::blueprint::{Account, Source};
use crate::complete::complete;

fn planned(body: &str) -> Result<Plan> {
    let text = format!(
        "<domain type='lxc' xmlns:lxc='http://libvirt.org/schemas/domain/lxc/1.0'><name>box</name>\
         <memory unit='KiB'>65536</memory>{body}</domain>"
    );
    let mut def = Domain::parse(&text, ParseFlags::INACTIVE)?.value;
    complete(&mut def, "x86_64", Path::new("/usr/libexec/libvirt_lxc"))?;
    let places = Places::new(&Paths::system_below(Path::new("/")));
    plan(&def, &Start { id: 7, ..Start::default() }, &places)
}

const OS: &str = "<os><type>exe</type><init>/bin/sh</init></os>";

#[test]
fn the_least_container_shares_files_and_network_with_the_host() {
    let Plan { def, blueprint, .. } = planned(OS).unwrap();
    assert_eq!(blueprint.root.source, Source::Bind { path: "/".into(), recursive: true });
    assert_eq!((blueprint.network, blueprint.ipc), (Namespace::Host, Namespace::Own));
    assert_eq!(blueprint.socket, Path::new("/run/libvirt/lxc/box.sock"));
    assert_eq!(blueprint.cgroup, "machine/lxc-7-box.libvirt-lxc");
    assert_eq!(blueprint.limits.memory, Some(64 << 20));
    assert_eq!(def.id, Some(7));
    assert!(blueprint.init.env.contains(&("container".to_owned(), "lxc-libvirt".to_owned())));
    assert_eq!(blueprint.hostname.as_deref(), Some("box"));
}

#[test]
fn a_definition_is_carried_over() {
    let Plan { blueprint, cards, nodes, .. } = planned(
        "<memtune><hard_limit unit='KiB'>1024</hard_limit></memtune><cputune><quota>20000</quota></cputune>\
         <resource><partition>/customers/one</partition></resource>\
         <os><type>exe</type><init>/bin/sh</init><initarg>-l</initarg><initenv name='TERM'>vt100</initenv>\
         <inituser>+5</inituser><initgroup>tape</initgroup></os>\
         <idmap><uid start='0' target='1000' count='10'/><gid start='0' target='2000' count='10'/></idmap>\
         <on_reboot>destroy</on_reboot>\
         <devices><filesystem type='mount' accessmode='mapped'><source dir='/srv/box'/><target dir='/'/></filesystem>\
         <filesystem type='ram'><source usage='1' units='MiB'/><target dir='/tmp'/><readonly/></filesystem>\
         <interface type='bridge'><source bridge='br0'/><ip address='192.168.7.2' prefix='24'/>\
         <route address='0.0.0.0' gateway='192.168.7.1'/></interface>\
         <interface type='direct'><source dev='eth0' mode='bridge'/><guest dev='lan'/></interface>\
         <console type='pty'/><console type='pty'/>\
         <hostdev mode='capabilities' type='misc'><source><char>/dev/net/tun</char></source></hostdev></devices>",
    )
    .unwrap();
    assert_eq!(blueprint.cgroup, "customers.partition/one.partition/lxc-7-box.libvirt-lxc");
    assert!(blueprint.root.id_mapped);
    assert_eq!(blueprint.mounts[0].source, Source::Ram { bytes: 1 << 20 });
    assert_eq!(blueprint.limits.memory, Some(1 << 20));
    assert_eq!(blueprint.limits.cpu_quota.unwrap().quota, Some(20_000));
    assert_eq!(blueprint.id_map.as_ref().unwrap().root(), (1000, 2000));
    let init = &blueprint.init;
    assert_eq!(
        (&init.user, &init.group),
        (&Some(Account::Id(5)), &Some(Account::Name("tape".into())))
    );
    assert!(init.env.contains(&("TERM".to_owned(), "vt100".to_owned())));
    assert!(init.env.contains(&("container_ttys".to_owned(), "pts/1".to_owned())));
    assert_eq!(blueprint.on_reboot, OnReboot::End);
    assert_eq!(blueprint.network, Namespace::Own);
    assert!(matches!(&cards[0].wire, Wire::Veth(Some(port)) if port.bridge == "br0"));
    assert_eq!((cards[0].link.name.as_str(), cards[1].link.name.as_str()), ("eth0", "lan"));
    assert_eq!((cards[0].link.addresses[0].prefix, cards[0].link.routes[0].prefix), (24, 0));
    assert_eq!(nodes[0].target, Path::new("net/tun"));
}

#[test]
fn a_card_on_a_device_of_the_host_can_be_in_no_vlan() {
    let mut def = Domain::default();
    let mut interface = Interface { kind: InterfaceType::Network, ..Interface::default() };
    interface.actual = Some(Box::new(ActualNetwork {
        kind: InterfaceType::Direct,
        source: Some(InterfaceSource { dev: Some("eth1".to_owned()), ..Default::default() }),
        vlan: Some(Vlan {
            tags: vec![VlanTag { id: 42, ..Default::default() }],
            ..Default::default()
        }),
        ..Default::default()
    }));
    def.devices.interfaces.push(interface);
    let refusal = network::cards(&def).unwrap_err();
    assert!(refusal.text().contains("vlan tag"), "{refusal}");
    assert!(refusal.hint_text().is_some_and(|hint| hint.contains("eth1")), "{refusal}");
}

#[test]
fn a_disk_is_a_file_until_a_device_is_made_of_it() {
    let disk = "<disk type='file'><source file='/image'/><target dev='sda'/><readonly/></disk>";
    let Plan { def, nodes, .. } = planned(&format!("{OS}<devices>{disk}</devices>")).unwrap();
    let of_file = HostNode {
        source: "/image".into(),
        target: "sda".into(),
        block: true,
        read_only: true,
        fleeting: false,
    };
    assert_eq!(nodes[0], of_file);
    let mut disk = def.devices.disks[0].clone();
    let noted = Tree::new("loop").with("device", "/dev/loop7");
    disk.private = Some(Box::new(Tree { children: vec![noted], ..Tree::default() }));
    let of_device = HostNode { source: "/dev/loop7".into(), fleeting: true, ..of_file };
    assert_eq!(disk_node(&disk).unwrap(), of_device);
}

#[test]
fn what_cannot_be_started_is_refused() {
    for (body, part) in [
        (
            "<devices><interface type='direct'><source dev='d' mode='odd'/></interface></devices>",
            "mode 'odd'",
        ),
        (
            "<devices><hostdev mode='capabilities' type='storage'><source><block>/etc/x</block></source></hostdev></devices>",
            "not below /dev",
        ),
        (
            "<devices><filesystem type='ram'><target dir='/t'/></filesystem></devices>",
            "has no size",
        ),
    ] {
        let error = planned(&format!("{OS}{body}")).err().unwrap();
        assert!(error.text().contains(part), "{error}");
    }
}
