// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks and what belongs to them: what is filled in, what survives unchanged, what is refused and why.

use virtus_api::{NetworkUpdateCommand as Command, NetworkUpdateSection as Section};
use virtus_xml::{Document, FormatFlags, Network, NetworkPort, ParseFlags};

/// Everything that a network with a bridge of its own can say, as it is written.
const LAB: &str = "<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0' ipv6='yes' \
trustGuestRxFilters='no'>
  <name>lab</name>
  <uuid>3e3fce45-4f53-4fa7-bb32-11f34168b82b</uuid>
  <title>The lab</title>
  <description>for a &amp; b</description>
  <forward dev='eth0' mode='nat'>
    <nat ipv6='yes'>
      <address start='203.0.113.1' end='203.0.113.9'/>
      <port start='1024' end='2048'/>
    </nat>
    <interface dev='eth0'/>
  </forward>
  <bridge name='virbr7' zone='lab' stp='off' delay='2' macTableManager='libvirt'/>
  <mtu size='9000'/>
  <mac address='52:54:00:00:00:01'/>
  <domain name='lab.example' localOnly='yes' register='yes'/>
  <dns enable='yes' forwardPlainNames='no'>
    <forwarder domain='example.org' addr='2001:db8::53'/>
    <txt name='note' value='a b'/>
    <srv service='ldap' protocol='tcp' domain='lab.example' target='dir' port='389' priority='5' weight='7'/>
    <host ip='10.7.0.2'>
      <hostname>dir</hostname>
      <hostname>ldap</hostname>
    </host>
  </dns>
  <bandwidth>
    <inbound average='1000' peak='5000' burst='5120'/>
  </bandwidth>
  <port isolated='yes'/>
  <ip address='10.7.0.1' prefix='16' localPtr='yes'>
    <tftp root='/srv/tftp'/>
    <dhcp>
      <range start='10.7.1.1' end='10.7.1.99'>
        <lease expiry='12' unit='hours'/>
      </range>
      <host mac='52:54:00:AA:00:02' name='dir' ip='10.7.0.2'>
        <lease expiry='0'/>
      </host>
      <bootp file='pxelinux.0' server='10.7.0.3'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='2001:db8:7::1' prefix='64'>
    <dhcp>
      <host id='0:3:0:1:52:54:0:0:0:2' name='dir' ip='2001:db8:7::2'/>
    </dhcp>
  </ip>
  <route address='10.8.0.0' prefix='16' gateway='10.7.0.9' metric='3'/>
  <portgroup name='slow' default='yes'>
    <bandwidth>
      <outbound average='10'/>
    </bandwidth>
  </portgroup>
  <dnsmasq:options>
    <dnsmasq:option value='log-queries'/>
  </dnsmasq:options>
</network>
";

fn read(text: &str) -> Network {
    let Ok(parsed) = Network::parse(text, ParseFlags::INACTIVE) else { panic!("refused: {text}") };
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    parsed.value
}

