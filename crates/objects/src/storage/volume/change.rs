// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What changes a volume: delete, wipe, resize.

use std::sync::Arc;

use virtus_api::{
    Error, ErrorCode, Result, StorageVolDelete, StorageVolDeleteFlags, StorageVolRef,
    StorageVolResize, StorageVolResizeFlags as Resize, StorageVolWipe, StorageVolWipeAlgorithm,
    StorageVolWipePattern,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{StoragePool, Volume};

use super::super::contents::{Sizes, allocation};
use super::super::{HasPools, Pools, StorageBackend};
use super::{Place, attempt, to_the_end};
use crate::object::Turn;

/// What is done to a volume.
#[derive(Debug, Clone, Copy)]
enum Work {
    Delete { flags: u32 },
    Wipe(StorageVolWipeAlgorithm),
    Resize { capacity: u64, allocate: bool },
}

impl<B: StorageBackend> Pools<B> {
    /// Takes a volume, works on it beside the pool's other changes, and gives it back as it is then.
    async fn work(
        self: Arc<Self>,
        vol: StorageVolRef,
        call: &'static str,
        decide: impl Fn(&Volume, Sizes) -> Result<Work> + Send + 'static,
    ) -> Result<()> {
        let Place { object, live, .. } = self.find_volume(&vol)?;
        let name = vol.name.clone();
        let take = |turn: Turn<StoragePool>| async move {
            let pool = turn.snapshot();
            pool.active()?;
            let mut contents = pool.extra.clone();
            let def = contents.begin_change(&name)?;
            let work = decide(&def, contents.sizes)?;
            turn.publish(|pool| pool.extra = contents);
            Ok((def, work))
        };
        let (def, work) = self.collection.change(&object, call, take).await?;
        let done = attempt(self.perform(&live, &def, work)).await;
        let gone = done.is_ok() && matches!(work, Work::Delete { .. });
        let after = if gone { None } else { Some(self.after(&live, def).await) };
        self.give_back(&object, call, vol.name, after).await?;
        done
    }

    async fn perform(&self, live: &StoragePool, def: &Volume, work: Work) -> Result<()> {
        match work {
            Work::Delete { flags } => self.backend.delete_volume(live, def, flags).await,
            Work::Wipe(algorithm) => self.backend.wipe_volume(live, def, algorithm).await,
            Work::Resize { capacity, allocate } => {
                self.backend.resize_volume(live, def, capacity, allocate).await
            }
        }
    }

    /// The volume as the work has left it; what cannot be measured is thought to be as it was.
    async fn after(&self, live: &StoragePool, def: Arc<Volume>) -> Arc<Volume> {
        match attempt(self.backend.measure(live, &def)).await {
            Ok(now) => Arc::new(now),
            Err(error) => {
                tracing::warn!("volume '{}' is not measured: {error}", def.name);
                def
            }
        }
    }
}

pub(super) async fn delete<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolDelete,
) -> Result<()> {
    const NAME: &str = "virStorageVolDelete";
    let StorageVolDelete { vol, flags } = request;
    check_flags(flags, StorageVolDeleteFlags::all().bits(), NAME)?;
    let decide = move |_: &Volume, _| Ok(Work::Delete { flags });
    to_the_end(driver.pools().clone().work(vol, NAME, decide)).await
}

pub(super) async fn wipe<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolWipe,
) -> Result<()> {
    const NAME: &str = "virStorageVolWipe";
    check_flags(request.flags, 0, NAME)?;
    let decide = |_: &Volume, _| Ok(Work::Wipe(StorageVolWipeAlgorithm::Zero));
    to_the_end(driver.pools().clone().work(request.vol, NAME, decide)).await
}

pub(super) async fn wipe_pattern<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolWipePattern,
) -> Result<()> {
    const NAME: &str = "virStorageVolWipePattern";
    check_flags(request.flags, 0, NAME)?;
    let number = request.algorithm;
    let known = i32::try_from(number).ok().and_then(|n| StorageVolWipeAlgorithm::try_from(n).ok());
    let algorithm = known.ok_or_else(|| {
        let text = format!("wiping algorithm {number} not supported");
        Error::new(ErrorCode::InvalidArg, text)
    })?;
    let decide = move |_: &Volume, _| Ok(Work::Wipe(algorithm));
    to_the_end(driver.pools().clone().work(request.vol, NAME, decide)).await
}

pub(super) async fn resize<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: StorageVolResize,
) -> Result<()> {
    const NAME: &str = "virStorageVolResize";
    check_flags(request.flags, Resize::all().bits(), NAME)?;
    let (wish, flags) = (request.capacity, Resize::from_bits_truncate(request.flags));
    let decide = move |volume: &Volume, room: Sizes| {
        let capacity = new_capacity(volume, wish, flags, room)?;
        Ok(Work::Resize { capacity, allocate: flags.contains(Resize::ALLOCATE) })
    };
    to_the_end(driver.pools().clone().work(request.vol, NAME, decide)).await
}

/// The capacity that is asked for, if the volume can have it.
fn new_capacity(volume: &Volume, wish: u64, flags: Resize, room: Sizes) -> Result<u64> {
    let now = volume.capacity.unwrap_or_default().0;
    let invalid = |text: &'static str| Err(Error::new(ErrorCode::InvalidArg, text));
    let capacity = match flags & (Resize::DELTA | Resize::SHRINK) {
        both if both == Resize::DELTA | Resize::SHRINK => now.saturating_sub(wish),
        delta if delta.contains(Resize::DELTA) => now.saturating_add(wish),
        _ => wish,
    };
    if i64::try_from(capacity).is_err() {
        return invalid("the capacity is larger than any file can be");
    }
    if capacity < allocation(volume) {
        return invalid("can't shrink capacity below existing allocation");
    }
    if capacity < now && !flags.contains(Resize::SHRINK) {
        return invalid(
            "Can't shrink capacity below current capacity unless shrink flag explicitly specified",
        );
    }
    if flags.contains(Resize::ALLOCATE) && capacity.saturating_sub(now) > room.available {
        let text = "Not enough space left in storage pool";
        return Err(Error::new(ErrorCode::OperationFailed, text));
    }
    Ok(capacity)
}

#[cfg(test)]
mod tests {
    use virtus_xml::units::Bytes;

    use super::*;

    #[test]
    fn a_volume_shrinks_only_where_that_is_said_and_grows_only_where_there_is_room() {
        let volume =
            Volume { capacity: Some(Bytes(100)), allocation: Some(Bytes(40)), ..Volume::default() };
        let room = Sizes { capacity: 1000, allocation: 40, available: 960 };
        let (delta, shrink, all) = (Resize::DELTA, Resize::SHRINK, Resize::ALLOCATE);
        for (wish, flags, capacity) in [
            (200, Resize::empty(), Some(200)),
            (50, Resize::empty(), None),
            (50, shrink, Some(50)),
            (30, shrink, None),
            (30, delta, Some(130)),
            (30, delta | shrink, Some(70)),
            (300, delta | shrink, None),
            (5000, Resize::empty(), Some(5000)),
            (5000, all, None),
            (u64::MAX, delta, None),
        ] {
            let new = new_capacity(&volume, wish, flags, room);
            assert_eq!(new.ok(), capacity, "{wish} {flags:?}");
        }
    }
}
