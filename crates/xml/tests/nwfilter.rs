// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network filters, host interfaces and secrets: how values are read and written, and what is refused.

use virtus_xml::nwfilter::{Access, ItemValue};
use virtus_xml::{Document, FormatFlags, HostInterface, Nwfilter, ParseFlags, Secret};

fn rewritten<D: Document>(text: &str) -> Result<String, String> {
    let read = D::parse(text, ParseFlags::empty()).map_err(|error| error.to_string())?;
    Ok(read.value.format(FormatFlags::empty()))
}

/// One element of a rule, as it is written back.
fn rule(inside: &str) -> Result<String, String> {
    let text =
        format!("<filter name='f'><rule action='drop' direction='in'>{inside}</rule></filter>");
    let text = rewritten::<Nwfilter>(&text)?;
    let lines = text.lines().filter(|line| line.starts_with("    ")).map(str::trim);
    Ok(lines.collect::<Vec<_>>().join(""))
}

#[test]
fn values_are_written_in_one_form() {
    for (given, written) in [
        ("<mac protocolid='0x806'/>", "<mac protocolid='arp'/>"),
        ("<mac protocolid='IPV6'/>", "<mac protocolid='ipv6'/>"),
        ("<mac protocolid='0x9000'/>", "<mac protocolid='0x9000'/>"),
        (
            "<vlan vlanid='0xFfF' encap-protocol='100'/>",
            "<vlan vlanid='0xfff' encap-protocol='100'/>",
        ),
        ("<arp opcode='2' gratuitous='1'/>", "<arp opcode='Reply' gratuitous='true'/>"),
        ("<arp opcode='0x20'/>", "<arp opcode='32'/>"),
        ("<ip protocol='17' srcportstart='0x35'/>", "<ip protocol='udp' srcportstart='0x35'/>"),
        ("<ip srcipmask='255.255.128.0'/>", "<ip srcipmask='17'/>"),
        (
            "<tcp flags='syn,ack/NONE' state='new ESTABLISHED'/>",
            "<tcp state='NEW,ESTABLISHED' flags='SYN,ACK/NONE'/>",
        ),
        ("<tcp flags='FIN,SYN,RST,PSH,ACK,URG/RST'/>", "<tcp flags='ALL/RST'/>"),
        ("<udp state='NONE,NEW' dscp='1f'/>", "<udp dscp='0x1f' state='NONE'/>"),
        ("<tcp ipset='s'/>", "<tcp ipset='s' ipsetflags='src'/>"),
        ("<all ipset='s'/>", "<all ipset='s'/>"),
        (
            "<udp srcportstart='$P[ 2 ]' comment='a&lt;b'/>",
            "<udp srcportstart='$P[2]' comment='a&lt;b'/>",
        ),
        (
            "<tcp dstportstart='22'/><tcp match='no' srcipaddr='1.2.3.4' srcipmask='8'/>",
            "<tcp dstportstart='22'/><tcp match='no' srcipaddr='1.2.3.4' srcipmask='8'/>",
        ),
        (
            "<tcp match='no' srcipaddr='1.2.3.4'/><tcp srcipmask='8'/>",
            "<tcp match='no' srcipaddr='1.2.3.4' srcipmask='8'/>",
        ),
        ("<tcp/><udp/>", "<tcp/>"),
        ("", ""),
    ] {
        assert_eq!(rule(given).as_deref(), Ok(written));
    }
    for given in [
        "<mac protocolid='5'/>",
        "<mac srcmacmask='ff:00:ff:00:00:00'/>",
        "<vlan vlanid='4096'/>",
        "<ip dscp='64'/>",
        "<ip srcipaddr='::1'/>",
        "<ipv6 srcipaddr='1.2.3.4'/>",
        "<ip srcipmask='33'/>",
        "<ip srcportstart='1'/>",
        "<ip protocol='icmp' srcportstart='1'/>",
        "<tcp flags='SYN'/>",
        "<tcp state='OLD'/>",
        "<tcp ipset='a*b'/>",
        "<tcp ipsetflags='up'/>",
        "<tcp connlimit-above='0x1'/>",
        "<tcp srcipaddr='$'/>",
        "<stp type='256'/>",
    ] {
        assert!(rule(given).is_err(), "{given}");
    }
}

