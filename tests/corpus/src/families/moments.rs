// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Snapshots, checkpoints and backups of a guest.

use virtus_xml::moment::{CheckpointDisk, CheckpointMode, MomentDomain, SnapshotState};
use virtus_xml::value::Value;
use virtus_xml::{Backup, Checkpoint, Document, Domain, FormatFlags, ParseFlags, Snapshot};

use crate::{Case, Corpus, Verdict, compare};

fn said(error: virtus_api::Error) -> String {
    format!("ERROR {error}")
}

/// How the document of a moment is read: definitions of guests, and a new moment unless it is redefined.
fn flags(case: &Case) -> ParseFlags {
    let redefine = case.params["redefine"].as_bool() == Some(true);
    let flags = ParseFlags::INACTIVE | ParseFlags::SKIP_VALIDATE;
    if redefine { flags } else { flags | ParseFlags::NEW }
}

pub(super) fn snapshot(corpus: &Corpus, case: &Case) -> Verdict {
    let parsed = Snapshot::parse(&case.read(corpus)?, flags(case)).map_err(said)?;
    let mut snapshot = parsed.value;
    if let Some(time) = case.params["creation_time"].as_i64() {
        snapshot.made_at(time);
    }
    if case.params["internal"].as_bool() != Some(true) {
        snapshot.active = None;
    }
    if case.params["state_running"].as_bool() == Some(true) {
        snapshot.state = Some(SnapshotState::Running);
    }
    if snapshot.domain.as_ref().and_then(MomentDomain::whole).is_none() {
        let uuid = case.param("domain_uuid");
        snapshot.domain = uuid.map(|uuid| MomentDomain::Uuid(Value::parse(uuid)));
    }
    let actual = snapshot.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
    compare::text(&case.read_expected(corpus, "xml")?, &actual)
}

/// Checkpoints are always held against the schema.
fn read_checkpoint(corpus: &Corpus, case: &Case) -> Result<Result<Checkpoint, String>, String> {
    let parsed = Checkpoint::parse(&case.read(corpus)?, flags(case) | ParseFlags::VALIDATE);
    Ok(parsed.map(|parsed| parsed.value).map_err(said))
}

pub(super) fn checkpoint(corpus: &Corpus, case: &Case) -> Verdict {
    let mut checkpoint = read_checkpoint(corpus, case)??;
    if let Some(time) = case.params["creation_time"].as_i64() {
        checkpoint.made_at(time);
    }
    if let Some(parent) = case.param("set_parent") {
        checkpoint.parent.get_or_insert_default().name = parent.to_owned();
    }
    if case.param("set_disk").is_some() {
        let disks = &mut checkpoint.disks.get_or_insert_default().disks;
        if disks.is_empty() {
            disks.push(CheckpointDisk {
                name: "vda".to_owned(),
                mode: Some(CheckpointMode::Bitmap),
                ..CheckpointDisk::default()
            });
        }
        if let Some(disk) = disks.first_mut() {
            disk.size = case.params["set_first_disk_size"].as_u64();
        }
        checkpoint.name_bitmaps();
    }
    let actual = checkpoint.format(FormatFlags::INACTIVE | FormatFlags::SECURE);
    compare::text(&case.read_expected(corpus, "xml")?, &actual)
}

pub(super) fn checkpoint_refused(corpus: &Corpus, case: &Case) -> Verdict {
    compare::refused(&read_checkpoint(corpus, case)?)
}

/// A guest with each disk that the backup names, and one more.
fn guest_of(backup: &Backup) -> Result<Domain, String> {
    let named = backup.disks.iter().flat_map(|disks| &disks.disks).map(|disk| disk.name.as_str());
    let disk = |name: &str| {
        format!(
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
             <source file='/fake/{name}.qcow2'/><target dev='{name}'/></disk>"
        )
    };
    let disks: String = named.chain(["vdextradisk"]).map(disk).collect();
    let text = format!(
        "<domain type='qemu'><name>g</name><memory>1</memory><os><type>hvm</type></os>\
         <devices>{disks}</devices></domain>"
    );
    let flags = ParseFlags::INACTIVE | ParseFlags::RAW;
    Ok(Domain::parse(&text, flags).map_err(said)?.value)
}

pub(super) fn backup(corpus: &Corpus, case: &Case) -> Verdict {
    let parsed = Backup::parse(&case.read(corpus)?, ParseFlags::VALIDATE).map_err(said)?;
    let mut backup = parsed.value;
    let guest = guest_of(&backup)?;
    let suffix = case.param("disk_name_suffix").unwrap_or_default();
    backup.align(&guest, suffix).map_err(said)?;
    compare::text(&case.read_expected(corpus, "xml")?, &backup.format(FormatFlags::empty()))
}
