// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest as virt-install describes it: what is filled in, what is reported, what only a running guest shows.

use virtus_xml::{AnyDevice, Domain, FormatFlags, ParseFlags};

const GUEST: &str = r#"<domain type="kvm">
  <name>web</name>
  <uuid>0a9d2a3b-5d0c-4f3a-9c55-0d1d3e6c7f10</uuid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit="MiB">2</memory>
  <os><type arch="x86_64" machine="q35">hvm</type></os>
  <features><acpi/><apic/></features>
  <devices>
    <disk type="file" device="cdrom"><target dev="sdb" bus="sata"/></disk>
    <disk type="file"><driver name="qemu" type="qcow2"/><source file="/var/lib/a&amp;b.qcow2"/><target dev="sda"/></disk>
    <console type="pty"/>
    <graphics type="vnc" port="-1" passwd="geheim"/>
    <video><model type="virtio"/></video>
  </devices>
</domain>
"#;

const SETTLED: &str = "<domain type='kvm'>
  <name>web</name>
  <uuid>0a9d2a3b-5d0c-4f3a-9c55-0d1d3e6c7f10</uuid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo=\"http://libosinfo.org/xmlns/libvirt/domain/1.0\">
      <libosinfo:os id=\"http://debian.org/debian/12\"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit='KiB'>2048</memory>
  <currentMemory unit='KiB'>2048</currentMemory>
  <vcpu placement='static'>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
    <acpi/>
    <apic/>
  </features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <disk type='file' device='cdrom'>
      <target dev='sdb' bus='sata'/>
      <readonly/>
      <address type='drive' controller='0' bus='0' target='0' unit='1'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/var/lib/a&amp;b.qcow2'/>
      <target dev='sda' bus='scsi'/>
      <address type='drive' controller='0' bus='0' target='0' unit='0'/>
    </disk>
    <serial type='pty'>
      <target port='0'/>
    </serial>
    <console type='pty'>
      <target type='serial' port='0'/>
    </console>
    <graphics type='vnc' port='-1' autoport='yes'>
      <listen type='address'/>
    </graphics>
    <video>
      <model type='virtio' heads='1' primary='yes'/>
    </video>
  </devices>
</domain>
";

#[test]
fn what_is_not_said_is_filled_in() {
    let parsed = Domain::parse(GUEST, ParseFlags::INACTIVE).unwrap();
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    assert_eq!(parsed.value.format(FormatFlags::INACTIVE), SETTLED);
    let secure = parsed.value.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
    assert!(secure.contains("passwd='geheim'"));
}

#[test]
fn a_running_guest_shows_more_than_its_definition() {
    let mut guest = Domain::parse(GUEST, ParseFlags::INACTIVE).unwrap().value;
    guest.id = Some(7);
    guest.devices.serials[0].source_mut().path = Some("/dev/pts/3".to_owned());
    guest.devices.serials[0].info.alias = Some("serial0".to_owned());
    guest.devices.graphics[0].port = Some(5901);
    let live = guest.format(FormatFlags::empty());
    assert!(live.contains("<domain type='kvm' id='7'>"));
    assert!(live.contains("<console type='pty' tty='/dev/pts/3'>"));
    assert!(live.contains("<source path='/dev/pts/3'/>"));
    assert!(live.contains("<alias name='serial0'/>"));
    assert!(live.contains("<graphics type='vnc' port='5901' autoport='yes'>"));
    assert_eq!(guest.format(FormatFlags::INACTIVE), SETTLED);
    let again = Domain::parse(&live, ParseFlags::empty()).unwrap().value;
    assert_eq!(again.format(FormatFlags::empty()), live);
}

#[test]
fn errors_say_where_and_what_is_allowed() {
    let text = GUEST.replace("bus=\"sata\"", "bus=\"sataa\"");
    let error = Domain::parse(&text, ParseFlags::INACTIVE).unwrap_err().to_string();
    for piece in ["'bus'", "'target'", "'sataa'", "line 13", "column 56", "virtio, xen, usb"] {
        assert!(error.contains(piece), "{piece} in {error}");
    }
    let error = Domain::parse("<domain>\n<name>a</nam></domain>", ParseFlags::empty()).unwrap_err();
    assert!(error.text().starts_with("at line 2: "), "{error}");
}

#[test]
fn unknown_names_are_reported_with_the_nearest_known_one() {
    let text = GUEST.replace("<acpi/>", "<acpj/>").replace("port=\"-1\"", "prt=\"-1\"");
    let parsed = Domain::parse(&text, ParseFlags::INACTIVE).unwrap();
    let texts: Vec<&str> = parsed.warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "element <acpj> is not known in <features>; did you mean 'acpi'?",
            "attribute 'prt' of <graphics> is not known; did you mean 'port'?"
        ]
    );
    assert_eq!((parsed.warnings[0].line, parsed.warnings[0].column), (11, 13));
    let error = Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::VALIDATE).unwrap_err();
    assert!(error.to_string().contains("line 11, column 13"), "{error}");
}

#[test]
fn a_device_stands_on_its_own() {
    let text =
        "<disk type='block' device='disk'><source dev='/dev/sdx'/><target dev='sdc'/></disk>";
    let disk = AnyDevice::parse(text, ParseFlags::INACTIVE, true).unwrap().value;
    assert_eq!(
        disk.format(FormatFlags::INACTIVE),
        "<disk type='block' device='disk'>\n  <source dev='/dev/sdx'/>\n  <target dev='sdc' bus='scsi'/>\n  \
         <address type='drive' controller='0' bus='0' target='0' unit='2'/>\n</disk>\n"
    );
    let serial =
        AnyDevice::parse("<serial type='pty'/>", ParseFlags::INACTIVE, true).unwrap().value;
    assert_eq!(serial.name(), "serial");
    assert!(AnyDevice::parse("<dsk/>", ParseFlags::INACTIVE, true).is_err());
}

#[test]
fn limits_of_nothing_can_be_read_again() {
    for limits in [
        "average='0'",
        "floor='0'",
        "average='0' peak='9' burst='9'",
        "average='0' floor='3' burst='9'",
    ] {
        let text = format!(
            "<interface type='network'><source network='lan'/>\
             <bandwidth><inbound {limits}/></bandwidth></interface>"
        );
        let read = |text: &str| AnyDevice::parse(text, ParseFlags::INACTIVE, true).unwrap().value;
        let card = read(&text);
        assert_eq!(read(&card.format(FormatFlags::INACTIVE)), card, "{limits}");
    }
}
