// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Snapshots that are made, returned to and deleted. A return ends the guest, if it runs, and begins it anew from the
//! snapshot: its number changes, its clients are told.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use virtus_api::{
    DomainRevertToSnapshot, DomainSnapshotCreateFlags as Create, DomainSnapshotCreateXml,
    DomainSnapshotDelete, DomainSnapshotRef, DomainSnapshotRevertFlags as Revert, Error, ErrorCode,
    Result,
};
use virtus_core::{Call, Routes};
use virtus_xml::domain::disk::SnapshotMode;
use virtus_xml::moment::{Alignment, MomentDomain, SnapshotState};
use virtus_xml::{Document, Domain, ParseFlags, Snapshot};

use super::moments::{self, as_kept, check_guest, check_name, check_new};
use super::snapshots::reference;
use super::{HasMachines, by, check_flags, exclusive, find};
use crate::context::Context;
use crate::jobs::{Job, Long};
use crate::keeper::Keeper;
use crate::moments::Moment;
use crate::no_domain_uuid;
use crate::notice::End;
use crate::start::Wishes;
use crate::state::{Begin, State};

pub(super) fn routes<D: HasMachines>() -> Routes<D>
where
    D::Machine: Keeper,
{
    Routes::new().on(by(create::<D>)).on(by(revert::<D>)).on(by(delete::<D>))
}

async fn create<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotCreateXml,
) -> Result<DomainSnapshotRef>
where
    D::Machine: Keeper,
{
    const NAME: &str = "virDomainSnapshotCreateXML";
    check_flags(request.flags, D::Machine::SNAPSHOT_FLAGS.bits(), NAME)?;
    let flags = Create::from_bits_truncate(request.flags);
    let (handle, _) = find(&*driver, &request.dom)?;
    let made = handle.job(Job::long(Long::Snapshot, NAME), move |context| async move {
        let machine = context.snapshot();
        if !machine.moments.checkpoints.is_empty() {
            let text = "cannot create snapshot while checkpoint exists";
            return Err(Error::new(ErrorCode::OperationUnsupported, text));
        }
        if machine.persistent.is_none() && flags.contains(Create::HALT) {
            let text = "cannot halt after transient domain snapshot";
            return Err(Error::new(ErrorCode::OperationInvalid, text));
        }
        let redefine = flags.contains(Create::REDEFINE);
        let mut parse = ParseFlags::INACTIVE;
        parse.set(ParseFlags::NEW, !redefine);
        parse.set(ParseFlags::VALIDATE, flags.contains(Create::VALIDATE));
        let snapshot = Snapshot::parse(&request.xml_desc, parse)?.value;
        if redefine {
            tell_again(&context, snapshot, flags.contains(Create::CURRENT)).await
        } else {
            take(&context, snapshot, flags).await
        }
    });
    let name = made.await?;
    Ok(reference(&request.dom, name))
}

