// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a hypervisor must do itself so that its machines have snapshots and checkpoints. The trees, the documents,
//! what calls may ask for and what a return changes are shared.

use std::future::Future;

use virtus_api::{DomainSnapshotCreateFlags, Result};
use virtus_xml::{Checkpoint, Snapshot};

use crate::machine::Machine;
use crate::moments::Moment;

/// A hypervisor whose machines can return to former moments and tell what has changed since.
pub trait Keeper: Machine {
    /// What it understands of the flags of new snapshots.
    const SNAPSHOT_FLAGS: DomainSnapshotCreateFlags;

    /// Keeps what a return needs. The document is complete: it says what the guest does, and what becomes of each of
    /// its disks. `running` is there if the guest runs.
    fn keep_snapshot(
        &self,
        running: Option<&Self::Running>,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Removes what was kept for a return.
    fn drop_snapshot(
        &self,
        running: Option<&Self::Running>,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Begins to note what changes on the guest's disks from now on.
    fn keep_checkpoint(
        &self,
        running: &Self::Running,
        checkpoint: &Checkpoint,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Forgets what has changed since a checkpoint.
    fn drop_checkpoint(
        &self,
        running: Option<&Self::Running>,
        checkpoint: &Checkpoint,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Writes into each disk of `checkpoint` how much of it has changed since, in bytes.
    fn measure(
        &self,
        running: &Self::Running,
        checkpoint: &mut Checkpoint,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A moment that a keeper keeps something for.
pub(crate) trait Kept: Moment {
    /// Removes what was kept.
    fn drop_by<M: Keeper>(
        &self,
        machine: &M,
        running: Option<&M::Running>,
    ) -> impl Future<Output = Result<()>> + Send;
}

impl Kept for Snapshot {
    async fn drop_by<M: Keeper>(&self, machine: &M, running: Option<&M::Running>) -> Result<()> {
        machine.drop_snapshot(running, self).await
    }
}

impl Kept for Checkpoint {
    async fn drop_by<M: Keeper>(&self, machine: &M, running: Option<&M::Running>) -> Result<()> {
        machine.drop_checkpoint(running, self).await
    }
}
