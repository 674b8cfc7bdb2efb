// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All statistics of many guests in one call.
//!
//! Invariants: the call takes no longer than [`BOUND`] however many guests there are and whatever they do: all are
//! asked at once, one that is known not to answer is not asked, and what was not heard in time is left out; what is
//! published is always told. No guest's job is waited for.

mod collect;
mod record;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use virtus_api::{
    ConnectGetAllDomainStats, ConnectGetAllDomainStatsFlags as Flags, DomainStatsRecord,
    DomainStatsTypes as Groups, Error, ErrorCode, Result,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{check_flags, meant};
use virtus_domain::{Facts, Snapshot};

use self::collect::{Answers, Host, Links};
pub(super) use self::collect::{balloon_alias, cpu_usage, guest_stats, links, nanos};
use super::by;
use crate::driver::QemuDriver;
use crate::guest::Guest;
use crate::image_size::{Place, Sizes, look_at_all};

/// How long the call may wait for guests and storage.
const BOUND: Duration = Duration::from_millis(250);

/// The groups that this driver has. The others (performance counters, memory bandwidth, KVM's own counters) are
/// refused where a client insists on them.
const SUPPORTED: Groups = Groups::STATE
    .union(Groups::CPU_TOTAL)
    .union(Groups::BALLOON)
    .union(Groups::VCPU)
    .union(Groups::INTERFACE)
    .union(Groups::BLOCK)
    .union(Groups::IOTHREAD)
    .union(Groups::DIRTYRATE);

pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get_all))
}

/// One guest, with all that was learnt of it.
struct Subject {
    snapshot: Arc<Snapshot>,
    /// None if its definition cannot be read.
    facts: Option<Arc<Facts>>,
    guest: Option<Arc<Guest>>,
    /// What was heard and seen of it while it runs.
    learnt: Option<Box<Learnt>>,
    /// The images of its disks, by the disk's place in the definition.
    images: Vec<Option<Sizes>>,
}

/// What only a guest that runs has.
#[derive(Default)]
struct Learnt {
    answers: Answers,
    host: Host,
}

async fn get_all(
    driver: Arc<QemuDriver>,
    _: Call,
    request: ConnectGetAllDomainStats,
) -> Result<Vec<DomainStatsRecord>> {
    check_flags(request.flags, Flags::all().bits(), "virConnectGetAllDomainStats")?;
    let flags = Flags::from_bits_truncate(request.flags);
    let groups = groups(request.stats, flags)?;
    let end = Instant::now() + BOUND;
    let mut subjects = subjects(&driver, &request, flags);
    let links = collect(&driver, &mut subjects, groups, end).await;
    let told = |subject: &Subject| DomainStatsRecord {
        dom: subject.snapshot.domain_ref(),
        params: record::write(subject, groups, flags.contains(Flags::BACKING), &links),
    };
    Ok(subjects.iter().map(told).collect())
}

/// The groups that are asked for and can be had.
fn groups(stats: u32, flags: Flags) -> Result<Groups> {
    if stats == 0 {
        return Ok(SUPPORTED);
    }
    let unknown = stats & !SUPPORTED.bits();
    if unknown != 0 && flags.contains(Flags::ENFORCE_STATS) {
        let text =
            format!("Stats types bits 0x{unknown:x} are not supported by this daemon or QEMU");
        return Err(Error::new(ErrorCode::ArgumentUnsupported, text)
            .hint("leave '--enforce' out to get the groups that there are"));
    }
    Ok(Groups::from_bits_truncate(stats) & SUPPORTED)
}

/// The guests that are meant. Those that are listed but gone are passed over.
fn subjects(driver: &QemuDriver, request: &ConnectGetAllDomainStats, flags: Flags) -> Vec<Subject> {
    // The filters have the numbers of those of lists.
    let filters = flags & !(Flags::NOWAIT | Flags::BACKING | Flags::ENFORCE_STATS);
    meant(driver, &request.doms, filters.bits())
        .into_iter()
        .map(|(handle, snapshot)| Subject {
            facts: snapshot.facts().ok(),
            guest: handle.running().filter(|_| snapshot.is_active()),
            snapshot,
            learnt: None,
            images: Vec::new(),
        })
        .collect()
}

/// Asks guests, kernel and storage side by side.
async fn collect(
    driver: &QemuDriver,
    subjects: &mut [Subject],
    groups: Groups,
    end: Instant,
) -> Links {
    let (owners, places) = places(subjects, groups);
    let running: Vec<_> = subjects
        .iter()
        .enumerate()
        .filter_map(|(at, subject)| {
            Some((at, subject.guest.clone()?, subject.snapshot.live.clone()?))
        })
        .collect();
    let questions = running.iter().map(|(_, guest, live)| collect::ask(guest, live, groups, end));
    let guests = running.iter().map(|(_, guest, _)| collect::Work::new(driver, guest)).collect();
    let (answers, (mut hosts, links), sizes) = tokio::join!(
        join_all(questions),
        collect::look_at_host(guests, groups, end),
        look_at_all(places, end),
    );
    hosts.resize_with(running.len(), Host::default);
    for (((at, ..), answers), host) in running.into_iter().zip(answers).zip(hosts) {
        subjects[at].learnt = Some(Box::new(Learnt { answers, host }));
    }
    for ((subject, disk), sizes) in owners.into_iter().zip(sizes) {
        subjects[subject].images[disk] = sizes;
    }
    links
}

/// The images that nobody but us can tell of: those of guests that do not run. The first list says whose they are.
fn places(subjects: &mut [Subject], groups: Groups) -> (Vec<(usize, usize)>, Vec<Place>) {
    let (mut owners, mut places) = (Vec::new(), Vec::new());
    if !groups.contains(Groups::BLOCK) {
        return (owners, places);
    }
    for (at, subject) in subjects.iter_mut().enumerate() {
        let Some(facts) = subject.facts.as_ref().filter(|_| subject.guest.is_none()) else {
            continue;
        };
        subject.images = vec![None; facts.disks.len()];
        for (number, disk) in facts.disks.iter().enumerate() {
            if let Some(place) = Place::of(disk) {
                owners.push((at, number));
                places.push(place);
            }
        }
    }
    (owners, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_refused_only_on_request() {
        assert_eq!(groups(0, Flags::ENFORCE_STATS).unwrap(), SUPPORTED);
        let wanted = Groups::STATE | Groups::PERF;
        assert_eq!(groups(wanted.bits(), Flags::empty()).unwrap(), Groups::STATE);
        let refused = groups(wanted.bits() | 0x8000, Flags::ENFORCE_STATS).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::ArgumentUnsupported);
        assert!(refused.text().starts_with("Stats types bits 0x8040 are not supported"));
    }
}
