// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The data of a volume, to the daemon and back: how long it takes, and what it costs the daemon.
//!
//! Stock libvirtd keeps the volume in a file of a pool of the kind `dir`, ours in a file of the test driver, on the same
//! disk. The page cache holds the data; nobody waits for the disk.

use std::time::{Duration, Instant};

use virtus_benches::{Client, Object, Round, micros};
use virtus_tests::{Backend, Outcome, Testbed};

use crate::calls::daemon;

/// Millions of bytes of the volume.
const MEGABYTES: u32 = 512;
const SIZE: usize = MEGABYTES as usize * 1_000_000;

/// A daemon with a volume in a pool.
pub(crate) struct Volumes {
    // Before the testbed: the connection ends first.
    client: Client,
    volume: Object,
    /// Holds the daemon; it ends with this.
    bed: Testbed,
}

impl Volumes {
    pub(crate) fn start(backend: Backend) -> Outcome<Self> {
        let uri = if backend == Backend::Ours { "test:///default" } else { "storage:///system" };
        let bed = daemon(backend)?;
        let folder = bed.path("pool");
        std::fs::create_dir(&folder)?;
        let mut client = Client::open(&bed.socket(), uri)?;
        let folder = folder.display();
        let pool = format!(
            "<pool type='dir'><name>bench</name><target><path>{folder}</path></target></pool>"
        );
        let pool = client.create_pool(&pool)?;
        let volume = format!(
            "<volume><name>data</name><capacity>{SIZE}</capacity><allocation>0</allocation></volume>"
        );
        let volume = client.create_volume(&pool, &volume)?;
        Ok(Self { client, volume, bed })
    }

    /// The volume once up and once down; times are those of a million bytes.
    pub(crate) fn round(&mut self) -> Outcome<Round> {
        let mut round = Round::new();
        let (wall, cpu) = self.timed(|client, volume| client.upload(volume, SIZE))?;
        round.insert("volume upload", wall);
        round.insert("daemon CPU per MB, upload", cpu);
        let (wall, cpu) = self.timed(|client, volume| client.download(volume, SIZE))?;
        round.insert("volume download", wall);
        round.insert("daemon CPU per MB, download", cpu);
        Ok(round)
    }

    fn timed(&mut self, work: impl FnOnce(&mut Client, &Object) -> Outcome) -> Outcome<(f64, f64)> {
        let (before, begin) = (self.bed.daemon_cpu_time_ever()?, Instant::now());
        work(&mut self.client, &self.volume)?;
        let wall = begin.elapsed();
        let cpu = self.bed.daemon_cpu_time_ever()?.saturating_sub(before);
        let per_megabyte = |time: Duration| micros(time) / f64::from(MEGABYTES);
        Ok((per_megabyte(wall), per_megabyte(cpu)))
    }
}
