// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Snapshots, as far as they are only told of; [`changes`](super::snapshot_changes) makes, reverts to and deletes them.

use std::sync::Arc;

use virtus_api::{
    DomainHasCurrentSnapshot, DomainListAllSnapshots, DomainListAllSnapshotsReply, DomainRef,
    DomainSnapshotCurrent, DomainSnapshotGetParent, DomainSnapshotGetXmlDesc,
    DomainSnapshotHasMetadata, DomainSnapshotIsCurrent, DomainSnapshotListAllChildren,
    DomainSnapshotListAllChildrenReply, DomainSnapshotListChildrenNames,
    DomainSnapshotListFlags as List, DomainSnapshotListNames, DomainSnapshotLookupByName,
    DomainSnapshotNum, DomainSnapshotNumChildren, DomainSnapshotRef, DomainSnapshotXmlFlags, Error,
    ErrorCode, Result,
};
use virtus_core::flags::passes;
use virtus_core::{Call, Routes};
use virtus_xml::Snapshot;
use virtus_xml::moment::SnapshotState;

use super::moments::{parent, select, written};
use super::{HasMachines, by, check_flags, find};
use crate::moments::{Moment, Moments};

pub(super) fn routes<D: HasMachines>() -> Routes<D> {
    Routes::new()
        .on(by(num::<D>))
        .on(by(names::<D>))
        .on(by(list::<D>))
        .on(by(num_children::<D>))
        .on(by(children_names::<D>))
        .on(by(list_children::<D>))
        .on(by(lookup::<D>))
        .on(by(has_current::<D>))
        .on(by(current::<D>))
        .on(by(get_parent::<D>))
        .on(by(is_current::<D>))
        .on(by(has_metadata::<D>))
        .on(by(get_xml::<D>))
}

pub(super) fn known<D: HasMachines>(driver: &D, dom: &DomainRef) -> Result<Arc<Moments<Snapshot>>> {
    Ok(find(driver, dom)?.1.moments.snapshots.clone())
}

pub(super) fn reference(dom: &DomainRef, name: impl Into<String>) -> DomainSnapshotRef {
    DomainSnapshotRef { name: name.into(), dom: dom.clone() }
}

/// The snapshots that a list is of.
fn listed<D: HasMachines>(
    driver: &D,
    dom: &DomainRef,
    after: Option<&str>,
    flags: u32,
    call: &str,
) -> Result<Vec<Arc<Snapshot>>> {
    check_flags(flags, List::all().bits(), call)?;
    let mut found = select(&*known(driver, dom)?, after, flags)?;
    found.retain(|one| {
        let (off, disks) = match one.state {
            Some(SnapshotState::Shutoff) => (true, false),
            Some(SnapshotState::DiskSnapshot) => (false, true),
            _ => (false, false),
        };
        let external = one.external();
        passes(
            flags,
            [
                (List::INACTIVE.bits(), off),
                (List::DISK_ONLY.bits(), disks),
                (List::ACTIVE.bits(), !off && !disks),
            ],
        ) && passes(flags, [(List::INTERNAL.bits(), !external), (List::EXTERNAL.bits(), external)])
    });
    Ok(found)
}

fn count<T>(found: &[T]) -> i32 {
    i32::try_from(found.len()).unwrap_or(i32::MAX)
}

fn first_names(found: &[Arc<Snapshot>], room: i32) -> Vec<String> {
    let room = usize::try_from(room).unwrap_or_default();
    found.iter().take(room).map(|one| one.name().to_owned()).collect()
}

fn references(dom: &DomainRef, found: &[Arc<Snapshot>], wanted: i32) -> Vec<DomainSnapshotRef> {
    let found = found.iter().filter(|_| wanted != 0);
    found.map(|one| reference(dom, one.name())).collect()
}

async fn num<D: HasMachines>(driver: Arc<D>, _: Call, request: DomainSnapshotNum) -> Result<i32> {
    let found = listed(&*driver, &request.dom, None, request.flags, "virDomainSnapshotNum")?;
    Ok(count(&found))
}

