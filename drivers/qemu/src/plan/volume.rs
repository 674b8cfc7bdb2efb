// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<disk type='volume'>`: where the volume of a pool is, as QEMU opens it.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::StoragePool;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::{Protocol, StorageHost, StorageType, VolumeMode};
use virtus_xml::pool::PoolType;
use virtus_xml::volume::VolumeType;

use super::storage::unsupported;

/// Replaces the names of pool and volume by the place that `pool` says, which has the volume at `path`.
pub fn place(disk: &mut Disk, pool: &StoragePool, kind: VolumeType, path: &str) -> Result<()> {
    let Some(source) = disk.source.as_mut() else { return Ok(()) };
    if source.startup_policy.is_some() && kind != VolumeType::File {
        return Err(xml_error("'startupPolicy' is only valid for 'file' type volume"));
    }
    let mode = source.mode.take();
    let volume = source.volume.take().unwrap_or_default();
    source.pool = None;
    let direct = match pool.kind {
        PoolType::Iscsi => mode == Some(VolumeMode::Direct),
        PoolType::IscsiDirect => true,
        _ if mode.is_some() => {
            return Err(xml_error(
                "disk source mode is only valid when storage pool is of iscsi type",
            ));
        }
        PoolType::Mpath | PoolType::Rbd | PoolType::Sheepdog | PoolType::Gluster => {
            let text = format!(
                "using '{}' pools for backing 'volume' disks isn't yet supported",
                pool.kind
            );
            return Err(Error::new(ErrorCode::ConfigUnsupported, text));
        }
        _ => false,
    };
    if direct {
        let [_, _, _, unit] = volume.split(':').collect::<Vec<_>>()[..] else {
            return Err(Error::new(
                ErrorCode::InternalError,
                format!("unexpected iscsi volume name '{volume}'"),
            ));
        };
        let target = pool.source.devices.first().map(|device| device.path.as_str());
        disk.kind = StorageType::Network;
        source.protocol = Some(Protocol::Iscsi);
        source.name = Some(format!("{}/{unit}", target.unwrap_or_default()));
        let host = |host: &virtus_xml::pool::source::PoolHost| StorageHost {
            name: Some(host.name.clone()),
            port: host.port.map(|port| port.to_string()),
            ..StorageHost::default()
        };
        source.hosts = pool.source.hosts.iter().map(host).collect();
        source.settle_ports();
        source.auth = pool.source.auth.clone().map(Box::new);
        return Ok(());
    }
    let path = Some(path.to_owned());
    match kind {
        VolumeType::File => (disk.kind, source.file) = (StorageType::File, path),
        VolumeType::Block => (disk.kind, source.dev) = (StorageType::Block, path),
        VolumeType::Dir => (disk.kind, source.dir) = (StorageType::Dir, path),
        _ => return Err(unsupported(format!("a disk on a volume of type '{kind}'"))),
    }
    Ok(())
}

fn xml_error(text: &'static str) -> Error {
    Error::new(ErrorCode::XmlError, text)
}
