// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which machines there are. Read from snapshots; never waits.

use std::collections::HashSet;
use std::sync::Arc;

use virtus_api::{
    ConnectListAllDomains, ConnectListAllDomainsFlags as Filter, ConnectListAllDomainsReply,
    ConnectListDefinedDomains, ConnectListDomains, ConnectNumOfDefinedDomains, ConnectNumOfDomains,
    DomainLookupById, DomainLookupByName, DomainLookupByUuid, DomainRef, Error, ErrorCode, Result,
};
use virtus_core::Call;
use virtus_core::flags::passes;

use super::{Found, HasMachines, check_flags};
use crate::snapshot::Snapshot;
use crate::state::State;

pub(super) async fn num_of_domains<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfDomains,
) -> Result<i32> {
    Ok(count(driver.machines().active().len()))
}

pub(super) async fn list_domains<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListDomains,
) -> Result<Vec<i32>> {
    let active = driver.machines().active();
    let ids = active.iter().filter_map(|(_, snapshot)| snapshot.id());
    Ok(ids.take(at_most(request.maxids)).collect())
}

pub(super) async fn num_of_defined_domains<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfDefinedDomains,
) -> Result<i32> {
    Ok(count(driver.machines().all().iter().filter(|(_, s)| !s.is_active()).count()))
}

pub(super) async fn list_defined_domains<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListDefinedDomains,
) -> Result<Vec<String>> {
    let all = driver.machines().all();
    let inactive = all.iter().filter(|(_, snapshot)| !snapshot.is_active());
    Ok(inactive.map(|(_, s)| s.name.to_string()).take(at_most(request.maxnames)).collect())
}

pub(super) async fn list_all<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListAllDomains,
) -> Result<ConnectListAllDomainsReply> {
    check_flags(request.flags, Filter::all().bits(), "virConnectListAllDomains")?;
    let filter = Filter::from_bits_truncate(request.flags);
    let domains: Vec<_> = driver
        .machines()
        .all()
        .iter()
        .filter(|(_, snapshot)| matches(filter, snapshot))
        .map(|(_, snapshot)| snapshot.domain_ref())
        .collect();
    let ret = u32::try_from(domains.len()).unwrap_or(u32::MAX);
    let domains = if request.need_results == 0 { Vec::new() } else { domains };
    Ok(ConnectListAllDomainsReply { domains, ret })
}

/// The machines that a call is about: those that are named, or all, as far as the filters of lists let them through.
/// Those that are named but gone are passed over.
#[must_use]
pub fn meant<D: HasMachines>(driver: &D, doms: &[DomainRef], filters: u32) -> Vec<Found<D>> {
    let machines = driver.machines();
    let mut once = HashSet::new();
    let mut found = if doms.is_empty() {
        machines.all()
    } else {
        let listed = doms.iter().filter(|dom| once.insert(dom.uuid));
        let known = listed.filter_map(|dom| machines.by_uuid(dom.uuid));
        known.map(|handle| (handle.clone(), handle.snapshot())).collect()
    };
    let filters = Filter::from_bits_truncate(filters);
    found.retain(|(_, snapshot)| matches(filters, snapshot));
    found
}

/// Whether a machine passes: within each group of flags, none or one that fits must be given.
fn matches(filter: Filter, snapshot: &Snapshot) -> bool {
    let group = |members: &[(Filter, bool)]| {
        passes(filter.bits(), members.iter().map(|(flag, fits)| (flag.bits(), *fits)))
    };
    let active = snapshot.is_active();
    let persistent = snapshot.persistent.is_some();
    let saved = snapshot.managed_save;
    let snapshots = !snapshot.moments.snapshots.is_empty();
    let checkpoints = !snapshot.moments.checkpoints.is_empty();
    let (running, paused, off) = (
        matches!(snapshot.state, State::Running(_)),
        matches!(snapshot.state, State::Paused(_)),
        matches!(snapshot.state, State::Shutoff(_)),
    );
    group(&[(Filter::ACTIVE, active), (Filter::INACTIVE, !active)])
        && group(&[(Filter::PERSISTENT, persistent), (Filter::TRANSIENT, !persistent)])
        && group(&[
            (Filter::RUNNING, running),
            (Filter::PAUSED, paused),
            (Filter::SHUTOFF, off),
            (Filter::OTHER, !running && !paused && !off),
        ])
        && group(&[
            (Filter::AUTOSTART, snapshot.autostart),
            (Filter::NO_AUTOSTART, !snapshot.autostart),
        ])
        && group(&[(Filter::MANAGEDSAVE, saved), (Filter::NO_MANAGEDSAVE, !saved)])
        && group(&[(Filter::HAS_SNAPSHOT, snapshots), (Filter::NO_SNAPSHOT, !snapshots)])
        && group(&[(Filter::HAS_CHECKPOINT, checkpoints), (Filter::NO_CHECKPOINT, !checkpoints)])
}

pub(super) async fn lookup_by_id<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainLookupById,
) -> Result<DomainRef> {
    match driver.machines().by_id(request.id) {
        Some(handle) => Ok(handle.snapshot().domain_ref()),
        None => Err(not_found(format!("no domain with matching id {}", request.id))),
    }
}

pub(super) async fn lookup_by_uuid<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainLookupByUuid,
) -> Result<DomainRef> {
    match driver.machines().by_uuid(request.uuid) {
        Some(handle) => Ok(handle.snapshot().domain_ref()),
        None => Err(not_found(format!("no domain with matching uuid '{}'", request.uuid))),
    }
}

pub(super) async fn lookup_by_name<D: HasMachines>(
    driver: Arc<D>,
    _: Call,
    request: DomainLookupByName,
) -> Result<DomainRef> {
    match driver.machines().by_name(&request.name) {
        Some(handle) => Ok(handle.snapshot().domain_ref()),
        None => Err(not_found(format!("no domain with matching name '{}'", request.name))),
    }
}

fn not_found(text: String) -> Error {
    Error::new(ErrorCode::NoDomain, text).hint("list what is defined with 'virsh list --all'")
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn at_most(limit: i32) -> usize {
    usize::try_from(limit).unwrap_or_default()
}
