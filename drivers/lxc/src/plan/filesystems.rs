// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container's files are.

use std::path::PathBuf;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::filesystem::{AccessMode, Filesystem, FilesystemType};

use crate::blueprint::{Mount, Source};

/// The file systems of a container.
pub(super) struct Tree {
    pub(super) root: Mount,
    pub(super) mounts: Vec<Mount>,
}

/// The root, which is the host's where a definition names none, and what is mounted in it.
pub(super) fn tree(def: &Domain) -> Result<Tree> {
    let mut root = None;
    let mut mounts = Vec::new();
    for filesystem in &def.devices.filesystems {
        let mount = mount(filesystem)?;
        if mount.target.as_os_str() == "/" && root.is_none() {
            root = Some(mount);
        } else {
            mounts.push(mount);
        }
    }
    let of_host = || Mount {
        source: Source::Bind { path: "/".into(), recursive: true },
        target: "/".into(),
        read_only: false,
        id_mapped: false,
    };
    Ok(Tree { root: root.unwrap_or_else(of_host), mounts })
}

fn mount(filesystem: &Filesystem) -> Result<Mount> {
    let target = filesystem.target.as_ref().map(|target| target.dir.clone()).unwrap_or_default();
    let source = filesystem.source.clone().unwrap_or_default();
    let path = |path: Option<String>| {
        path.map(PathBuf::from).ok_or_else(|| {
            let text = format!("filesystem at '{target}' has no source of its type");
            Error::new(ErrorCode::ConfigUnsupported, text)
        })
    };
    let source = match filesystem.kind {
        FilesystemType::Mount => Source::Bind { path: path(source.dir)?, recursive: true },
        FilesystemType::Bind => Source::Inner(path(source.dir)?),
        FilesystemType::Block => Source::Block(path(source.dev)?),
        FilesystemType::File => Source::Image(path(source.file)?),
        FilesystemType::Ram => {
            let kib = source.usage.ok_or_else(|| {
                let text = format!("filesystem at '{target}' has no size");
                Error::new(ErrorCode::ConfigUnsupported, text).hint("say <source usage='…'/>")
            })?;
            Source::Ram { bytes: kib.saturating_mul(1024) }
        }
        FilesystemType::Template | FilesystemType::Volume => {
            let text = format!("cannot mount a filesystem of type '{}'", filesystem.kind);
            return Err(Error::new(ErrorCode::ConfigUnsupported, text));
        }
    };
    Ok(Mount {
        source,
        target: target.into(),
        read_only: filesystem.readonly,
        id_mapped: filesystem.accessmode == Some(AccessMode::Mapped),
    })
}
