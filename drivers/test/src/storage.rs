// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pools of every kind that are nothing but a list of volumes. What clients write into a volume is kept in a file
//! without a name ([`disk`]), so that they can read it again.
//!
//! A volume takes what its definition sets aside, or what was written into it where that is more.

mod disk;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;
use virtus_api::{
    Error, ErrorCode, Result, StoragePoolBuildFlags, StorageVolDeleteFlags, StorageVolWipeAlgorithm,
};
use virtus_core::flags::check_flags;
use virtus_objects::storage::{Found, Making, Sizes, StorageBackend, no_discovery};
use virtus_objects::{Snapshot, Step, refuse};
use virtus_xml::pool::PoolType;
use virtus_xml::pool::source::{Dir, FormatName, PoolDevice, PoolHost, PoolSource};
use virtus_xml::units::Bytes;
use virtus_xml::{PoolSources, StoragePool, Volume, VolumeFlags};

use self::disk::Disk;

/// The capacity of every pool, in bytes.
const CAPACITY: u64 = 100 << 30;

/// The volumes of the pools that are defined or active.
#[derive(Default)]
pub(crate) struct Storage(Mutex<HashMap<Uuid, BTreeMap<String, Kept>>>);

/// A volume.
#[derive(Clone)]
struct Kept {
    def: Volume,
    disk: Disk,
}

impl Kept {
    /// The volume as it is now.
    fn measured(&self) -> Result<Volume> {
        let mut def = self.def.clone();
        let declared = def.capacity.unwrap_or_default().0;
        let (size, written) = self.disk.measure()?;
        let capacity = declared.max(size);
        let allocation = def.allocation.or(def.capacity).unwrap_or_default().0;
        def.capacity = Some(Bytes(capacity));
        def.allocation = Some(Bytes(allocation.max(written)));
        Ok(def)
    }
}

impl Storage {
    fn all(&self) -> MutexGuard<'_, HashMap<Uuid, BTreeMap<String, Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn volume(&self, pool: &StoragePool, volume: &Volume) -> Result<Kept> {
        let all = self.all();
        let found = all.get(&id(pool)).and_then(|volumes| volumes.get(&volume.name));
        found.cloned().ok_or_else(|| {
            let text = format!("no storage vol with matching name '{}'", volume.name);
            Error::new(ErrorCode::NoStorageVol, text)
        })
    }

    fn keep(&self, pool: &StoragePool, kept: Kept) {
        self.all().entry(id(pool)).or_default().insert(kept.def.name.clone(), kept);
    }

    /// Keeps a volume that a document says is there, by the key and at the path that it has there.
    ///
    /// # Errors
    /// Those of the definition; `VIR_ERR_OPERATION_FAILED` if there is one of its name.
    pub(crate) fn add(&self, pool: &StoragePool, mut def: Volume) -> Result<()> {
        def.settle_in(pool.kind, VolumeFlags::empty())?;
        let volumes = self.all().get(&id(pool)).is_some_and(|all| all.contains_key(&def.name));
        if volumes {
            return Err(self.taken(&def.name));
        }
        let path = def.target.path.clone().unwrap_or_else(|| path_in(pool, &def.name));
        def.key.get_or_insert_with(|| path.clone());
        def.target.path = Some(path);
        self.keep(pool, Kept { def, disk: Disk::default() });
        Ok(())
    }
}

/// Where a volume appears.
fn path_in(pool: &StoragePool, volume: &str) -> String {
    let folder = pool.target.as_ref().and_then(|target| target.path.as_ref());
    let folder = folder.or(pool.source.name.as_ref()).unwrap_or(&pool.name);
    format!("{folder}/{volume}")
}

fn id(pool: &StoragePool) -> Uuid {
    pool.uuid.unwrap_or_default()
}

/// Does what reads or writes files where that may wait.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorCode::OperationAborted, "the daemon stops")))
}

impl StorageBackend for Storage {
    fn supports(&self, _: PoolType) -> bool {
        true
    }

    fn complete(&self, _: &mut StoragePool) -> Result<()> {
        Ok(())
    }

    fn expected(&self, _: &StoragePool) -> Sizes {
        Sizes { capacity: CAPACITY, allocation: 0, available: CAPACITY }
    }

    fn check(&self, step: Step, pool: &Snapshot<StoragePool>) -> Result<()> {
        match step {
            Step::Destroy => pool.active().map(|_| ()),
            _ if pool.is_active() => refuse(format!("storage pool '{}' is active", pool.name)),
            _ => Ok(()),
        }
    }

    async fn build(&self, _: &StoragePool, _: StoragePoolBuildFlags) -> Result<()> {
        Ok(())
    }

    async fn start(&self, _: &StoragePool) -> Result<()> {
        Ok(())
    }

    async fn refresh(&self, live: &StoragePool) -> Result<Found> {
        let all = self.all();
        let kept = all.get(&id(live)).into_iter().flat_map(BTreeMap::values);
        let volumes: Vec<_> = kept.map(Kept::measured).collect::<Result<_>>()?;
        let allocation = volumes.iter().map(|volume| volume.allocation.unwrap_or_default().0);
        let allocation = allocation.fold(0, u64::saturating_add);
        let available = CAPACITY.saturating_sub(allocation);
        let permissions = live.target.as_ref().map(|target| target.permissions.clone());
        Ok(Found {
            sizes: Sizes { capacity: CAPACITY, allocation, available },
            permissions: permissions.unwrap_or_default(),
            volumes,
        })
    }

