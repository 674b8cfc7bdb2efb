// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of the host: what survives, what the host alone knows, what a new device needs.

use virtus_xml::chance::Chance;
use virtus_xml::node_device::Capability;
use virtus_xml::{Document, FormatFlags, NodeDevice, ParseFlags};

fn survives(text: &str) {
    let parsed = NodeDevice::parse(text, ParseFlags::VALIDATE).map_err(|error| error.to_string());
    let written = parsed.map(|parsed| parsed.value.format(FormatFlags::empty()));
    assert_eq!(written.as_deref(), Ok(text));
}

#[test]
fn every_kind_survives() {
    survives(
        "<device>
  <name>computer</name>
  <capability type='system'>
    <product>Box</product>
    <hardware>
      <vendor>Maker</vendor>
      <serial>7</serial>
      <uuid>5d1c6a6e-3d0b-4e43-8f53-4f1f1a4c2a10</uuid>
    </hardware>
    <firmware>
    </firmware>
  </capability>
</device>
",
    );
    survives(
        "<device>
  <name>pci_0000_01_00_0</name>
  <path>/sys/devices/pci0000:00/0000:01:00.0</path>
  <parent>pci_0000_00_01_0</parent>
  <capability type='pci'>
    <class>0x060400</class>
    <domain>0</domain>
    <bus>1</bus>
    <slot>0</slot>
    <function>0</function>
    <product id='0x00ff'/>
    <vendor id='0x8086'>R&amp;D</vendor>
    <capability type='cardbus-bridge'/>
    <capability type='mdev_types'>
      <type id='t1'>
        <deviceAPI>vfio-pci</deviceAPI>
        <availableInstances>3</availableInstances>
      </type>
    </capability>
    <pci-express/>
  </capability>
</device>
",
    );
    survives(
        "<device>
  <name>usb_1_1</name>
  <capability type='usb_device'>
    <bus>1</bus>
    <device>2</device>
    <product id='0x0002' />
    <vendor id='0x1d6b'>Linux</vendor>
  </capability>
</device>
",
    );
    survives(
        "<device>
  <name>usb_1_1_1_0</name>
  <capability type='usb'>
    <number>0</number>
    <class>3</class>
    <subclass>1</subclass>
    <protocol>2</protocol>
    <description>keys</description>
  </capability>
</device>
",
    );
    survives(
        "<device>
  <name>block_sdz</name>
  <devnode type='dev'>/dev/sdz</devnode>
  <devnode type='link'>/dev/disk/by-id/z</devnode>
  <capability type='storage'>
    <block>/dev/sdz</block>
    <size>1024</size>
    <capability type='hotpluggable'/>
  </capability>
</device>
",
    );
    survives(
        "<device>
  <name>scsi_generic_sg0</name>
  <capability type='scsi_generic'>
    <char>/dev/sg0</char>
  </capability>
</device>
",
    );
    survives(
        "<device>
  <name>vdpa_vdpa0</name>
  <capability type='vdpa'>
    <chardev>/dev/vhost-vdpa-0</chardev>
  </capability>
</device>
",
    );
    survives(
        "<device>
  <name>net_eth0</name>
  <capability type='net'>
    <interface>eth0</interface>
    <address>52:54:00:00:00:01</address>
    <link speed='1000' state='up'/>
    <feature name='rx'/>
    <feature name='lro'/>
    <capability type='80203'/>
  </capability>
</device>
",
    );
    survives(
        "<device>
  <name>ccwgroup_0_0_0100</name>
  <capability type='ccwgroup'>
    <state>offline</state>
    <cssid>0xfe</cssid>
    <ssid>0x0</ssid>
    <devno>0x0100</devno>
    <members>
      <ccw_device ref='cdev0'>ccw_0_0_0100</ccw_device>
    </members>
    <capability type='qeth_layer2'>
      <card_type>OSD</card_type>
      <chpid>BD</chpid>
    </capability>
  </capability>
</device>
",
    );
}

const MDEV: &str = "<device>
  <name>m</name><path>/sys/m</path><driver><name>vfio_mdev</name></driver>
  <capability type='mdev'>
    <attr value='1' name='a'/><type id='t'/><parent_addr>0000:00:02.0</parent_addr>
  </capability>
</device>";

#[test]
fn what_the_host_knows_cannot_be_said() {
    let device = NodeDevice::parse(MDEV, ParseFlags::empty()).unwrap().value;
    let written = device.format(FormatFlags::empty());
    assert!(!written.contains("driver") && !written.contains("parent_addr"), "{written}");
    assert!(
        written.contains("<path>") && written.contains("<iommuGroup number='0'/>"),
        "{written}"
    );
    assert!(!device.format(FormatFlags::INACTIVE).contains("<path>"));
}

#[test]
fn a_new_adapter_gets_names() {
    let text = "<device><parent wwnn='20000000c9831b4b' wwpn='10000000c9831b4b'/>\
                <capability type='scsi_host'><capability type='fc_host'/></capability></device>";
    assert!(NodeDevice::parse(text, ParseFlags::empty()).is_err());
    let mut device = NodeDevice::parse(text, ParseFlags::NEW).unwrap().value;
    let mut count = |bytes: &mut [u8]| {
        for (byte, number) in bytes.iter_mut().zip(0..) {
            *byte = number;
        }
    };
    device.name_missing([0x00, 0x1a, 0x4a], &mut Chance(&mut count));
    let Some(Capability::ScsiHost(host)) = device.capabilities.first() else {
        panic!("no adapter: {device:?}")
    };
    let port = host.fc_host.0.as_ref().unwrap();
    assert_eq!(port.wwnn.as_deref(), Some("5001a4a403020100"));
}

#[test]
fn what_is_no_device_is_refused() {
    for (from, to) in [
        ("<name>m</name>", ""),
        ("'mdev'", "'mdv'"),
        ("<capability type='mdev'>", "<capability>"),
        ("<type id='t'/>", ""),
        (" name='a'", ""),
        ("<capability type='mdev'>", "<capability type='pci'>"),
        ("<capability type='mdev'>", "<capability type='ap_card'>"),
        ("'mdev'>", "'ap_queue'><ap-adapter>1</ap-adapter><ap-domain>0x100</ap-domain>"),
        ("'mdev'>", "'ccw'><cssid>0</cssid><ssid>0</ssid><devno/>"),
        ("'mdev'>", "'storage'><block>/dev/a</block>"),
        ("'mdev'>", "'drm'>"),
    ] {
        let text = MDEV.replace(from, to);
        assert!(NodeDevice::parse(&text, ParseFlags::empty()).is_err(), "{to}");
    }
    assert!(NodeDevice::parse("<device><name>a</name></device>", ParseFlags::empty()).is_err());
}
