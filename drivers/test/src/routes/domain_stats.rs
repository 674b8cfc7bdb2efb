// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is told of many guests at once: their states and their I/O threads.

use std::sync::Arc;

use virtus_api::{
    ConnectGetAllDomainStats, ConnectGetAllDomainStatsFlags as Flags, DomainStatsRecord,
    DomainStatsTypes as Groups, Error, ErrorCode, Result, TypedParam, params,
};
use virtus_core::{Call, Routes};
use virtus_domain::Snapshot;
use virtus_domain::routes::{by, check_flags, meant};

use crate::world::World;

const SUPPORTED: Groups = Groups::STATE.union(Groups::IOTHREAD);
/// How long a thread polls that nobody has told.
const POLL_MAX_NS: u64 = 32_768;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(get_all))
}

async fn get_all(
    world: Arc<World>,
    _: Call,
    request: ConnectGetAllDomainStats,
) -> Result<Vec<DomainStatsRecord>> {
    check_flags(request.flags, Flags::all().bits(), "virConnectGetAllDomainStats")?;
    let flags = Flags::from_bits_truncate(request.flags);
    let unknown = request.stats & !SUPPORTED.bits();
    if flags.contains(Flags::ENFORCE_STATS) && unknown != 0 {
        let text = format!("Stats types bits 0x{unknown:x} are not supported by this daemon");
        return Err(Error::new(ErrorCode::ArgumentUnsupported, text)
            .hint("leave '--enforce' out to get the groups that there are"));
    }
    let wanted = if request.stats == 0 {
        SUPPORTED
    } else {
        Groups::from_bits_truncate(request.stats) & SUPPORTED
    };
    // The filters have the numbers of those of lists.
    let filters = flags & !(Flags::NOWAIT | Flags::BACKING | Flags::ENFORCE_STATS);
    let found = meant(&*world, &request.doms, filters.bits());
    let records = found.iter().map(|(_, snapshot)| DomainStatsRecord {
        dom: snapshot.domain_ref(),
        params: record(snapshot, wanted),
    });
    Ok(records.collect())
}

fn record(snapshot: &Snapshot, wanted: Groups) -> Vec<TypedParam> {
    use params::domain_bulk_stats as name;
    let mut told = Vec::new();
    if wanted.contains(Groups::STATE) {
        told.push(TypedParam::new(name::STATE_STATE, snapshot.state.kind() as i32));
        told.push(TypedParam::new(name::STATE_REASON, snapshot.state.reason()));
    }
    let threads = snapshot.live.as_deref().map(|def| def.all_iothreads()).unwrap_or_default();
    if wanted.contains(Groups::IOTHREAD) && !threads.is_empty() {
        let count = u32::try_from(threads.len()).unwrap_or(u32::MAX);
        told.push(TypedParam::new(name::IOTHREAD_COUNT, count));
        for thread in threads {
            let poll = thread.poll.clone().unwrap_or_default();
            let mut tell = |field: &str, value: u64| {
                told.push(TypedParam::new(format!("iothread.{}.{field}", thread.id), value));
            };
            tell("poll-max-ns", poll.max.unwrap_or(POLL_MAX_NS));
            tell("poll-grow", poll.grow.unwrap_or_default());
            tell("poll-shrink", poll.shrink.unwrap_or_default());
        }
    }
    told
}
