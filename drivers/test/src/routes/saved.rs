// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guests that are put into files and come back from them. The file has the form of libvirt's test driver: a mark,
//! the length of the definition, the definition; a dump of memory is only the mark.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use virtus_api::{
    DomainCoreDump, DomainCoreDumpFlags, DomainCoreDumpFormat, DomainCoreDumpWithFormat,
    DomainManagedSave, DomainRef, DomainRestore, DomainRestoreFlags, DomainSave, DomainSaveFlags,
    DomainSaveImageDefineXml, DomainSaveImageGetXmlDesc, DomainSaveImageXmlFlags,
    DomainSaveRestoreFlags as Flags, Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags, find};
use virtus_domain::{Begin, End, HasMachines, Job, Long, Machine, Origin, Wishes};
use virtus_host::blocking;
use virtus_xml::limits::MAX_BYTES;
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use crate::files;
use crate::world::World;

const MARK: &[u8] = b"TestGuestMagic\0";

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new()
        .on(by(save))
        .on(by(save_flags))
        .on(by(restore))
        .on(by(restore_flags))
        .on(by(get_xml))
        .on(by(set_xml))
        .on(by(managed_save))
        .on(by(dump))
        .on(by(dump_with_format))
}

/// Writes a guest into a file. Blocks.
fn write(path: &Path, def: &Domain) -> Result<()> {
    let text = def.format(FormatFlags::SECURE);
    let length = i32::try_from(text.len()).map_err(|_| {
        let text = format!("the definition of domain '{}' is too long for a file", def.name);
        Error::new(ErrorCode::OperationFailed, text)
    })?;
    let file = [MARK, &length.to_ne_bytes(), text.as_bytes()].concat();
    let failed = |attempt: &str, cause| {
        let (name, path) = (&def.name, path.display());
        Error::system(format!("saving domain '{name}' to '{path}': {attempt} failed"), &cause)
    };
    let mut opened = files::create(path).map_err(|cause| failed("open", cause))?;
    opened.write_all(&file).map_err(|cause| failed("write", cause))
}

/// Reads the guest from a file. Blocks.
fn read(path: &Path) -> Result<Domain> {
    let shown = path.display();
    let most = MARK.len() + size_of::<i32>() + MAX_BYTES;
    let file = files::read(path, most)
        .map_err(|cause| Error::system(format!("cannot read domain image '{shown}'"), &cause))?;
    let wrong = |text: String| Error::new(ErrorCode::OperationFailed, text);
    let rest = file
        .strip_prefix(MARK)
        .ok_or_else(|| wrong(format!("mismatched header magic in '{shown}'")))?;
    let (length, rest) = rest
        .split_first_chunk()
        .ok_or_else(|| wrong(format!("failed to read metadata length in '{shown}'")))?;
    let length = usize::try_from(i32::from_ne_bytes(*length)).unwrap_or_default();
    if length == 0 || length > MAX_BYTES {
        return Err(wrong(format!("length of metadata out of range in '{shown}'")));
    }
    let text = rest.get(..length).and_then(|text| std::str::from_utf8(text).ok());
    let text = text.ok_or_else(|| wrong(format!("incomplete metadata in '{shown}'")))?;
    Ok(Domain::parse(text, ParseFlags::INACTIVE | ParseFlags::SKIP_VALIDATE)?.value)
}

fn no_other_xml(dxml: Option<&String>) -> Result<()> {
    match dxml {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorCode::ArgumentUnsupported, "xml modification unsupported")
            .hint("change the definition in the file with 'virsh save-image-edit'")),
    }
}

async fn save(world: Arc<World>, _: Call, request: DomainSave) -> Result<()> {
    put(&world, &request.dom, request.to.into(), "virDomainSave").await
}

async fn save_flags(world: Arc<World>, _: Call, request: DomainSaveFlags) -> Result<()> {
    const NAME: &str = "virDomainSaveFlags";
    check_flags(request.flags, 0, NAME)?;
    no_other_xml(request.dxml.as_ref())?;
    put(&world, &request.dom, request.to.into(), NAME).await
}

async fn put(world: &World, dom: &DomainRef, path: PathBuf, name: &'static str) -> Result<()> {
    let (handle, _) = find(world, dom)?;
    let saved = handle.job(Job::long(Long::Save, name), move |context| async move {
        let live = context.live()?;
        blocking::run("saving a domain", move || write(&path, &live)).await?;
        context.end(End::Saved).await
    });
    saved.await
}