/// Makes a new snapshot; answers its name.
async fn take<M: Keeper>(
    context: &Context<M>,
    mut snapshot: Snapshot,
    flags: Create,
) -> Result<String> {
    let machine = context.snapshot();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    snapshot.made_at(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let known = &machine.moments.snapshots;
    check_new(known, snapshot.name())?;
    snapshot.set_parent(known.current().map(|current| current.name()));
    let def = machine.def()?;
    snapshot.domain = Some(as_kept(&def)?);
    let memory = snapshot.memory.get_or_insert_default();
    let disks_only = flags.contains(Create::DISK_ONLY);
    snapshot.state = Some(match machine.state {
        _ if disks_only && machine.is_active() => SnapshotState::DiskSnapshot,
        state => state_of(state),
    });
    let outside = disks_only || memory.mode == Some(SnapshotMode::External);
    if disks_only || !machine.is_active() {
        memory.mode.get_or_insert(SnapshotMode::No);
        snapshot.check_offline()?;
    } else {
        memory.mode.get_or_insert(SnapshotMode::Internal);
    }
    snapshot.align(
        &def,
        Alignment {
            default: if outside { SnapshotMode::External } else { SnapshotMode::Internal },
            uniform: !outside,
            force_default: false,
        },
    )?;
    let name = snapshot.name().to_owned();
    let running = context.running().ok();
    context.machine().keep_snapshot(running.as_deref(), &snapshot).await?;
    context
        .change_moments(|known| {
            known.put(snapshot)?;
            known.set_current(Some(&name));
            Ok(())
        })
        .await?;
    if flags.contains(Create::HALT) && machine.is_active() {
        context.end(End::Snapshot).await?;
    }
    Ok(name)
}

fn state_of(state: State) -> SnapshotState {
    match state {
        State::Running(_) => SnapshotState::Running,
        State::Paused(_) => SnapshotState::Paused,
        State::Shutdown(_) => SnapshotState::Shutdown,
        State::Shutoff(_) => SnapshotState::Shutoff,
        State::Crashed(_) => SnapshotState::Crashed,
        State::Pmsuspended => SnapshotState::PmSuspended,
    }
}

/// Notes a snapshot that exists already; answers its name.
async fn tell_again<M: Keeper>(
    context: &Context<M>,
    mut snapshot: Snapshot,
    current: bool,
) -> Result<String> {
    let machine = context.snapshot();
    let name = snapshot.name().to_owned();
    check_name::<Snapshot>(&name)?;
    check_guest(&snapshot, machine.uuid)?;
    if let Ok(before) = machine.moments.snapshots.get(&name) {
        if before.offline() != snapshot.offline() {
            let text = format!(
                "cannot change between online and offline snapshot state in snapshot {name}"
            );
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        if before.guest().is_some() && snapshot.guest().is_none() {
            snapshot.domain.clone_from(&before.domain);
        }
    }
    if let Some(MomentDomain::Whole(def)) = &snapshot.domain {
        let outside = snapshot.external() || snapshot.state == Some(SnapshotState::DiskSnapshot);
        let default = if outside { SnapshotMode::External } else { SnapshotMode::Internal };
        let def = def.clone();
        snapshot.align(&def, Alignment { default, uniform: !outside, force_default: true })?;
    }
    let changed = context.change_moments(|known| {
        known.put(snapshot)?;
        if current {
            known.set_current(Some(&name));
        }
        Ok(())
    });
    changed.await?;
    Ok(name)
}

async fn revert<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainRevertToSnapshot,
) -> Result<()>
where
    D::Machine: Keeper,
{
    const NAME: &str = "virDomainRevertToSnapshot";
    let known = Revert::RUNNING | Revert::PAUSED | Revert::FORCE;
    check_flags(request.flags, known.bits(), NAME)?;
    exclusive(
        request.flags,
        (Revert::RUNNING.bits(), "VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING"),
        (Revert::PAUSED.bits(), "VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED"),
    )?;
    let flags = Revert::from_bits_truncate(request.flags);
    let DomainSnapshotRef { name, dom } = request.snap;
    let (handle, _) = find(&*driver, &dom)?;
    let returned = handle.job(Job::long(Long::Snapshot, NAME), move |context| async move {
        let machine = context.snapshot();
        let snapshot = machine.moments.snapshots.get(&name)?.clone();
        let ran = matches!(snapshot.state, Some(SnapshotState::Running | SnapshotState::Paused));
        let run = ran || flags.intersects(Revert::RUNNING | Revert::PAUSED);
        if machine.persistent.is_none() && !run {
            let text =
                "transient domain needs to request run or pause to revert to inactive snapshot";
            return Err(Error::new(ErrorCode::OperationInvalid, text));
        }
        let def = snapshot.guest().ok_or_else(|| {
            let text = format!("snapshot '{name}' lacks domain '{}' rollback info", machine.name);
            Error::new(ErrorCode::SnapshotRevertRisky, text)
        })?;
        let paused = match snapshot.state {
            _ if flags.contains(Revert::RUNNING) => false,
            Some(SnapshotState::Paused) => true,
            _ => flags.contains(Revert::PAUSED),
        };
        go_back(&context, def, run.then_some(paused)).await?;
        context
            .change_moments(|known: &mut crate::moments::Moments<Snapshot>| {
                known.set_current(Some(&name));
                Ok(())
            })
            .await
    });
    returned.await
}

/// Makes the machine what it was; with `paused` it runs.
async fn go_back<M: Keeper>(
    context: &Context<M>,
    def: &Domain,
    paused: Option<bool>,
) -> Result<()> {
    let machine = context.snapshot();
    if machine.is_active() {
        context.end(End::Snapshot).await?;
    }
    if machine.persistent.is_some() {
        context.set_persistent(Arc::new(def.clone()));
        context.settle().await?;
    } else if !context.handle().set().keep(context.handle(), &machine.name)? {
        // The end of a transient machine has made its name free, and somebody was quick to take it.
        return Err(no_domain_uuid(machine.uuid, &machine.name));
    }
    if let Some(paused) = paused {
        let wishes = Wishes { paused, from: Begin::Snapshot, ..Wishes::default() };
        context.start(def, wishes).await?;
    }
    Ok(())
}

async fn delete<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainSnapshotDelete,
) -> Result<()>
where
    D::Machine: Keeper,
{
    let DomainSnapshotRef { name, dom } = request.snap;
    let (handle, _) = find(&*driver, &dom)?;
    moments::delete::<Snapshot, _>(&handle, "virDomainSnapshotDelete", name, request.flags).await
}
