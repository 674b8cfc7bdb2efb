// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Checkpoints, as far as they are only told of; [`changes`](super::checkpoint_changes) makes and deletes them.

use std::sync::Arc;

use virtus_api::{
    DomainCheckpointGetParent, DomainCheckpointListAllChildren,
    DomainCheckpointListAllChildrenReply, DomainCheckpointListFlags as List,
    DomainCheckpointLookupByName, DomainCheckpointRef, DomainListAllCheckpoints,
    DomainListAllCheckpointsReply, DomainRef, Result,
};
use virtus_core::{Call, Routes};
use virtus_xml::Checkpoint;

use super::moments::{parent, select};
use super::{HasMachines, by, check_flags, find};
use crate::moments::{Moment, Moments};

pub(super) fn routes<D: HasMachines>() -> Routes<D> {
    Routes::new()
        .on(by(list::<D>))
        .on(by(list_children::<D>))
        .on(by(lookup::<D>))
        .on(by(get_parent::<D>))
}

pub(super) fn known<D: HasMachines>(
    driver: &D,
    dom: &DomainRef,
) -> Result<Arc<Moments<Checkpoint>>> {
    Ok(find(driver, dom)?.1.moments.checkpoints.clone())
}

pub(super) fn reference(dom: &DomainRef, name: impl Into<String>) -> DomainCheckpointRef {
    DomainCheckpointRef { name: name.into(), dom: dom.clone() }
}

fn references(
    dom: &DomainRef,
    found: &[Arc<Checkpoint>],
    wanted: i32,
) -> (Vec<DomainCheckpointRef>, i32) {
    let told = found.iter().filter(|_| wanted != 0).map(|one| reference(dom, one.name()));
    (told.collect(), i32::try_from(found.len()).unwrap_or(i32::MAX))
}

async fn list<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainListAllCheckpoints,
) -> Result<DomainListAllCheckpointsReply> {
    check_flags(request.flags, List::all().bits(), "virDomainListAllCheckpoints")?;
    let found = select(&*known(&*driver, &request.dom)?, None, request.flags)?;
    let (checkpoints, ret) = references(&request.dom, &found, request.need_results);
    Ok(DomainListAllCheckpointsReply { checkpoints, ret })
}

async fn list_children<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainCheckpointListAllChildren,
) -> Result<DomainCheckpointListAllChildrenReply> {
    check_flags(request.flags, List::all().bits(), "virDomainCheckpointListAllChildren")?;
    let DomainCheckpointRef { name, dom } = &request.checkpoint;
    let found = select(&*known(&*driver, dom)?, Some(name), request.flags)?;
    let (checkpoints, ret) = references(dom, &found, request.need_results);
    Ok(DomainCheckpointListAllChildrenReply { checkpoints, ret })
}

async fn lookup<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainCheckpointLookupByName,
) -> Result<DomainCheckpointRef> {
    check_flags(request.flags, 0, "virDomainCheckpointLookupByName")?;
    known(&*driver, &request.dom)?.get(&request.name)?;
    Ok(reference(&request.dom, request.name))
}

async fn get_parent<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainCheckpointGetParent,
) -> Result<DomainCheckpointRef> {
    check_flags(request.flags, 0, "virDomainCheckpointGetParent")?;
    let DomainCheckpointRef { name, dom } = &request.checkpoint;
    Ok(reference(dom, parent(&*known(&*driver, dom)?, name)?))
}
