// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A document that a client or an editor wrote.
//!
//! What is read as a document and written is read again as the same document.

use virtus_wire::sample::Random;
use virtus_xml::document::{Document, root};
use virtus_xml::{Domain, FormatFlags, ParseFlags, for_all_documents, parse_any};

use super::Target;

pub(crate) const TARGET: Target = Target { name: "document", run, seed };

/// One document of each kind, as small as it can be while it has something of everything.
const SEEDS: &[&str] = &[
    "<domain type='kvm'><name>g</name><memory unit='MiB'>64</memory><vcpu cpuset='0-3,^2'>2</vcpu>\
     <cputune><vcpusched vcpus='0-1' scheduler='fifo' priority='1'/></cputune>\
     <os><type arch='x86_64' machine='q35'>hvm</type></os><cpu mode='host-model'/><clock offset='utc'/>\
     <devices><disk type='network' device='cdrom'><source protocol='http' name='a'><host name='h'/></source>\
     <target dev='sda' bus='sata'/></disk><controller type='usb'/><interface type='user'/>\
     <serial type='udp'><source mode='bind' service='1'/><source service='2'/></serial>\
     <graphics type='spice' port='-1'/><video><model type='qxl'/></video>\
     <hostdev mode='subsystem' type='pci'><source><address bus='1' slot='2'/></source></hostdev></devices>\
     <metadata><a:b xmlns:a='u'>t</a:b></metadata></domain>",
    "<domstatus state='running' reason='booted' pid='1'><monitor path='/m' type='unix'/><x y='z'/>\
     <domain type='qemu' id='1'><name>g</name><memory>1</memory><os><type>hvm</type></os></domain></domstatus>",
    "<domainCapabilities><path>/q</path><cpu><mode name='custom' supported='yes'><model usable='no'>a</model>\
     <blockers model='a'><feature name='f'/></blockers></mode></cpu></domainCapabilities>",
    "<capabilities><host><cpu><arch>x86_64</arch></cpu></host><guest><os_type>hvm</os_type>\
     <arch name='x86_64'><wordsize>64</wordsize></arch></guest></capabilities>",
    "<disk type='file'><source file='/a'/><target dev='vda'/></disk>",
    "<domainsnapshot><name>s</name><state>running</state><creationTime>1</creationTime><memory file='/m'/>\
     <disks><disk name='vda'><driver type='qcow2'/><source file='/a'/></disk></disks>\
     <domain type='kvm'><name>g</name><memory>1</memory><os><type>hvm</type></os></domain><active>1</active></domainsnapshot>",
    "<domaincheckpoint><name>c</name><creationTime>1</creationTime><disks><disk name='vda'/></disks></domaincheckpoint>",
    "<domainbackup mode='pull'><incremental>c</incremental><server transport='unix' socket='/s'/><disks>\
     <disk name='vda' type='block' exportname='e'><scratch dev='/d'/></disk><disk name='vdb' backup='no'/></disks>\
     </domainbackup>",
    "<device><name>d</name><path>/sys/d</path><capability type='pci'><class>0x060400</class><domain>0</domain>\
     <bus>1</bus><slot>2</slot><function>0</function><product id='0x1'/><vendor id='8086'>v</vendor>\
     <capability type='virt_functions' maxCount='2'><address bus='1' slot='2'/></capability>\
     <capability type='vpd'><name>n</name><fields access='readonly'><vendor_field index='0'>f</vendor_field></fields>\
     </capability><iommuGroup number='1'><address slot='1'/></iommuGroup><pci-express><link validity='sta' width='1'/>\
     </pci-express></capability></device>",
    "<device><name>d</name><capability type='storage'><block>/dev/a</block><capability type='removable'>\
     <media_size>1</media_size></capability></capability><capability type='mdev'><type id='t'/>\
     <attr name='a' value='b'/></capability></device>",
    "<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>p</name>\
     <source><host name='h'/><dir path='//a'/><format type='nfs'/><protocol ver='4'/></source><target><path>/t</path>\
     <permissions><mode>0700</mode><owner>-1</owner></permissions></target>\
     <fs:mount_opts><fs:option name='sync'/></fs:mount_opts></pool>",
    "<pool type='scsi'><name>p</name><source><adapter type='scsi_host'><parentaddr unique_id='5'><address slot='0x1f'/>\
     </parentaddr></adapter></source><target><path>/dev</path></target></pool>",
    "<volume type='file'><name>v</name><capacity unit='G'>1</capacity><target><format type='qcow2'/>\
     <encryption format='luks'><secret type='passphrase' usage='u'/></encryption><features><extended_l2/></features>\
     </target><backingStore><path>/b</path></backingStore></volume>",
    "<secret ephemeral='yes'><description>d</description><usage type='ceph'><name>n</name></usage></secret>",
    "<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0' ipv6='yes'><name>n</name>\
     <forward dev='e'><nat ipv6='yes'><address start='1.2.3.4' end='1.2.3.5'/><port start='1' end='2'/></nat></forward>\
     <bridge name='b' delay='1'/><mtu size='9'/><mac address='52:54:00:00:00:01'/><domain name='d'/>\
     <dns><forwarder addr='::1'/><txt name='t' value='v'/><srv service='s' protocol='tcp' target='t' port='1'/>\
     <host ip='10.0.0.2'><hostname>h</hostname></host></dns><bandwidth><inbound average='1'/></bandwidth>\
     <ip address='10.0.0.1' prefix='24'><tftp root='/t'/><dhcp><range start='10.0.0.2' end='10.0.0.9'><lease expiry='3'/>\
     </range><host mac='52:54:00:00:00:02' ip='10.0.0.3'/><bootp file='f'/></dhcp></ip>\
     <route address='10.1.0.0' prefix='16' gateway='10.0.0.7'/><portgroup name='p' default='yes'><vlan><tag id='1'/></vlan>\
     <virtualport type='openvswitch'><parameters profileid='q'/></virtualport></portgroup>\
     <dnsmasq:options><dnsmasq:option value='o'/></dnsmasq:options></network>",
    "<networkport><uuid>3e3fce45-4f53-4fa7-bb32-11f34168b82b</uuid><owner><name>g</name>\
     <uuid>0a9d2a3b-5d0c-4f3a-9c55-0d1d3e6c7f10</uuid></owner><mac address='52:54:00:00:00:01'/>\
     <plug type='hostdev-pci' managed='yes'><driver name='vfio'/><address bus='1' slot='2'/></plug></networkport>",
    "<filter name='f' chain='ipv4'><filterref filter='g'><parameter name='A' value='1'/></filterref>\
     <rule action='drop' direction='in' statematch='0'><tcp match='no' srcipaddr='$IP[@1]' srcipmask='255.0.0.0'/>\
     <tcp flags='SYN/ALL' state='NEW' ipset='s' dscp='0x1f' comment='c'/></rule>\
     <rule action='accept' direction='out'><arp opcode='Reply' gratuitous='yes'/></rule></filter>",
    "<filterbinding><owner><name>g</name><uuid>0a9d2a3b-5d0c-4f3a-9c55-0d1d3e6c7f10</uuid></owner>\
     <portdev name='vnet0'/><mac address='52:54:00:00:00:01'/><filterref filter='f'/></filterbinding>",
    "<interface type='bridge' name='br0'><start mode='onboot'/><mtu size='9'/><protocol family='ipv6'><autoconf/>\
     <dhcp peerdns='no'/><ip address='::1' prefix='8'/><route gateway='::2'/></protocol><bridge stp='on' delay='1'>\
     <interface type='bond' name='b'><bond mode='802.3ad'><miimon freq='1' updelay='2' carrier='netif'/>\
     <interface type='ethernet' name='e'><link speed='1' state='up'/></interface></bond></interface></bridge></interface>",
];

