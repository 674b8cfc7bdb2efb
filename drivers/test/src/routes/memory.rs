// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The guest's memory: what is in it, and what its balloon tells.

use std::sync::Arc;

use virtus_api::{
    DomainMemoryFlags, DomainMemoryPeek, DomainMemoryStat, DomainMemoryStatTags as Tag,
    DomainMemoryStats, DomainSetMemoryStatsPeriod, Error, ErrorCode, Result, limits,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{by, check_flags};
use virtus_xml::Domain;
use virtus_xml::domain::misc::{BalloonModel, BalloonStats, Memballoon};

use super::{change, running};
use crate::guest::FIRST_TIME;
use crate::world::World;

/// The routes of this file.
pub(super) fn routes() -> Routes<World> {
    Routes::new().on(by(stats)).on(by(peek)).on(by(set_period))
}

async fn stats(
    world: Arc<World>,
    _: Call,
    request: DomainMemoryStats,
) -> Result<Vec<DomainMemoryStat>> {
    check_flags(request.flags, 0, "virDomainMemoryStats")?;
    let (_, snapshot) = running(&world, &request.dom)?;
    let live = snapshot.live()?;
    if balloon(live).is_none() {
        return Ok(Vec::new());
    }
    let now = live.current_memory.map_or(live.memory.kib, |current| current.0);
    let stats = [
        (Tag::ActualBalloon, now),
        (Tag::SwapIn, 0),
        (Tag::SwapOut, 0),
        (Tag::MajorFault, 0),
        (Tag::MinorFault, 0),
        (Tag::Unused, now / 2),
        (Tag::Available, now),
        (Tag::Usable, now / 2),
        (Tag::LastUpdate, FIRST_TIME.unsigned_abs()),
        (Tag::DiskCaches, now / 8),
        (Tag::HugetlbPgalloc, 0),
        (Tag::HugetlbPgfail, 0),
        (Tag::Rss, now / 2),
    ];
    let wanted = usize::try_from(request.max_stats).unwrap_or(usize::MAX);
    let stats = stats.into_iter().take(wanted);
    Ok(stats.map(|(tag, val)| DomainMemoryStat { tag: tag.number(), val }).collect())
}

fn balloon(def: &Domain) -> Option<&Memballoon> {
    def.devices.memballoon.as_deref().filter(|balloon| balloon.model != BalloonModel::None)
}

/// Every byte of the memory is its address.
async fn peek(world: Arc<World>, _: Call, request: DomainMemoryPeek) -> Result<Vec<u8>> {
    const NAME: &str = "virDomainMemoryPeek";
    let (virt, physical) = (DomainMemoryFlags::VIRTUAL.bits(), DomainMemoryFlags::PHYSICAL.bits());
    check_flags(request.flags, virt | physical, NAME)?;
    if request.flags != virt && request.flags != physical {
        let text = "flags parameter must be VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL";
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    running(&world, &request.dom)?;
    let size = usize::try_from(request.size).unwrap_or(usize::MAX);
    let most = limits::DOMAIN_MEMORY_PEEK_BUFFER_MAX;
    if size > most {
        let text = format!("size {size} in {NAME} is more than {most}");
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let addresses = (0..u64::from(request.size)).map(|at| request.offset.wrapping_add(at));
    Ok(addresses.map(|address| address.to_le_bytes()[0]).collect())
}

async fn set_period(world: Arc<World>, _: Call, request: DomainSetMemoryStatsPeriod) -> Result<()> {
    const NAME: &str = "virDomainSetMemoryStatsPeriod";
    let period = u32::try_from(request.period).map_err(|_| {
        let text = format!("period in {NAME} must be zero or greater");
        Error::new(ErrorCode::InvalidArg, text)
    })?;
    let note = move |def: &mut Domain| note_period(def, period);
    change(&world, &request.dom, request.flags, NAME, note).await
}

/// Zero is "never".
fn note_period(def: &mut Domain, period: u32) -> Result<()> {
    let balloon = def.devices.memballoon.as_mut();
    let balloon = balloon.filter(|balloon| balloon.model != BalloonModel::None);
    let Some(balloon) = balloon else {
        let text = "No memory balloon device configured, can not set the collection period";
        return Err(Error::new(ErrorCode::OperationInvalid, text));
    };
    balloon.stats = (period > 0).then_some(BalloonStats { period });
    Ok(())
}