fn refusal(text: &str) -> String {
    match Network::parse(text, ParseFlags::INACTIVE) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

/// A network of the host: no bridge is made for it.
fn bridged(inside: &str) -> String {
    format!("<network><name>n</name><forward mode='bridge'/>{inside}</network>")
}

#[test]
fn a_whole_network_survives() {
    let lab = read(LAB);
    assert_eq!(lab.format(FormatFlags::INACTIVE), LAB);
    assert!(lab.check_supported().is_ok());
    assert!(Network::parse(LAB, ParseFlags::VALIDATE).is_ok());
}

#[test]
fn what_is_not_said_is_filled_in() {
    let mut network = read(
        "<network ipv6='no'><forward/><name>n</name><bandwidth/><dns/><ip address='0xc0.0xa8.1.1'>\
         <dhcp><range start='192.168.1.2' end='192.168.1.9'/></dhcp><tftp/></ip></network>",
    );
    let mut next = 0;
    network.name_missing(&mut |bytes| bytes.fill(7));
    network.address_bridge([0x52, 0x54, 0], &mut |bytes| {
        next += 1;
        bytes.fill(next);
    });
    network.connections.0 = 3;
    assert_eq!(
        network.format(FormatFlags::empty()),
        "<network connections='3'>\n  <name>n</name>\n  <uuid>07070707-0707-4707-8707-070707070707</uuid>\n  \
         <forward mode='nat'/>\n  <bridge stp='on' delay='0'/>\n  <mac address='52:54:00:01:02:03'/>\n  \
         <ip address='192.168.1.1'>\n    <dhcp>\n      <range start='192.168.1.2' end='192.168.1.9'/>\n    </dhcp>\n  \
         </ip>\n</network>\n"
    );
    assert!(!network.format(FormatFlags::INACTIVE).contains("connections"));
}

#[test]
fn contradictions_are_refused() {
    for (from, to, why) in [
        ("<name>lab</name>", "", "no <name>"),
        ("<name>lab", "<name>a/b", "name cannot contain"),
        ("The lab", "The\nlab", "line break"),
        ("mode='nat'", "mode='nut'", "allowed: nat, none, route"),
        ("mode='nat'", "mode='route'", "<nat> needs forward mode 'nat'"),
        (
            "<forward dev='eth0'",
            "<forward dev='eth1'",
            "must match the first <interface dev='eth0'/>",
        ),
        (
            "<interface dev='eth0'/>",
            "<interface dev='eth0'/><interface dev='eth1'/>",
            "only one is supported",
        ),
        ("203.0.113.9", "203.0.0.9", "is reversed"),
        ("end='2048'", "end='99'", "bad range of ports"),
        ("52:54:00:00:00:01", "53:54:00:00:00:01", "multicast"),
        ("52:54:00:00:00:01", "52:54:00:00:00", "a MAC address such as"),
        ("enable='yes'", "enable='no'", "extra data in disabled <dns>"),
        ("name='note'", "name='no te'", "prohibited character"),
        (" target='dir'", "", "not permitted without 'target'"),
        ("port='389'", "port='0'", "1 - 65535"),
        ("<hostname>dir</hostname>\n      <hostname>ldap</hostname>", "", "'hostname'"),
        ("peak='5000'", "floor='9'", "'floor' is for the cards of guests"),
        ("<inbound average='1000'", "<inbound", "needs 'average' or 'floor'"),
        ("address='10.7.0.1' prefix='16'", "address='10.7.0.1' prefix='33'", "0 - 32"),
        ("prefix='16' localPtr", "netmask='255.0.255.0' localPtr", "is not a netmask"),
        (
            "prefix='16' localPtr",
            "prefix='16' netmask='255.255.0.0' localPtr",
            "both a prefix and a netmask",
        ),
        ("family='ipv6' address='2001", "address='2001", "without 'family' it is ipv4"),
        ("end='10.7.1.99'", "end='10.9.1.99'", "not entirely within network"),
        ("start='10.7.1.1'", "start='10.7.1.100'", "is reversed"),
        ("expiry='12' unit='hours'", "expiry='1' unit='minutes'", "minimum lease time"),
        (" ip='10.7.0.2'>\n        <lease", ">\n        <lease", "'ip'"),
        ("id='0:3:", "id='0;3:", "invalid character ';'"),
        ("id='0:3:0:1:52:54:0:0:0:2'", "mac='52:54:00:00:00:02'", "not by a MAC address"),
        ("gateway='10.7.0.9'", "gateway='10.9.0.9'", "unreachable static route gateway"),
        ("<route address='10.8.0.0'", "<route address='10.8.0.1'", "not the address of a network"),
        ("metric='3'", "metric='0'", "greater than 0"),
    ] {
        let text = LAB.replacen(from, to, 1);
        assert_ne!(text, LAB, "{from} is not there");
        let error = refusal(&text);
        assert!(error.contains(why), "{to}: {error}");
    }
    for (inside, why) in [
        ("<bridge name='br0' stp='on'/>", "for the network's own bridge"),
        ("<mtu size='1'/>", "<mtu> is for"),
        ("<virtualport><parameters profileid='p'/></virtualport>", "needs a 'type'"),
        (
            "<virtualport type='802.1Qbh'><parameters managerid='1'/></virtualport>",
            "extra managerid",
        ),
        ("<vlan trunk='no'><tag id='1'/><tag id='2'/></vlan>", "trunk='no' contradicts"),
        ("<vlan><tag id='4096'/></vlan>", "too large"),
    ] {
        let error = refusal(&bridged(inside));
        assert!(error.contains(why), "{inside}: {error}");
    }
}

#[test]
fn what_would_not_run_is_a_network_but_not_supported() {
    for (inside, why) in [
        ("<ip address='10.0.0.1'/>", "unsupported <ip> element"),
        ("<mac address='52:54:00:00:00:01'/>", "unsupported <mac> element"),
        ("<domain name='d'/>", "unsupported <domain> element"),
        ("<bandwidth><inbound average='1'/></bandwidth>", "network-wide <bandwidth>"),
        (
            "<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>",
            "only one default",
        ),
        ("<portgroup name='a'/><portgroup name='a'/>", "the same name 'a'"),
        ("<virtualport type='802.1Qbh'/><vlan><tag id='1'/></vlan>", "<vlan> element specified"),
    ] {
        let network = read(&bridged(inside));
        let error = network.check_supported().unwrap_err().to_string();
        assert!(error.contains(why), "{inside}: {error}");
    }
    assert!(
        read(&bridged("<bridge name='b'/><vlan><tag id='1'/></vlan>")).check_supported().is_ok()
    );
    let twice = "<ip address='10.0.0.1'><dhcp><range start='10.0.0.2' end='10.0.0.3'/></dhcp></ip>";
    let network =
        read(&format!("<network><name>n</name>{twice}{}</network>", twice.replace("10.0", "10.1")));
    assert!(network.check_supported().unwrap_err().to_string().contains("multiple ipv4 dhcp"));
}

#[test]
fn lists_are_updated_entry_by_entry() {
    let mut lab = read(LAB);
    let mut update = |section, command, text: &str| {
        let result = lab.update(section, command, -1, text);
        result.map(|()| lab.format(FormatFlags::INACTIVE)).map_err(|error| error.to_string())
    };
    let host = "<host mac='52:54:00:aa:00:02' name='new' ip='10.7.0.8'/>";
    let text = update(Section::IpDhcpHost, Command::Modify, host).unwrap();
    assert!(text.contains("name='new' ip='10.7.0.8'/>\n      <bootp"), "{text}");
    for (section, command, text, why) in [
        (Section::IpDhcpHost, Command::AddLast, host, "there is an existing dhcp host entry"),
        (Section::IpDhcpHost, Command::AddLast, "<host name='x' ip='2001:db8::1'/>", "the family"),
        (Section::IpDhcpHost, Command::Delete, "<host name='none'/>", "couldn't locate"),
        (Section::IpDhcpHost, Command::Delete, "<host/>", "'name', 'mac' or 'ip'"),
        (
            Section::IpDhcpRange,
            Command::AddLast,
            "<range start='1.2.3.4' end='1.2.3.5'/>",
            "within network",
        ),
        (Section::IpDhcpRange, Command::Modify, "<range/>", "cannot be modified"),
        (
            Section::ForwardInterface,
            Command::AddLast,
            "<interface dev='eth0'/>",
            "existing interface",
        ),
        (
            Section::Portgroup,
            Command::AddFirst,
            "<portgroup name='x' default='yes'/>",
            "Only one default",
        ),
        (Section::Portgroup, Command::AddFirst, "<group/>", "expecting <portgroup>"),
        (Section::DnsSrv, Command::Delete, "<srv protocol='udp'/>", "couldn't locate"),
        (Section::DnsSrv, Command::Modify, "<srv service='ldap'/>", "cannot be modified"),
        (Section::DnsTxt, Command::Modify, "<txt name='t' value='v'/>", "couldn't locate"),
        (Section::DnsTxt, Command::AddLast, "<txt name='t'/>", "'value'"),
        (Section::Bridge, Command::AddLast, "<bridge/>", "can't update 'bridge' section"),
    ] {
        let error = update(section, command, text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    for (section, pattern, gone) in [
        (Section::IpDhcpHost, "<host name='new'/>", "name='new'"),
        (Section::IpDhcpRange, "<range start='10.7.1.1' end='10.7.1.99'/>", "<range"),
        (Section::ForwardInterface, "<interface dev='eth0'/>", "eth0"),
        (Section::Portgroup, "<portgroup name='slow'/>", "<portgroup"),
        (Section::DnsHost, "<host><hostname>ldap</hostname></host>", "<hostname>"),
        (Section::DnsSrv, "<srv service='ldap'/>", "<srv"),
        (Section::DnsTxt, "<txt name='note'/>", "<txt"),
    ] {
        let text = update(section, Command::Delete, pattern).unwrap();
        assert!(!text.contains(gone), "{gone} is in {text}");
    }
    let added =
        update(Section::ForwardInterface, Command::AddFirst, "<interface dev='eth7'/>").unwrap();
    assert!(added.contains("<forward dev='eth7' mode='nat'>"));
}

#[test]
fn a_port_keeps_what_its_plug_asks_for() {
    let port = |plug: &str| {
        let text = format!(
            "<networkport><uuid>3e3fce45-4f53-4fa7-bb32-11f34168b82b</uuid><owner><name>g</name>\
             <uuid>0a9d2a3b-5d0c-4f3a-9c55-0d1d3e6c7f10</uuid></owner><mac address='52:54:00:00:00:01'/>\
             <bandwidth classID='3'><inbound average='9' floor='1'/></bandwidth>{plug}</networkport>"
        );
        let read = NetworkPort::parse(&text, ParseFlags::empty());
        read.map(|read| read.value.format(FormatFlags::empty())).map_err(|error| error.to_string())
    };
    let written = port("<plug type='direct' dev='eth0' bridge='b'/>").unwrap();
    assert!(written.contains("<bandwidth classID='3'>"));
    assert!(written.contains("<plug type='direct' dev='eth0' mode='vepa'/>"));
    assert!(!port("<plug type='none'/>").unwrap().contains("plug"));
    assert!(port("<plug type='bridge'/>").unwrap_err().contains("'bridge'"));
    assert!(port("<plug type='hostdev-pci'/>").unwrap_err().contains("'address'"));
}
