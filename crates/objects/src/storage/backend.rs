// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What makes pools and volumes real: the one thing that a driver of storage writes.

use std::fs::File;

use virtus_api::{Error, ErrorCode, Result, StoragePoolBuildFlags, StorageVolWipeAlgorithm};
use virtus_xml::pool::PoolType;
use virtus_xml::pool::permissions::Permissions;
use virtus_xml::pool::source::PoolSource;
use virtus_xml::{PoolSources, StoragePool, Volume};

use super::contents::Sizes;
use crate::object::Snapshot;
use crate::step::{Step, refuse};

/// What looking through a pool finds.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub sizes: Sizes,
    /// Who may open the pool's folder.
    pub permissions: Permissions,
    pub volumes: Vec<Volume>,
}

/// How a volume is made.
#[derive(Debug, Clone, Copy)]
pub struct Making<'a> {
    /// The volume that it is a copy of, and its pool.
    pub copy_of: Option<(&'a StoragePool, &'a Volume)>,
    /// Set aside what the image needs to describe itself.
    pub metadata: bool,
    /// Share the blocks of the original.
    pub reflink: bool,
}

/// A way to keep volumes. What it is asked of one volume, nobody else is working on.
pub trait StorageBackend: Send + Sync + 'static {
    /// Whether it can run pools of this kind.
    fn supports(&self, kind: PoolType) -> bool;

    /// Refuses what could not run, fills in what a definition leaves open. Changes nothing.
    fn complete(&self, def: &mut StoragePool) -> Result<()>;

    /// The room in a pool that was never looked through.
    fn expected(&self, def: &StoragePool) -> Sizes;

    /// Whether a pool's state allows a step.
    fn check(&self, step: Step, pool: &Snapshot<StoragePool>) -> Result<()> {
        let (name, active) = (&pool.name, pool.is_active());
        match step {
            Step::Start | Step::Build if active => {
                refuse(format!("storage pool '{name}' is already active"))
            }
            Step::Delete | Step::Undefine if active => {
                refuse(format!("storage pool '{name}' is still active"))
            }
            Step::Destroy => pool.active().map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Makes what the pool stands on (a folder, a file system).
    fn build(
        &self,
        def: &StoragePool,
        flags: StoragePoolBuildFlags,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Makes the pool accessible. If it fails nothing is left.
    fn start(&self, def: &StoragePool) -> impl Future<Output = Result<()>> + Send;

    /// Looks through an accessible pool.
    fn refresh(&self, live: &StoragePool) -> impl Future<Output = Result<Found>> + Send;

    /// Makes the pool inaccessible; its volumes stay.
    fn stop(&self, live: &StoragePool) -> impl Future<Output = Result<()>> + Send;

    /// Removes what the pool stands on.
    fn delete(&self, def: &StoragePool, zeroed: bool) -> impl Future<Output = Result<()>> + Send;

    /// The pool is neither defined nor active any more.
    fn forget(&self, def: &StoragePool) {
        let _ = def;
    }

    /// The pools that could be made of what `at` leads to.
    fn find_sources(
        &self,
        kind: PoolType,
        at: Option<PoolSource>,
    ) -> impl Future<Output = Result<PoolSources>> + Send {
        let _ = at;
        async move { Err(no_discovery(kind.as_str())) }
    }

    /// Decides what a new volume is, where it will be and by which key it is known; refuses what cannot be made.
    /// Changes nothing.
    fn place(&self, pool: &Snapshot<StoragePool>, volume: &mut Volume) -> Result<()>;

    /// The answer to a new volume whose name another has.
    fn taken(&self, name: &str) -> Error {
        Error::new(ErrorCode::StorageVolExist, format!("'{name}'"))
    }

    /// Makes a volume that has its place. Answers it as it became. If it fails nothing is left.
    fn create_volume(
        &self,
        live: &StoragePool,
        volume: &Volume,
        how: Making<'_>,
    ) -> impl Future<Output = Result<Volume>> + Send;

    /// Removes a volume.
    fn delete_volume(
        &self,
        live: &StoragePool,
        volume: &Volume,
        flags: u32,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Overwrites what a volume holds.
    fn wipe_volume(
        &self,
        live: &StoragePool,
        volume: &Volume,
        algorithm: StorageVolWipeAlgorithm,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Gives a volume another capacity (bytes), and the room for it if asked to.
    fn resize_volume(
        &self,
        live: &StoragePool,
        volume: &Volume,
        capacity: u64,
        allocate: bool,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The volume as it is now.
    fn measure(
        &self,
        live: &StoragePool,
        volume: &Volume,
    ) -> impl Future<Output = Result<Volume>> + Send;

    /// Opens what a volume holds, to be read or to be written.
    fn open_volume(
        &self,
        live: &StoragePool,
        volume: &Volume,
        write: bool,
    ) -> impl Future<Output = Result<File>> + Send;
}

/// The answer to a search for sources of a kind of pools that has none that can be found.
#[must_use]
pub fn no_discovery(kind: &str) -> Error {
    let text = format!("pool type '{kind}' does not support source discovery");
    Error::new(ErrorCode::NoSupport, text)
}
