// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Checkpoints that are made and deleted, and told with what has changed since.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use virtus_api::{
    DomainCheckpointCreateFlags as Create, DomainCheckpointCreateXml, DomainCheckpointDelete,
    DomainCheckpointGetXmlDesc, DomainCheckpointRef, DomainCheckpointXmlFlags as Told, Error,
    ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_xml::{Checkpoint, Document, ParseFlags};

use super::checkpoints::{known, reference};
use super::moments::{self, as_kept, check_guest, check_name, check_new, written};
use super::{HasMachines, by, check_flags, find};
use crate::context::Context;
use crate::jobs::{Job, Long};
use crate::keeper::Keeper;
use crate::moments::{Moment, Moments};

pub(super) fn routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Keeper,
{
    Routes::new().on(by(create::<D>)).on(by(get_xml::<D>)).on(by(delete::<D>))
}

async fn create<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainCheckpointCreateXml,
) -> Result<DomainCheckpointRef>
where
    D::Machine: Keeper,
{
    const NAME: &str = "virDomainCheckpointCreateXML";
    check_flags(request.flags, (Create::REDEFINE | Create::QUIESCE).bits(), NAME)?;
    let redefine = request.flags & Create::REDEFINE.bits() != 0;
    let (handle, _) = find(&*driver, &request.dom)?;
    let made = handle.job(Job::long(Long::Snapshot, NAME), move |context| async move {
        let machine = context.snapshot();
        let unsupported =
            |text: &'static str| Err(Error::new(ErrorCode::OperationUnsupported, text));
        if !machine.moments.snapshots.is_empty() {
            return unsupported("cannot create checkpoint while snapshot exists");
        }
        if !machine.is_active() {
            return unsupported("cannot create checkpoint for inactive domain");
        }
        let mut parse = ParseFlags::INACTIVE;
        parse.set(ParseFlags::NEW, !redefine);
        let checkpoint = Checkpoint::parse(&request.xml_desc, parse)?.value;
        if redefine {
            tell_again(&context, checkpoint).await
        } else {
            take(&context, checkpoint).await
        }
    });
    let name = made.await?;
    Ok(reference(&request.dom, name))
}

/// Makes a new checkpoint; answers its name.
async fn take<M: Keeper>(context: &Context<M>, mut checkpoint: Checkpoint) -> Result<String> {
    let machine = context.snapshot();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    checkpoint.made_at(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let live = machine.live()?;
    checkpoint.domain = Some(as_kept(live)?);
    checkpoint.align(live)?;
    let known = &machine.moments.checkpoints;
    check_new(known, checkpoint.name())?;
    checkpoint.set_parent(known.current().map(|current| current.name()));
    context.machine().keep_checkpoint(&*context.running()?, &checkpoint).await?;
    keep(context, checkpoint).await
}

/// Notes a checkpoint that exists already; answers its name.
async fn tell_again<M: Keeper>(context: &Context<M>, mut checkpoint: Checkpoint) -> Result<String> {
    let machine = context.snapshot();
    check_name::<Checkpoint>(checkpoint.name())?;
    check_guest(&checkpoint, machine.uuid)?;
    if let Some(def) = checkpoint.guest().cloned() {
        checkpoint.align(&def)?;
    }
    keep(context, checkpoint).await
}

/// Adds a checkpoint. It is the current one if it comes after that.
async fn keep<M: Keeper>(context: &Context<M>, checkpoint: Checkpoint) -> Result<String> {
    let name = checkpoint.name().to_owned();
    let changed = context.change_moments(|known: &mut Moments<Checkpoint>| {
        let after_current = known.current().map(|current| current.name()) == checkpoint.parent();
        known.put(checkpoint)?;
        if after_current {
            known.set_current(Some(&name));
        }
        Ok(())
    });
    changed.await?;
    Ok(name)
}

async fn get_xml<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainCheckpointGetXmlDesc,
) -> Result<String>
where
    D::Machine: Keeper,
{
    check_flags(request.flags, Told::all().bits(), "virDomainCheckpointGetXMLDesc")?;
    let flags = Told::from_bits_truncate(request.flags);
    let DomainCheckpointRef { name, dom } = &request.checkpoint;
    let mut checkpoint = (**known(&*driver, dom)?.get(name)?).clone();
    if flags.contains(Told::SIZE) {
        let (handle, _) = find(&*driver, dom)?;
        let job = Job::query("virDomainCheckpointGetXMLDesc");
        let measured = handle.job(job, |context| async move {
            context.machine().measure(&*context.running()?, &mut checkpoint).await?;
            Ok(checkpoint)
        });
        checkpoint = measured.await?;
    }
    if flags.contains(Told::NO_DOMAIN) {
        checkpoint.domain = None;
    }
    Ok(written(&checkpoint, flags.contains(Told::SECURE)))
}

async fn delete<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainCheckpointDelete,
) -> Result<()>
where
    D::Machine: Keeper,
{
    let DomainCheckpointRef { name, dom } = request.checkpoint;
    let (handle, _) = find(&*driver, &dom)?;
    let call = "virDomainCheckpointDelete";
    moments::delete::<Checkpoint, _>(&handle, call, name, request.flags).await
}