#[test]
fn a_filter_keeps_the_order_of_its_entries() {
    let text = "<filter name='f' chain='ipv4-x'><rule action='accept' direction='out' priority='-5' statematch='0'/>\
        <filterref filter='g'><parameter name='B' value='2'/><parameter name='A' value='9'/><parameter name='A' value='1'/>\
        <parameter name='C' value='a b'/></filterref><rule action='drop' direction='inout'><all/></rule></filter>";
    let parsed = Nwfilter::parse(text, ParseFlags::empty()).unwrap();
    assert!(parsed.warnings[0].text.contains("<parameter> is ignored"), "{:?}", parsed.warnings);
    let mut filter = parsed.value;
    filter.name_missing(&mut |bytes| bytes.fill(1));
    assert_eq!(
        filter.format(FormatFlags::empty()),
        "<filter name='f' chain='ipv4-x' priority='-700'>\n  <uuid>01010101-0101-4101-8101-010101010101</uuid>\n  \
         <rule action='accept' direction='out' priority='-5' statematch='false'/>\n  <filterref filter='g'>\n    \
         <parameter name='A' value='9'/>\n    <parameter name='A' value='1'/>\n    <parameter name='B' value='2'/>\n  \
         </filterref>\n  <rule action='drop' direction='inout' priority='500'>\n    <all/>\n  </rule>\n</filter>\n"
    );
    for bad in ["chain='tcp'", "chain='roots'", "chain='ipv4-too-long-x'", "priority='1001'"] {
        let text = text.replace("chain='ipv4-x'", bad);
        assert!(rewritten::<Nwfilter>(&text).is_err(), "{bad}");
    }
}

#[test]
fn conditions_can_be_asked_for() {
    let text = "<filter name='f'><rule action='drop' direction='in'><tcp match='no' srcipaddr='$IP[@2]'/></rule></filter>";
    let filter = Nwfilter::parse(text, ParseFlags::empty()).unwrap().value;
    let item = filter.rules().next().and_then(|rule| rule.matches.get("srcipaddr")).unwrap();
    assert!(item.negated);
    let ItemValue::Variable(variable) = &item.value else { panic!("{item:?}") };
    assert_eq!((variable.name.as_str(), variable.access), ("IP", Access::Iterator(2)));
}

#[test]
fn a_host_interface_has_what_its_type_has() {
    let text = "<interface type='bridge' name='br0'>\n  <start mode='hotplug'/>\n  <protocol family='ipv6'>\n    \
        <autoconf/>\n  </protocol>\n  <bridge stp='on' delay='0.5'>\n    <interface type='vlan' name='eth0.7'>\n      \
        <vlan tag='7'>\n        <interface name='eth0'/>\n      </vlan>\n    </interface>\n  </bridge>\n</interface>\n";
    assert_eq!(rewritten::<HostInterface>(text).as_deref(), Ok(text));
    let lean = text.replace("<vlan tag", "<mtu size='9'/><start mode='none'/><vlan tag");
    assert_eq!(rewritten::<HostInterface>(&lean).as_deref(), Ok(text));
    assert_eq!(
        rewritten::<HostInterface>("<interface type='ethernet' name='e'/>").as_deref(),
        Ok("<interface type='ethernet' name='e'>\n</interface>\n")
    );
    for bad in [
        "<interface type='bridge' name='b'/>",
        "<interface type='ethernet'/>",
        "<interface type='bond' name='b'><bond><interface type='bridge' name='x'><bridge/></interface></bond></interface>",
        "<interface type='ethernet' name='e'><mtu size='100001'/></interface>",
    ] {
        assert!(rewritten::<HostInterface>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_secret_says_what_it_is_for() {
    let text = "<secret><usage type='iscsi'><target>t</target><name>n</name></usage></secret>";
    let mut secret = Secret::parse(text, ParseFlags::empty()).unwrap().value;
    assert_eq!(secret.usage.as_ref().map(|usage| usage.id()), Some("t"));
    secret.name_missing(&mut |bytes| bytes.fill(2));
    assert_eq!(
        secret.format(FormatFlags::empty()),
        "<secret ephemeral='no' private='no'>\n  <uuid>02020202-0202-4202-8202-020202020202</uuid>\n  \
         <usage type='iscsi'>\n    <target>t</target>\n  </usage>\n</secret>\n"
    );
    let error = rewritten::<Secret>("<secret><usage type='ceph'/></secret>").unwrap_err();
    assert!(error.contains("ceph usage specified, but its <name> is missing"), "{error}");
}
