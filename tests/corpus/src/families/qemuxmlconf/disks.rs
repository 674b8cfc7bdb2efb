// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the corpus' surroundings say about disks: pools and volumes, passed descriptors, nbdkit.

use std::collections::BTreeMap;

use serde_json::Value;
use virtus_api::{Error, ErrorCode};
use virtus_qemu::plan::volume;
use virtus_qemu::plan::{FdGroup, NbdkitServer};
use virtus_xml::document::Document;
use virtus_xml::domain::storage::StorageType;
use virtus_xml::volume::VolumeType;
use virtus_xml::{Domain, ParseFlags, StoragePool};

use crate::Corpus;

/// Puts the volumes of pools in their places.
pub(super) fn place_volumes(domain: &mut Domain, corpus: &Corpus) -> Result<(), Error> {
    for disk in &mut domain.body.devices.disks {
        let Some(source) = disk.source.as_ref().filter(|_| disk.kind == StorageType::Volume) else {
            continue;
        };
        let (pool, name) = (source.pool.clone(), source.volume.clone());
        let (pool, name) = (pool.unwrap_or_default(), name.unwrap_or_default());
        let text = corpus
            .read(&format!("storagepoolxml2xmlout/{pool}.xml"))
            .map_err(|cause| Error::new(ErrorCode::NoStoragePool, cause))?;
        let pool = StoragePool::parse(&text, ParseFlags::empty())?.value;
        if name == "nonexistent" {
            return Err(Error::new(ErrorCode::NoStorageVol, name));
        }
        let (kind, rest) = name.split_once('+').unwrap_or(("block", &name));
        let known = VolumeType::ALL.iter().find(|known| known.as_str() == kind);
        let path = format!("/some/{kind}/device/{rest}");
        volume::place(disk, &pool, known.copied().unwrap_or(VolumeType::Block), &path)?;
    }
    Ok(())
}

/// The descriptors that a client has passed.
pub(super) fn fd_groups(params: &Value) -> BTreeMap<String, FdGroup> {
    let groups = params["fd_groups"].as_array().into_iter().flatten();
    groups
        .filter_map(|group| {
            let fds = group["fds"].as_array()?.iter().filter_map(Value::as_i64);
            let fds = fds.filter_map(|fd| i32::try_from(fd).ok()).collect();
            let writable = group["writable"] == true;
            Some((group["name"].as_str()?.to_owned(), FdGroup { fds, writable }))
        })
        .collect()
}

/// The descriptor of a vDPA device.
pub(super) fn vdpa_fd(params: &Value, device: &str) -> Option<i32> {
    let devices = params["vdpa_fds"].as_array()?;
    let found = devices.iter().find(|known| known["device"] == device)?;
    i32::try_from(found["fd"].as_i64()?).ok()
}

/// What nbdkit serves, where the case wants it to.
pub(in crate::families) fn nbdkit(params: &Value, dir: &str) -> Option<NbdkitServer> {
    let capabilities = params["nbdkit_caps"].as_array()?;
    let plugins = capabilities
        .iter()
        .filter_map(|name| name.as_str()?.strip_prefix("plugin-"))
        .map(str::to_owned)
        .collect();
    Some(NbdkitServer { plugins, dir: dir.to_owned() })
}
