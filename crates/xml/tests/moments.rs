// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Snapshots, checkpoints and backups: what is new, what is kept, and how their disks follow the guest's.

use virtus_xml::domain::disk::SnapshotMode;
use virtus_xml::moment::Alignment;
use virtus_xml::{Backup, Checkpoint, Document, Domain, FormatFlags, ParseFlags, Snapshot};

const GUEST: &str = "<domain type='kvm'><name>g</name><uuid>5d1c6a6e-3d0b-4e43-8f53-4f1f1a4c2a10</uuid>\
    <memory>1024</memory><os><type>hvm</type></os><devices>\
    <disk type='file'><source file='/img/root.qcow2'/><target dev='vda' bus='virtio'/></disk>\
    <disk type='block'><source dev='/dev/vg/data'/><target dev='vdb' bus='virtio'/></disk>\
    <disk type='file' snapshot='no'><source file='/img.d/swap'/><target dev='vdc' bus='virtio'/></disk>\
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk></devices></domain>";

const NEW: ParseFlags = ParseFlags::INACTIVE.union(ParseFlags::NEW);

fn guest() -> Domain {
    Domain::parse(GUEST, ParseFlags::INACTIVE).map(|parsed| parsed.value).unwrap_or_default()
}

fn snapshot(text: &str, flags: ParseFlags) -> Result<Snapshot, String> {
    Snapshot::parse(text, flags).map(|parsed| parsed.value).map_err(|error| error.to_string())
}

const INTERNAL: Alignment =
    Alignment { default: SnapshotMode::Internal, uniform: true, force_default: false };
const EXTERNAL: Alignment =
    Alignment { default: SnapshotMode::External, uniform: false, force_default: false };

#[test]
fn a_new_snapshot_is_what_it_will_be() {
    let text = "<domainsnapshot><state>running</state><creationTime>1</creationTime><parent><name>p</name></parent>\
                <domain type='nosuch'/><active>1</active></domainsnapshot>";
    let mut new = snapshot(text, NEW).unwrap();
    new.made_at(1_234_567_890);
    assert_eq!(
        new.format(FormatFlags::INACTIVE),
        "<domainsnapshot>\n  <name>1234567890</name>\n  <creationTime>1234567890</creationTime>\n</domainsnapshot>\n"
    );
    assert!(snapshot(text, ParseFlags::INACTIVE).is_err());
}

#[test]
fn a_snapshot_keeps_its_guest() {
    let text = format!(
        "<domainsnapshot><name>s</name><state>shutoff</state><creationTime>7</creationTime>{GUEST}<cookie/>\
         <inactiveDomain{}inactiveDomain></domainsnapshot>",
        GUEST.trim_start_matches("<domain").trim_end_matches("domain>")
    );
    let old = snapshot(&text, ParseFlags::INACTIVE).unwrap();
    let written = old.format(FormatFlags::INACTIVE);
    assert!(written.contains("<memory snapshot='no'/>\n  <domain type='kvm'>\n"), "{written}");
    assert!(written.contains("  <inactiveDomain type='kvm'>\n    <name>g</name>"), "{written}");
    assert!(!written.contains("cookie"), "{written}");
    assert_eq!(snapshot(&written, ParseFlags::INACTIVE).as_ref(), Ok(&old));
    assert!(old.domain.and_then(|domain| domain.whole().cloned()).is_some());
}

#[test]
fn images_are_named_after_the_snapshot() {
    let text = "<domainsnapshot><name>s</name><disks><disk name='/dev/vg/data'><source file='/new'/></disk>\
                </disks></domainsnapshot>";
    let mut new = snapshot(text, NEW).unwrap();
    new.align(&guest(), EXTERNAL).unwrap();
    let written = new.format(FormatFlags::INACTIVE);
    let disks = "  <disks>
    <disk name='vda' snapshot='external' type='file'>
      <source file='/img/root.s'/>
    </disk>
    <disk name='vdb' snapshot='external' type='file'>
      <source file='/new'/>
    </disk>
    <disk name='vdc' snapshot='no'/>
    <disk name='sda' snapshot='no'/>
  </disks>
";
    assert!(written.contains(disks), "{written}");
    assert!(new.external());
}

#[test]
fn disks_that_do_not_fit_are_refused() {
    for (disks, rule, why) in [
        ("<disk name='vdz'/>", EXTERNAL, "no disk named 'vdz'"),
        ("<disk name='vda'/><disk name='/img/root.qcow2'/>", EXTERNAL, "specified twice"),
        ("<disk name='vda' snapshot='no'/>", INTERNAL, "must use snapshot mode 'internal'"),
        (
            "<disk name='vda' snapshot='internal'><source file='/a'/></disk>",
            EXTERNAL,
            "requires use of external",
        ),
        (
            "<disk name='vda'><source file='/img.d/s'/></disk><disk name='vdc' snapshot='external'/>\
          <disk name='vdb' snapshot='no'/>",
            EXTERNAL,
            "",
        ),
        (
            "<disk name='vda'><source file='/img.d/swap.s'/></disk><disk name='vdc' snapshot='external'/>\
          <disk name='vdb' snapshot='no'/>",
            EXTERNAL,
            "collision with disk 'vda'",
        ),
        ("<disk name='sda' snapshot='external'/>", EXTERNAL, "without source"),
    ] {
        let text = format!("<domainsnapshot><name>s</name><disks>{disks}</disks></domainsnapshot>");
        let aligned = snapshot(&text, NEW).unwrap().align(&guest(), rule);
        let said = aligned.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{disks}: {said}");
    }
}

