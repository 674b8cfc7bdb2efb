// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The root and what is mounted in it.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::filesystem::{
    AccessMode, Filesystem, FilesystemSource, FilesystemTarget, FilesystemType,
};

use super::{Config, refused, size};

/// What every container has mounted by itself.
const BASIC: [&str; 4] = ["/dev", "/dev/pts", "/proc", "/sys"];

pub(super) fn convert(config: &Config, def: &mut Domain) -> Result<()> {
    let root = config.get("lxc.rootfs").ok_or_else(|| {
        refused("Missing lxc.rootfs configuration".to_owned())
            .hint("set it to the container's root folder")
    })?;
    def.devices.filesystems.push(of_host(root, "/"));
    if config.get("lxc.mount").is_some() {
        let text = "lxc.mount.fstab or lxc.mount found, use lxc.mount.entry lines instead";
        return Err(Error::new(ErrorCode::ArgumentUnsupported, text)
            .hint("put the lines of that file into the configuration"));
    }
    for entry in config.all("lxc.mount.entry") {
        def.devices.filesystems.extend(mount(entry)?);
    }
    Ok(())
}

/// A line as in fstab(5); nothing for what is there anyway.
fn mount(entry: &str) -> Result<Option<Filesystem>> {
    let words: Vec<&str> = entry.split_ascii_whitespace().collect();
    let &[source, target, kind, options, ..] = words.as_slice() else {
        return Err(refused(format!("lxc.mount.entry '{entry}' has less than four fields")));
    };
    let target = format!("/{}", target.trim_start_matches('/'));
    if BASIC.contains(&target.as_str()) {
        return Ok(None);
    }
    let mut filesystem = of_host(source, &target);
    if kind == "tmpfs" {
        let limit = options.split(',').find_map(|option| option.strip_prefix("size="));
        let limit = limit.ok_or_else(|| {
            refused(format!("missing size of the tmpfs at '{target}'"))
                .hint("set the option 'size'")
        })?;
        filesystem.kind = FilesystemType::Ram;
        filesystem.source = Some(FilesystemSource {
            usage: Some(size("lxc.mount.entry", limit)?.0),
            units: Some("KiB".to_owned()),
            ..FilesystemSource::default()
        });
    }
    filesystem.readonly = options.split(',').any(|option| option == "ro");
    Ok(Some(filesystem))
}

/// A folder, a file or a disk of the host.
fn of_host(path: &str, target: &str) -> Filesystem {
    let mut source = FilesystemSource::default();
    let disk = path.starts_with("/dev/");
    let place = if disk { &mut source.dev } else { &mut source.dir };
    *place = Some(path.to_owned());
    Filesystem {
        kind: if disk { FilesystemType::Block } else { FilesystemType::Mount },
        accessmode: Some(AccessMode::Passthrough),
        source: Some(source),
        target: Some(FilesystemTarget { dir: target.to_owned() }),
        ..Filesystem::default()
    }
}
