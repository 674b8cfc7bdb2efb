// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Devices of which more is said than they have: it is forgotten, as libvirt does, or refused.

use virtus_xml::{Domain, FormatFlags, ParseFlags};

fn guest(devices: &str) -> virtus_api::Result<String> {
    let text = format!(
        "<domain type='qemu'><name>g</name><memory unit='MiB'>64</memory>\
         <maxMemory slots='2' unit='GiB'>4</maxMemory><os><type arch='x86_64'>hvm</type></os>\
         <cpu><numa><cell id='0' cpus='0' memory='65536'/></numa></cpu>\
         <devices>{devices}</devices></domain>"
    );
    let parsed = Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::ABI_UPDATE)?;
    parsed.value.validate()?;
    Ok(parsed.value.format(FormatFlags::SECURE))
}

#[test]
fn what_a_model_does_not_have_is_forgotten() {
    for (stated, kept) in [
        (
            "<sound model='ac97' multichannel='yes' streams='3'><codec type='micro'/></sound>",
            "<sound model='ac97'/>",
        ),
        (
            "<audio id='1' type='alsa'><input dev='/dev/x' tryPoll='yes' latency='3'/></audio>",
            "<input dev='/dev/x'/>",
        ),
        ("<video><model type='none' vram='16384' heads='2'/></video>", "<model type='none'/>"),
        (
            "<graphics type='vnc' port='5901' autoport='no' connected='keep'/>",
            "<graphics type='vnc' port='5901' autoport='no'>",
        ),
        (
            "<redirfilter><usbdev class='-1' vendor='0x1' product='-1' allow='no'/></redirfilter>",
            "<usbdev vendor='0x0001' allow='no'/>",
        ),
        ("<tpm><backend type='passthrough'/></tpm>", "<device path='/dev/tpm0'/>"),
        (
            "<hostdev mode='subsystem' type='pci'><source/></hostdev>",
            "<address domain='0x0000' bus='0x00' slot='0x00' function='0x0'/>",
        ),
        (
            "<rng model='virtio'><rate period='5'/><backend model='egd' type='null'/></rng>",
            "<rng model='virtio'>\n      <backend model='egd' type='null'>\n      </backend>",
        ),
    ] {
        let text = guest(stated).unwrap();
        assert!(text.contains(kept), "{stated}\n{text}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let label = |size: &str| {
        format!(
            "<memory model='nvdimm'><source><path>/n</path></source><target><size unit='MiB'>1\
             </size><node>0</node><label><size unit='KiB'>{size}</size></label></target></memory>"
        )
    };
    for (stated, said) in [
        ("<vsock/><vsock/>", "only a single vsock device"),
        ("<panic model='isa'/><panic model='isa'/>", "Multiple panic devices with model 'isa'"),
        (label("64").as_str(), "at least 128KiB"),
        (label("1024").as_str(), "smaller than NVDIMM size"),
        ("<sound model='ac97'><audio id='7'/></sound>", "no audio device with ID 7"),
        ("<crypto model='virtio' type='qemu'/>", "one crypto backend"),
        (
            "<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost' wwpn='x'/></hostdev>",
            "malformed 'wwpn'",
        ),
        ("<disk><source file='/a'/><target dev='sda'/><wwn>500a0981</wwn></disk>", "Malformed wwn"),
        (
            "<interface type='ethernet'><virtualport type='openvswitch'/></interface>",
            "<virtualport> element unsupported for <interface type='ethernet'>",
        ),
        (
            "<interface type='bridge'><source bridge='b'/><virtualport/></interface>",
            "missing required virtualport type",
        ),
    ] {
        let error = guest(stated).unwrap_err();
        assert!(error.to_string().contains(said), "{stated}: {error}");
    }
}

#[test]
fn lists_are_whole_or_not_there() {
    let text = "<domain type='qemu'><name>g</name><memory>1024</memory>\
        <vcpu>3</vcpu><vcpus><vcpu id='0' enabled='yes'/></vcpus>\
        <iothreads>2</iothreads><iothreadids><iothread id='1'/></iothreadids>\
        <blkiotune><device><path>/dev/x</path></device></blkiotune><memtune/><pm/>\
        <clock offset='localtime' adjustment='5'/>\
        <os><type arch='x86_64'>hvm</type></os></domain>";
    let domain = Domain::parse(text, ParseFlags::INACTIVE).unwrap().value;
    let text = domain.format(FormatFlags::empty());
    for kept in [
        "<vcpu placement='static' current='1'>3</vcpu>",
        "<vcpu id='0' enabled='yes' hotpluggable='no'/>\n    <vcpu id='1' enabled='no' hotpluggable='yes'/>",
        "<iothread id='1'/>\n    <iothread id='2'/>",
        "<clock offset='variable' adjustment='5' basis='localtime'/>",
    ] {
        assert!(text.contains(kept), "{kept}\n{text}");
    }
    for gone in ["blkiotune", "memtune", "<pm"] {
        assert!(!text.contains(gone), "{gone}\n{text}");
    }
}