#[test]
fn memory_needs_a_place() {
    for (memory, good) in [
        ("<memory snapshot='internal'/>", true),
        ("<memory file='/a'/>", true),
        ("<memory snapshot='external'/>", false),
        ("<memory snapshot='internal' file='/a'/>", false),
        ("<memory file='a'/>", false),
        ("<memory snapshot='manual'/>", false),
        ("<disks><disk name='vda'><source file='a'/></disk></disks>", false),
        ("<disks><disk name='vda' type='dir'/></disks>", false),
        ("<disks><disk/></disks>", false),
    ] {
        let text = format!("<domainsnapshot>{memory}</domainsnapshot>");
        assert_eq!(snapshot(&text, NEW).is_ok(), good, "{memory}");
    }
    let kept = snapshot("<domainsnapshot><memory file='/a'/></domainsnapshot>", NEW).unwrap();
    assert!(kept.check_offline().is_err());
}

#[test]
fn a_checkpoint_is_of_what_can_be_written() {
    let parse = |text: &str| Checkpoint::parse(text, NEW | ParseFlags::VALIDATE);
    let mut new = parse("<domaincheckpoint><name>c</name></domaincheckpoint>").unwrap().value;
    new.align(&guest()).unwrap();
    let written = new.format(FormatFlags::INACTIVE);
    for line in [
        "<disk name='vda' checkpoint='bitmap' bitmap='c'/>",
        "<disk name='vdb' checkpoint='bitmap' bitmap='c'/>",
        "<disk name='vdc' checkpoint='bitmap' bitmap='c'/>",
        "<disk name='sda' checkpoint='no'/>",
    ] {
        assert!(written.contains(line), "{written}");
    }
    let text = "<domaincheckpoint><disks><disk name='sda'/></disks></domaincheckpoint>";
    assert!(parse(text).unwrap().value.align(&guest()).is_err());
    for text in [
        "<domaincheckpoint><name>.c</name></domaincheckpoint>",
        "<domaincheckpoint><disks><disk/></disks></domaincheckpoint>",
        "<domaincheckpoint><disks><disk name='vda' checkpoint='maybe'/></disks></domaincheckpoint>",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_backup_knows_where_its_data_goes() {
    let parse = |text: &str, flags| Backup::parse(text, flags).map(|parsed| parsed.value);
    let text = "<domainbackup mode='pull'><server name='::1' port='10809'/><disks><disk name='vda'/></disks></domainbackup>";
    let mut pull = parse(text, ParseFlags::VALIDATE).unwrap();
    pull.align(&guest(), "b").unwrap();
    assert_eq!(
        pull.format(FormatFlags::empty()),
        "<domainbackup mode='pull'>
  <server transport='tcp' name='::1' port='10809'/>
  <disks>
    <disk name='vda' backup='yes' type='file' backupmode='full'>
      <scratch file='/img/root.qcow2.b'/>
    </disk>
    <disk name='vdb' backup='no'/>
    <disk name='vdc' backup='no'/>
    <disk name='sda' backup='no'/>
  </disks>
</domainbackup>
"
    );
    // A block device has no name to which a suffix could be put.
    assert!(parse("<domainbackup/>", ParseFlags::empty()).unwrap().align(&guest(), "b").is_err());
    for text in [
        "<domainbackup><server name='h'/></domainbackup>",
        "<domainbackup mode='pull'><server/></domainbackup>",
        "<domainbackup mode='pull'><server transport='unix' socket='s'/></domainbackup>",
        "<domainbackup mode='pull'><server transport='rdma' name='h'/></domainbackup>",
        "<domainbackup mode='pull'><server transport='fd'/></domainbackup>",
        "<domainbackup><disks><disk name='vda' type='network'/></disks></domainbackup>",
    ] {
        assert!(parse(text, ParseFlags::empty()).is_err(), "{text}");
    }
}

#[test]
fn a_backup_that_runs_tells_how_far_it_is() {
    let text = "<domainbackup mode='pull'>
  <server transport='unix' tls='yes' socket='/s'/>
  <disks>
    <disk name='vda' backup='yes' state='running' type='file' backupmode='full' index='7'>
      <driver type='qcow2'/>
      <scratch file='/scratch'/>
    </disk>
    <disk name='vdb' backup='no'/>
  </disks>
  <privateData>
    <objects>
      <TLSx509 alias='objlibvirt_backup_tls0'/>
    </objects>
  </privateData>
</domainbackup>
";
    let running = Backup::parse(text, ParseFlags::STATUS).unwrap().value;
    assert_eq!(running.format(FormatFlags::STATUS), text);
    let told = running.format(FormatFlags::empty());
    assert!(!told.contains("state=") && !told.contains("privateData"), "{told}");
}
