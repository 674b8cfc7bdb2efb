// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a pool holds: its volumes, who works on them, and how much room there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use virtus_api::{Error, ErrorCode, Result, StorageVolRef};
use virtus_xml::volume::VolumeType;
use virtus_xml::{StoragePool, Volume};

/// Room in a pool, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    pub capacity: u64,
    pub allocation: u64,
    pub available: u64,
}

impl Sizes {
    /// Counts `after` bytes where there were `before`.
    fn replace(&mut self, before: u64, after: u64) {
        self.allocation = self.allocation.saturating_sub(before).saturating_add(after);
        self.available = self.available.saturating_add(before).saturating_sub(after);
    }
}

/// A volume and who works on it.
#[derive(Debug, Clone)]
pub struct PoolVolume {
    pub def: Arc<Volume>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// It is being made.
    Allocating,
    /// So many read it or, alone, change it.
    InUse(u32),
}

impl PoolVolume {
    fn idle(def: Arc<Volume>) -> Self {
        Self { def, state: State::Idle }
    }

    /// Refuses a volume that is not whole yet.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID`.
    pub(super) fn whole(&self) -> Result<()> {
        match self.state {
            State::Allocating => self.refuse("is still being allocated."),
            State::Idle | State::InUse(_) => Ok(()),
        }
    }

    /// Refuses a volume that somebody else reads or changes.
    fn unused(&self) -> Result<()> {
        self.whole()?;
        if let State::InUse(_) = self.state { self.refuse("is still in use.") } else { Ok(()) }
    }

    fn refuse(&self, why: &str) -> Result<()> {
        let text = format!("volume '{}' {why}", self.def.name);
        Err(Error::new(ErrorCode::OperationInvalid, text))
    }

    /// How clients name a volume of `pool`.
    #[must_use]
    pub fn vol_ref(&self, pool: &str) -> StorageVolRef {
        let def = &self.def;
        StorageVolRef {
            pool: pool.to_owned(),
            name: def.name.clone(),
            key: def.key.clone().unwrap_or_default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &str {
        self.def.target.path.as_deref().unwrap_or_default()
    }

    /// Its kind as clients count kinds.
    pub(super) fn kind_number(&self) -> i8 {
        VolumeType::ALL.iter().position(|kind| *kind == self.def.kind).map_or(0, |at| at as i8)
    }
}

/// What a pool holds. An inactive pool's volumes are not known.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub sizes: Sizes,
    volumes: Arc<BTreeMap<String, PoolVolume>>,
    /// How many volumes are being worked on.
    jobs: u32,
}

impl Contents {
    /// A pool as it was found.
    pub(super) fn new(sizes: Sizes, volumes: Vec<Volume>) -> Self {
        let volumes = volumes.into_iter().map(|def| {
            let name = def.name.clone();
            (name, PoolVolume::idle(Arc::new(def)))
        });
        Self { sizes, volumes: Arc::new(volumes.collect()), jobs: 0 }
    }

    /// What remains known when the pool is not active.
    pub(super) fn dormant(&self) -> Self {
        Self { sizes: self.sizes, ..Self::default() }
    }

    /// Its volumes, by name.
    pub fn volumes(&self) -> impl ExactSizeIterator<Item = &PoolVolume> {
        self.volumes.values()
    }

    /// The volume called `name`.
    ///
    /// # Errors
    /// `VIR_ERR_NO_STORAGE_VOL`.
    pub fn volume(&self, name: &str) -> Result<&PoolVolume> {
        self.volumes.get(name).ok_or_else(|| no_volume(format!("name '{name}'")))
    }

    /// Refuses what cannot be while volumes are being worked on.
    pub(super) fn at_rest(&self, pool: &str) -> Result<()> {
        if self.jobs == 0 {
            return Ok(());
        }
        let text = format!("pool '{pool}' has asynchronous jobs running.");
        Err(Error::new(ErrorCode::OperationInvalid, text)
            .hint("volumes are being created, wiped or resized; try again when that is done"))
    }

    /// A volume that is going to be made takes its place.
    pub(super) fn begin_making(&mut self, def: Arc<Volume>) -> Result<()> {
        let name = def.name.clone();
        if self.volumes.contains_key(&name) {
            return Err(Error::new(ErrorCode::StorageVolExist, format!("'{name}'")));
        }
        self.jobs += 1;
        Arc::make_mut(&mut self.volumes).insert(name, PoolVolume { def, state: State::Allocating });
        Ok(())
    }

    /// A volume is going to be changed, by one alone.
    pub(super) fn begin_change(&mut self, name: &str) -> Result<Arc<Volume>> {
        self.volume(name)?.unused()?;
        self.take(name)
    }

