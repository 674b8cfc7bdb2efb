// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Lockspaces as libvirt's daemon leaves them to its successor, and ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use serde_json::{Value, json};
use tracing::error;
use virtus_api::{Error, LockAcquireResourceFlags, Result};
use virtus_host::lock::{Lock, take_over};

use super::resource::Locked;
use super::spaces::{Held, Owner, Resources, Slot};
use crate::reexec::{Kept, take_fd};

const SHARED: u32 = LockAcquireResourceFlags::SHARED.bits();
const AUTOCREATE: u32 = LockAcquireResourceFlags::AUTOCREATE.bits();

/// Describes all lockspaces.
pub(super) fn write(folders: &BTreeMap<String, Resources>, kept: &mut Kept) -> io::Result<Value> {
    let mut default = json!({ "resources": [] });
    let mut others = Vec::new();
    for (folder, resources) in folders {
        let mut described = Vec::new();
        for (name, slot) in resources {
            // Nobody works on a file any more.
            let Slot::Held(Held { locked, owners }) = slot else { continue };
            let owners: Vec<u32> = owners.iter().map(|owner| owner.pid).collect();
            let shared = if locked.how == Lock::Shared { SHARED } else { 0 };
            let autocreate = if locked.autocreate { AUTOCREATE } else { 0 };
            described.push(json!({
                "name": name, "path": locked.path.to_string_lossy(),
                "fd": kept.keep(&locked.file)?, "lockHeld": true,
                "flags": shared | autocreate, "owners": owners,
            }));
        }
        match folder.as_str() {
            "" => default = json!({ "resources": described }),
            folder => others.push(json!({ "directory": folder, "resources": described })),
        }
    }
    Ok(json!({ "defaultLockspace": default, "lockspaces": others }))
}

/// Takes all lockspaces over.
pub(super) fn read(left: &Value) -> BTreeMap<String, Resources> {
    let others = left["lockspaces"].as_array().into_iter().flatten();
    let spaces = std::iter::once(&left["defaultLockspace"]).chain(others);
    let read = |space: &Value| {
        let folder = space["directory"].as_str().unwrap_or_default().to_owned();
        let mut resources = Resources::new();
        for described in space["resources"].as_array().into_iter().flatten() {
            let name = described["name"].as_str().unwrap_or_default();
            match resource(described) {
                Ok(held) => drop(resources.insert(name.to_owned(), Slot::Held(held))),
                Err(error) => error!("the lock on '{name}' in '{folder}' is lost: {error}"),
            }
        }
        (folder, resources)
    };
    spaces.map(read).collect()
}

fn resource(described: &Value) -> Result<Held> {
    let file = File::from(take_fd(&described["fd"])?);
    let flags = described["flags"].as_u64().unwrap_or_default();
    let has = |flag: u32| flags & u64::from(flag) != 0;
    let how = if has(SHARED) { Lock::Shared } else { Lock::Exclusive };
    // Those of libvirt's daemon belong to the process, and cannot be changed into ours in one step.
    take_over(&file, how).map_err(|cause| Error::system("cannot lock the file again", &cause))?;
    let owners = described["owners"].as_array().into_iter().flatten();
    let owners =
        owners.filter_map(|pid| Some(Owner::now(pid.as_u64()?.try_into().ok()?))).collect();
    let path = described["path"].as_str().unwrap_or_default().into();
    Ok(Held { locked: Locked { path, file, how, autocreate: has(AUTOCREATE) }, owners })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_has_the_locks_as_they_were() {
        let folder = std::env::temp_dir().join(format!("virtus-left-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let (disk, lease) = (folder.join("disk"), folder.join("lease"));
        super::super::resource::create(&disk).unwrap();
        let own = std::process::id();
        let lock = |name: &str, path, how, autocreate| {
            let locked = Locked::new(name, path, how, autocreate).unwrap();
            let held = Held { locked, owners: vec![Owner::now(own), Owner::now(1)] };
            Resources::from([(name.to_owned(), Slot::Held(held))])
        };
        let spaces = BTreeMap::from([
            (String::new(), lock("disk", &disk, Lock::Exclusive, false)),
            ("space".to_owned(), lock("lease", &lease, Lock::Shared, true)),
        ]);
        let described = |name, path, flags| {
            json!([{
                "name": name, "path": path, "fd": 0, "lockHeld": true, "flags": flags, "owners": [own, 1],
            }])
        };
        let expected = json!({
            "defaultLockspace": { "resources": described("disk", &disk, 0) },
            "lockspaces": [{ "directory": "space", "resources": described("lease", &lease, 3) }],
        });
        let shown = |left: &Value| {
            let mut left = left.clone();
            left["defaultLockspace"]["resources"][0]["fd"] = json!(0);
            left["lockspaces"][0]["resources"][0]["fd"] = json!(0);
            left
        };
        let mut kept = Kept::default();
        let left = write(&spaces, &mut kept).unwrap();
        assert_eq!(shown(&left), expected);
        // As an exec does, which closes the descriptors that are not for the successor.
        std::mem::forget(kept);
        drop(spaces);
        let successor = read(&left);
        assert_eq!(shown(&write(&successor, &mut Kept::default()).unwrap()), expected);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