fn run(input: &[u8]) {
    let _ = parse_any(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(document) = virtus_xml::schema::Document::of_root(root(text)) {
        let _ = document.validate(text);
    }
    for (parse, format) in
        [(ParseFlags::INACTIVE, FormatFlags::INACTIVE), (ParseFlags::empty(), FormatFlags::empty())]
    {
        let Ok(first) = Domain::parse(text, parse) else { continue };
        let written = first.value.format(format | FormatFlags::SECURE);
        let again = Domain::parse(&written, parse);
        let rewritten = again.map(|domain| domain.value.format(format | FormatFlags::SECURE));
        assert_eq!(rewritten.as_deref().ok(), Some(written.as_str()), "from {text}");
    }
    macro_rules! reread_each {
        ($($document:ident),*) => {$(
            if root(text) == virtus_xml::$document::ROOT {
                reread::<virtus_xml::$document>(text);
            }
        )*};
    }
    for_all_documents!(reread_each);
}

/// A document that is no domain: read and written twice.
fn reread<D: Document>(text: &str) {
    for (parse, format) in
        [(ParseFlags::INACTIVE, FormatFlags::INACTIVE), (ParseFlags::empty(), FormatFlags::empty())]
    {
        let Ok(first) = D::parse(text, parse) else { continue };
        let written = first.value.format(format);
        let again = D::parse(&written, parse).map(|document| document.value.format(format));
        assert_eq!(again.as_deref().ok(), Some(written.as_str()), "from {text}");
    }
}

fn seed(random: &mut Random) -> Vec<u8> {
    SEEDS[random.below(SEEDS.len())].as_bytes().to_vec()
}
