// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two pools that would stand on the same thing.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::StoragePool;
use virtus_xml::pool::{Adapter, AdapterType, PoolType};

use crate::collection::Collection;
use crate::kind::Kind;

/// Refuses a definition whose source another pool has.
///
/// # Errors
/// `VIR_ERR_OPERATION_FAILED`, as libvirt says it.
pub(super) fn check(def: &StoragePool, pools: &Collection<StoragePool>) -> Result<()> {
    for (_, other) in pools.all() {
        let defs = [&other.live, &other.persistent];
        let clash = defs.into_iter().flatten().any(|other| same_source(def, other));
        if clash && *def.name() != *other.name {
            let text = format!("Storage source conflict with pool: '{}'", other.name);
            return Err(Error::new(ErrorCode::OperationFailed, text));
        }
    }
    Ok(())
}

/// Whether two pools would hold the same volumes, as far as their definitions tell.
fn same_source(a: &StoragePool, b: &StoragePool) -> bool {
    let (from, other) = (&a.source, &b.source);
    let host =
        from.hosts.first().map(|host| &host.name) == other.hosts.first().map(|host| &host.name);
    let devices =
        || from.devices.iter().any(|one| other.devices.iter().any(|two| one.path == two.path));
    match a.kind {
        // These share one kind of source: block devices.
        PoolType::Fs | PoolType::Logical | PoolType::Disk | PoolType::Zfs => {
            let on_devices =
                [PoolType::Fs, PoolType::Logical, PoolType::Disk, PoolType::Zfs].contains(&b.kind);
            on_devices && devices()
        }
        kind if kind != b.kind => false,
        PoolType::Dir => path(a).is_some() && path(a) == path(b),
        PoolType::Netfs => host && from.dir == other.dir,
        PoolType::Gluster => host && from.dir == other.dir && from.name == other.name,
        PoolType::Iscsi => devices() && from.initiator == other.initiator,
        PoolType::Scsi => {
            let both = from.adapter.as_ref().zip(other.adapter.as_ref());
            both.is_some_and(|(one, two)| same_adapter(one, two) || same_adapter(two, one))
        }
        PoolType::Mpath => true,
        PoolType::Sheepdog => host && from.name == other.name,
        PoolType::Vstorage => from.name == other.name,
        PoolType::IscsiDirect | PoolType::Rbd => false,
    }
}

/// Whether two adapters are one, or the second is the virtual port of the first.
fn same_adapter(one: &Adapter, two: &Adapter) -> bool {
    match (one.kind, two.kind) {
        (Some(AdapterType::ScsiHost), Some(AdapterType::FcHost)) => one.name == two.parent,
        (Some(AdapterType::FcHost), Some(AdapterType::FcHost)) => {
            (&one.wwnn, &one.wwpn) == (&two.wwnn, &two.wwpn)
        }
        _ => one == two,
    }
}

/// Where a pool's volumes appear.
pub(super) fn path(def: &StoragePool) -> Option<&str> {
    def.target.as_ref()?.path.as_deref()
}

#[cfg(test)]
mod tests {
    use virtus_xml::{Document, ParseFlags};

    use super::*;

    fn pool(kind: &str, source: &str) -> StoragePool {
        let text = format!(
            "<pool type='{kind}'><name>p</name><source>{source}</source><target><path>/q</path></target></pool>"
        );
        StoragePool::parse(&text, ParseFlags::INACTIVE).unwrap().value
    }

    /// As libvirt's own drivers answer.
    #[test]
    fn pools_that_would_hold_the_same_volumes_are_told_apart_from_others() {
        let device = |path: &str| format!("<device path='{path}'/>");
        let host = |name: &str, rest: &str| format!("<host name='{name}'/>{rest}");
        let (sdx, dir, target) = (device("/dev/x"), "<dir path='/e'/>", device("iqn"));
        let initiator = format!("{target}<initiator><iqn name='q'/></initiator>");
        let name = "<name>n</name>";
        for (a, b, clash) in [
            (("dir", String::new()), ("dir", String::new()), true),
            (("dir", String::new()), ("fs", sdx.clone()), false),
            (("fs", sdx.clone()), ("logical", sdx.clone()), true),
            (("disk", sdx), ("fs", device("/dev/y")), false),
            (("netfs", host("h", dir)), ("netfs", host("h", dir)), true),
            (("netfs", host("h", dir)), ("netfs", host("i", dir)), false),
            (("iscsi", host("h", &target)), ("iscsi", host("i", &target)), true),
            (("iscsi", host("h", &target)), ("iscsi", host("h", &initiator)), false),
            (("mpath", String::new()), ("mpath", String::new()), true),
            (("gluster", host("h", name)), ("gluster", host("h", name)), true),
            (("gluster", host("h", name)), ("gluster", host("h", "<name>m</name>")), false),
            (("rbd", host("h", name)), ("rbd", host("h", name)), false),
            (("vstorage", name.to_owned()), ("vstorage", name.to_owned()), true),
            (("zfs", name.to_owned()), ("zfs", name.to_owned()), false),
        ] {
            let (one, two) = (pool(a.0, &a.1), pool(b.0, &b.1));
            assert_eq!(same_source(&one, &two), clash, "{a:?} and {b:?}");
            assert_eq!(same_source(&two, &one), clash, "{b:?} and {a:?}");
        }
    }
}
