// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<filesystem>`: a folder of the host by 9p or by virtiofsd.

use virtus_api::Result;
use virtus_xml::domain::filesystem::{
    AccessMode, Filesystem, FilesystemDriverType, FilesystemType, Multidevs, ShareMode,
};

use super::argv::{Opts, Props};
use super::chardev::{Backend, Socket};
use super::device::{alias, place, virtio};
use super::line::Line;
use super::storage::unsupported;

/// Writes all folders.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    for fs in &line.domain.devices.filesystems {
        if fs.kind != FilesystemType::Mount {
            return Err(unsupported(format!("filesystem type '{}'", fs.kind)));
        }
        match fs.driver.as_ref().and_then(|driver| driver.kind) {
            Some(FilesystemDriverType::Virtiofs) => virtiofs(line, fs)?,
            Some(FilesystemDriverType::Mtp) => mtp(line, fs)?,
            None | Some(FilesystemDriverType::Path | FilesystemDriverType::Handle) => {
                plan9(line, fs)?;
            }
            Some(other) => return Err(unsupported(format!("filesystem driver '{other}'"))),
        }
    }
    Ok(())
}

fn target(fs: &Filesystem) -> String {
    fs.target.as_ref().map(|target| target.dir.clone()).unwrap_or_default()
}

fn source(fs: &Filesystem) -> String {
    fs.source.as_ref().and_then(|source| source.dir.clone()).unwrap_or_default()
}

fn plan9(line: &mut Line<'_>, fs: &Filesystem) -> Result<()> {
    let id = alias(&fs.info)?.to_owned();
    let driver = fs.driver.as_ref();
    let handle = driver.and_then(|driver| driver.kind) == Some(FilesystemDriverType::Handle);
    let mut opts = Opts::new(if handle { "handle" } else { "local" });
    if !handle {
        let model = match fs.accessmode.unwrap_or(AccessMode::Passthrough) {
            AccessMode::Passthrough => "passthrough",
            AccessMode::Mapped => "mapped",
            AccessMode::Squash => "none",
        };
        opts.set("security_model", model);
        if let Some(multidevs) = fs.multidevs.filter(|m| *m != Multidevs::Default) {
            opts.set("multidevs", multidevs);
        }
    }
    let mode = |mode: Option<ShareMode>| mode.map(|mode| format!("{:04o}", mode.0));
    opts = opts.maybe("fmode", mode(fs.fmode)).maybe("dmode", mode(fs.dmode));
    opts = opts.maybe("writeout", driver.and_then(|driver| driver.wrpolicy));
    opts = opts.with("id", format!("fsdev-{id}")).with("path", source(fs));
    if fs.readonly {
        opts.push("readonly");
    }
    line.argv.pair("-fsdev", opts);
    let mut props = virtio("virtio-9p", &fs.info, fs.model, driver.map(|driver| &driver.virtio))?
        .with("id", id.clone())
        .with("fsdev", format!("fsdev-{id}"))
        .with("mount_tag", target(fs));
    props.extend(place(line.domain, &fs.info)?);
    line.device(props);
    Ok(())
}

fn virtiofs(line: &mut Line<'_>, fs: &Filesystem) -> Result<()> {
    let id = alias(&fs.info)?.to_owned();
    let stated = fs.source.as_ref().and_then(|source| source.socket.clone());
    let path =
        stated.unwrap_or_else(|| format!("{}/{id}-fs.sock", line.cx.domain_dir(&line.domain.name)));
    let chardev = format!("chr-vu-{id}");
    Backend::socket(chardev.clone(), Socket::call(path)).write(line);
    let driver = fs.driver.as_ref();
    let mut props = virtio("vhost-user-fs", &fs.info, None, driver.map(|driver| &driver.virtio))?
        .with("id", id)
        .with("chardev", chardev)
        .maybe("queue-size", driver.and_then(|driver| driver.queue))
        .with("tag", target(fs))
        .maybe("bootindex", fs.info.boot.as_ref().map(|boot| boot.order));
    props.extend(place(line.domain, &fs.info)?);
    line.device(props);
    Ok(())
}

fn mtp(line: &mut Line<'_>, fs: &Filesystem) -> Result<()> {
    let mut props = Props::device("usb-mtp")
        .with("id", alias(&fs.info)?.to_owned())
        .with("rootdir", source(fs))
        .with("desc", target(fs))
        .with("readonly", fs.readonly);
    props.extend(place(line.domain, &fs.info)?);
    line.device(props);
    Ok(())
}