async fn restore(world: Arc<World>, _: Call, request: DomainRestore) -> Result<()> {
    get(&world, request.from.into(), "virDomainRestore").await
}

async fn restore_flags(world: Arc<World>, _: Call, request: DomainRestoreFlags) -> Result<()> {
    const NAME: &str = "virDomainRestoreFlags";
    check_flags(request.flags, 0, NAME)?;
    no_other_xml(request.dxml.as_ref())?;
    get(&world, request.from.into(), NAME).await
}

async fn get(world: &World, path: PathBuf, name: &'static str) -> Result<()> {
    let mut def = blocking::run("reading a domain image", move || read(&path)).await?;
    world.machines().machine().complete(&mut def, Origin::Disk)?;
    let wishes = Wishes { from: Begin::Restored, ..Wishes::default() };
    world.machines().create(name, def, wishes).await.map(drop)
}

async fn get_xml(_: Arc<World>, _: Call, request: DomainSaveImageGetXmlDesc) -> Result<String> {
    let known = DomainSaveImageXmlFlags::all().bits();
    check_flags(request.flags, known, "virDomainSaveImageGetXMLDesc")?;
    let def = blocking::run("reading a domain image", move || read(request.file.as_ref())).await?;
    Ok(def.format(FormatFlags::SECURE))
}

async fn set_xml(world: Arc<World>, _: Call, request: DomainSaveImageDefineXml) -> Result<()> {
    let known = Flags::RUNNING | Flags::PAUSED;
    check_flags(request.flags, known.bits(), "virDomainSaveImageDefineXML")?;
    let mut def = Domain::parse(&request.dxml, ParseFlags::INACTIVE)?.value;
    world.machines().machine().complete(&mut def, Origin::User)?;
    let path = PathBuf::from(request.file);
    let change = move || read(&path).and_then(|_| write(&path, &def));
    blocking::run("changing a domain image", change).await
}

/// Nothing is written: the definition that stays is all that a guest is.
async fn managed_save(world: Arc<World>, _: Call, request: DomainManagedSave) -> Result<()> {
    const NAME: &str = "virDomainManagedSave";
    let known = Flags::BYPASS_CACHE | Flags::RUNNING | Flags::PAUSED;
    check_flags(request.flags, known.bits(), NAME)?;
    let (handle, _) = find(&*world, &request.dom)?;
    let saved = handle.job(Job::long(Long::Save, NAME), |context| async move {
        context.running()?;
        if context.snapshot().persistent.is_none() {
            let text = "cannot do managed save for transient domain";
            return Err(Error::new(ErrorCode::OperationInvalid, text));
        }
        context.end(End::Saved).await?;
        context.has_saved();
        Ok(())
    });
    saved.await
}

async fn dump(world: Arc<World>, _: Call, request: DomainCoreDump) -> Result<()> {
    dump_to(&world, &request.dom, request.to, request.flags, "virDomainCoreDump").await
}

async fn dump_with_format(
    world: Arc<World>,
    _: Call,
    request: DomainCoreDumpWithFormat,
) -> Result<()> {
    const NAME: &str = "virDomainCoreDumpWithFormat";
    check_flags(request.flags, DomainCoreDumpFlags::CRASH.bits(), NAME)?;
    if request.dumpformat != DomainCoreDumpFormat::Raw.number().unsigned_abs() {
        let text = "kdump-compressed format is not supported here";
        return Err(Error::new(ErrorCode::OperationUnsupported, text));
    }
    dump_to(&world, &request.dom, request.to, request.flags, NAME).await
}

async fn dump_to(
    world: &World,
    dom: &DomainRef,
    to: String,
    flags: u32,
    name: &'static str,
) -> Result<()> {
    check_flags(flags, DomainCoreDumpFlags::CRASH.bits(), name)?;
    let crash = flags == DomainCoreDumpFlags::CRASH.bits();
    let (handle, _) = find(world, dom)?;
    let dumped = handle.job(Job::long(Long::Dump, name), move |context| async move {
        let live = context.live()?;
        let write = move || {
            let failed = |attempt: &str, cause| {
                let name = &live.name;
                Error::system(format!("domain '{name}' coredump: failed to {attempt} {to}"), &cause)
            };
            let mut opened = files::create(to.as_ref()).map_err(|cause| failed("open", cause))?;
            opened.write_all(MARK).map_err(|cause| failed("write header to", cause))
        };
        blocking::run("dumping a domain", write).await?;
        if crash { context.end(End::Crashed).await } else { Ok(()) }
    });
    dumped.await
}