    /// A volume is going to be read, by any number.
    pub(super) fn begin_reading(&mut self, name: &str) -> Result<Arc<Volume>> {
        self.volume(name)?.whole()?;
        self.take(name)
    }

    fn take(&mut self, name: &str) -> Result<Arc<Volume>> {
        self.jobs += 1;
        let volumes = Arc::make_mut(&mut self.volumes);
        let volume = volumes.get_mut(name).ok_or_else(|| no_volume(format!("name '{name}'")))?;
        volume.state = match volume.state {
            State::InUse(users) => State::InUse(users + 1),
            State::Idle | State::Allocating => State::InUse(1),
        };
        Ok(volume.def.clone())
    }

    /// The work on a volume has ended: it is now `after`, or gone.
    pub(super) fn end(&mut self, name: &str, after: Option<Arc<Volume>>) {
        self.jobs = self.jobs.saturating_sub(1);
        let volumes = Arc::make_mut(&mut self.volumes);
        let Some(before) = volumes.remove(name) else { return };
        let counted = if before.state == State::Allocating { 0 } else { allocation(&before.def) };
        self.sizes.replace(counted, after.as_deref().map_or(0, allocation));
        if let Some(def) = after {
            let state = match before.state {
                State::InUse(users) if users > 1 => State::InUse(users - 1),
                _ => State::Idle,
            };
            volumes.insert(name.to_owned(), PoolVolume { def, state });
        }
    }

    /// A volume was measured anew.
    pub(super) fn measured(&mut self, def: Volume) {
        let Some(volume) = Arc::make_mut(&mut self.volumes).get_mut(&def.name) else { return };
        self.sizes.replace(allocation(&volume.def), allocation(&def));
        volume.def = Arc::new(def);
    }

    /// `def` with the sizes of its pool.
    pub(super) fn describe(&self, def: &StoragePool) -> StoragePool {
        let mut def = def.clone();
        def.capacity.0.0 = self.sizes.capacity;
        def.allocation.0.0 = self.sizes.allocation;
        def.available.0.0 = self.sizes.available;
        def
    }
}

/// The bytes that a volume takes.
pub(super) fn allocation(volume: &Volume) -> u64 {
    volume.allocation.or(volume.capacity).unwrap_or_default().0
}

/// The answer to a look-up that finds no volume.
pub(super) fn no_volume(by: String) -> Error {
    Error::new(ErrorCode::NoStorageVol, format!("no storage vol with matching {by}"))
        .hint("list the volumes of a pool with 'virsh vol-list POOL'")
}

#[cfg(test)]
mod tests {
    use virtus_xml::units::Bytes;

    use super::*;

    fn volume(name: &str, bytes: u64) -> Volume {
        Volume { name: name.to_owned(), capacity: Some(Bytes(bytes)), ..Volume::default() }
    }

    fn pool() -> Contents {
        let sizes = Sizes { capacity: 100, allocation: 10, available: 90 };
        Contents::new(sizes, vec![volume("a", 10)])
    }

    #[test]
    fn a_volume_counts_when_it_is_made_and_as_long_as_it_is_there() {
        let mut pool = pool();
        pool.begin_making(Arc::new(volume("b", 5))).unwrap();
        assert_eq!(pool.sizes.allocation, 10);
        assert!(pool.volume("b").unwrap().whole().is_err());
        assert!(pool.at_rest("p").is_err());
        pool.end("b", Some(Arc::new(volume("b", 7))));
        assert_eq!((pool.sizes.allocation, pool.sizes.available), (17, 83));
        pool.at_rest("p").unwrap();
        pool.begin_change("a").unwrap();
        pool.end("a", None);
        assert_eq!((pool.sizes.allocation, pool.sizes.available), (7, 93));
        assert_eq!(pool.volume("a").unwrap_err().code(), ErrorCode::NoStorageVol);
    }

    #[test]
    fn a_volume_that_cannot_be_made_leaves_nothing() {
        let mut pool = pool();
        assert!(pool.begin_making(Arc::new(volume("a", 5))).is_err());
        pool.begin_making(Arc::new(volume("b", 5))).unwrap();
        pool.end("b", None);
        assert_eq!((pool.sizes.allocation, pool.volumes().len()), (10, 1));
        pool.at_rest("p").unwrap();
    }

    #[test]
    fn many_read_a_volume_but_only_one_changes_it() {
        let mut pool = pool();
        for _ in 0..2 {
            pool.begin_reading("a").unwrap();
        }
        let error = pool.begin_change("a").unwrap_err();
        assert_eq!(error.text(), "volume 'a' is still in use.");
        let def = pool.volume("a").unwrap().def.clone();
        pool.end("a", Some(def.clone()));
        assert!(pool.begin_change("a").is_err());
        pool.end("a", Some(def));
        pool.begin_change("a").unwrap();
    }
}