    async fn stop(&self, _: &StoragePool) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _: &StoragePool, _: bool) -> Result<()> {
        Ok(())
    }

    fn forget(&self, def: &StoragePool) {
        self.all().remove(&id(def));
    }

    /// What libvirt's test driver claims to find.
    async fn find_sources(&self, kind: PoolType, at: Option<PoolSource>) -> Result<PoolSources> {
        let sources = match kind {
            PoolType::Logical => [("testvg1", "/dev/sda20"), ("testvg2", "/dev/sda21")]
                .map(|(name, device)| PoolSource {
                    devices: vec![PoolDevice { path: device.to_owned(), ..PoolDevice::default() }],
                    name: Some(name.to_owned()),
                    format: Some(FormatName::new("lvm2")),
                    ..PoolSource::default()
                })
                .to_vec(),
            PoolType::Netfs => {
                let host = at.and_then(|at| at.hosts.into_iter().next()).ok_or_else(|| {
                    let text = "hostname must be specified for netfs sources";
                    Error::new(ErrorCode::InvalidArg, text)
                })?;
                vec![PoolSource {
                    hosts: vec![PoolHost { name: host.name, port: None }],
                    dir: Some(Dir { path: Some("/testshare".to_owned()) }),
                    format: Some(FormatName::new("nfs")),
                    ..PoolSource::default()
                }]
            }
            kind => return Err(no_discovery(kind.as_str())),
        };
        Ok(PoolSources { sources })
    }

    fn place(&self, pool: &Snapshot<StoragePool>, volume: &mut Volume) -> Result<()> {
        let wanted = volume.allocation.or(volume.capacity).unwrap_or_default().0;
        if wanted > pool.extra.sizes.available {
            let text = format!("Not enough free space in pool for volume '{}'", volume.name);
            return Err(Error::new(ErrorCode::OperationFailed, text));
        }
        let path = path_in(pool.def()?, &volume.name);
        volume.key = Some(path.clone());
        volume.target.path = Some(path);
        Ok(())
    }

    /// In the words of libvirt's test driver.
    fn taken(&self, _: &str) -> Error {
        Error::new(ErrorCode::OperationFailed, "storage vol already exists")
    }

    async fn create_volume(
        &self,
        live: &StoragePool,
        volume: &Volume,
        how: Making<'_>,
    ) -> Result<Volume> {
        let disk = match how.copy_of {
            Some((pool, original)) => {
                let original = self.volume(pool, original)?.disk;
                beside(move || original.copy()).await?
            }
            None => Disk::default(),
        };
        let kept = Kept { def: volume.clone(), disk };
        let def = kept.measured()?;
        self.keep(live, kept);
        Ok(def)
    }

    async fn delete_volume(&self, live: &StoragePool, volume: &Volume, flags: u32) -> Result<()> {
        check_flags(flags, StorageVolDeleteFlags::ZEROED.bits(), "virStorageVolDelete")?;
        if let Some(volumes) = self.all().get_mut(&id(live)) {
            volumes.remove(&volume.name);
        }
        Ok(())
    }

    async fn wipe_volume(
        &self,
        live: &StoragePool,
        volume: &Volume,
        algorithm: StorageVolWipeAlgorithm,
    ) -> Result<()> {
        if algorithm != StorageVolWipeAlgorithm::Zero {
            let text = format!("{algorithm:?} algorithm not supported").to_lowercase();
            return Err(Error::new(ErrorCode::ArgumentUnsupported, text)
                .hint("a volume of the test driver can be wiped with zeroes"));
        }
        let Kept { mut def, disk } = self.volume(live, volume)?;
        let (size, _) = disk.measure()?;
        def.capacity = def.capacity.max(Some(Bytes(size)));
        self.keep(live, Kept { def, disk: Disk::default() });
        Ok(())
    }

    async fn resize_volume(
        &self,
        live: &StoragePool,
        volume: &Volume,
        capacity: u64,
        allocate: bool,
    ) -> Result<()> {
        let mut kept = self.volume(live, volume)?;
        kept.disk.resize(capacity)?;
        let allocation = kept.def.allocation.or(kept.def.capacity);
        kept.def.capacity = Some(Bytes(capacity));
        kept.def.allocation = if allocate { kept.def.capacity } else { allocation };
        self.keep(live, kept);
        Ok(())
    }

    async fn measure(&self, live: &StoragePool, volume: &Volume) -> Result<Volume> {
        self.volume(live, volume)?.measured()
    }

    async fn open_volume(&self, live: &StoragePool, volume: &Volume, write: bool) -> Result<File> {
        let mut kept = self.volume(live, volume)?;
        let size = kept.def.capacity.unwrap_or_default().0;
        let (file, made) = beside(move || {
            let made = kept.disk.open(size)?;
            Ok((kept.disk.file()?, made.then_some(kept)))
        })
        .await?;
        if let Some(kept) = made.filter(|_| write) {
            self.keep(live, kept);
        }
        Ok(file)
    }
}