async fn names<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotListNames,
) -> Result<Vec<String>> {
    let found = listed(&*driver, &request.dom, None, request.flags, "virDomainSnapshotListNames")?;
    Ok(first_names(&found, request.maxnames))
}

async fn list<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainListAllSnapshots,
) -> Result<DomainListAllSnapshotsReply> {
    let dom = &request.dom;
    let found = listed(&*driver, dom, None, request.flags, "virDomainListAllSnapshots")?;
    let snapshots = references(dom, &found, request.need_results);
    Ok(DomainListAllSnapshotsReply { snapshots, ret: count(&found) })
}

async fn num_children<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotNumChildren,
) -> Result<i32> {
    const NAME: &str = "virDomainSnapshotNumChildren";
    let DomainSnapshotRef { name, dom } = &request.snap;
    Ok(count(&listed(&*driver, dom, Some(name), request.flags, NAME)?))
}

async fn children_names<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotListChildrenNames,
) -> Result<Vec<String>> {
    const NAME: &str = "virDomainSnapshotListChildrenNames";
    let DomainSnapshotRef { name, dom } = &request.snap;
    let found = listed(&*driver, dom, Some(name), request.flags, NAME)?;
    Ok(first_names(&found, request.maxnames))
}

async fn list_children<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotListAllChildren,
) -> Result<DomainSnapshotListAllChildrenReply> {
    const NAME: &str = "virDomainSnapshotListAllChildren";
    let DomainSnapshotRef { name, dom } = &request.snapshot;
    let found = listed(&*driver, dom, Some(name), request.flags, NAME)?;
    let snapshots = references(dom, &found, request.need_results);
    Ok(DomainSnapshotListAllChildrenReply { snapshots, ret: count(&found) })
}

async fn lookup<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotLookupByName,
) -> Result<DomainSnapshotRef> {
    check_flags(request.flags, 0, "virDomainSnapshotLookupByName")?;
    known(&*driver, &request.dom)?.get(&request.name)?;
    Ok(reference(&request.dom, request.name))
}

async fn has_current<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainHasCurrentSnapshot,
) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainHasCurrentSnapshot")?;
    Ok(known(&*driver, &request.dom)?.current().is_some().into())
}

async fn current<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotCurrent,
) -> Result<DomainSnapshotRef> {
    check_flags(request.flags, 0, "virDomainSnapshotCurrent")?;
    let known = known(&*driver, &request.dom)?;
    let current = known.current().ok_or_else(|| {
        let text = "the domain does not have a current snapshot";
        Error::new(ErrorCode::NoDomainSnapshot, text)
    })?;
    Ok(reference(&request.dom, current.name()))
}

async fn get_parent<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotGetParent,
) -> Result<DomainSnapshotRef> {
    check_flags(request.flags, 0, "virDomainSnapshotGetParent")?;
    let DomainSnapshotRef { name, dom } = &request.snap;
    Ok(reference(dom, parent(&*known(&*driver, dom)?, name)?))
}

async fn is_current<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotIsCurrent,
) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainSnapshotIsCurrent")?;
    let DomainSnapshotRef { name, dom } = &request.snap;
    let known = known(&*driver, dom)?;
    known.get(name)?;
    Ok(known.is_current(name).into())
}

/// Whatever is known here has metadata.
async fn has_metadata<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotHasMetadata,
) -> Result<i32> {
    check_flags(request.flags, 0, "virDomainSnapshotHasMetadata")?;
    known(&*driver, &request.snap.dom)?.get(&request.snap.name).map(|_| 1)
}

async fn get_xml<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotGetXmlDesc,
) -> Result<String> {
    let secure = DomainSnapshotXmlFlags::SECURE.bits();
    check_flags(request.flags, secure, "virDomainSnapshotGetXMLDesc")?;
    let known = known(&*driver, &request.snap.dom)?;
    Ok(written(&**known.get(&request.snap.name)?, request.flags & secure != 0))
}
