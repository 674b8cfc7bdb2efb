// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writes packets into a file. Blocks; runs on the blocking pool.
//!
//! A hole reads as zeroes afterwards, whatever was there before.

use std::fs::File;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

use super::{BATCH, Extent, Packet};

/// Zeroes written at once where a file system cannot make holes.
const ZEROES: usize = 1 << 20;

/// A file that is being written.
pub(super) struct Writer {
    file: File,
    position: u64,
    end: u64,
}

impl Writer {
    pub(super) fn new(file: File, extent: Extent) -> Self {
        Self { file, position: extent.offset, end: extent.end() }
    }

    /// Writes the first packets, or a part of them, and takes off what is written.
    pub(super) fn step(&mut self, packets: &mut Vec<Packet>) -> io::Result<()> {
        match packets.first_mut() {
            Some(Packet::Hole(length)) => {
                self.room_for(*length)?;
                let skipped = self.hole(*length)?;
                self.position += skipped;
                *length -= skipped;
            }
            _ => self.data(packets)?,
        }
        let done = |packet: &Packet| match packet {
            Packet::Data(data) => data.is_empty(),
            Packet::Hole(length) => *length == 0,
            Packet::Finish | Packet::Abort(_) => true,
        };
        packets.drain(..packets.iter().take_while(|packet| done(packet)).count());
        Ok(())
    }

    /// Refuses what goes beyond the announced end.
    fn room_for(&self, more: u64) -> io::Result<()> {
        if more > self.end - self.position { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    /// Writes the run of data that `packets` begin with.
    fn data(&mut self, packets: &mut [Packet]) -> io::Result<()> {
        let mut run: Vec<&mut Bytes> = Vec::with_capacity(BATCH);
        for packet in packets {
            let Packet::Data(data) = packet else { break };
            run.push(data);
        }
        let mut rest: usize = run.iter().map(|data| data.len()).sum();
        self.room_for(rest as u64)?;
        while rest > 0 {
            let slices: Vec<_> = run.iter().map(|data| IoSlice::new(data)).collect();
            let mut written = match rustix::io::pwritev(&self.file, &slices, self.position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(Errno::INTR) => continue,
                Err(cause) => return Err(cause.into()),
            };
            self.position += written as u64;
            rest -= written;
            for data in &mut run {
                let part = written.min(data.len());
                data.advance(part);
                written -= part;
            }
        }
        Ok(())
    }

    /// Skips bytes that read as zeroes from now on; how many is told.
    fn hole(&mut self, length: u64) -> io::Result<u64> {
        let present = rustix::fs::seek(&self.file, SeekFrom::End(0))?;
        let inside = length.min(present.saturating_sub(self.position));
        if inside > 0 {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            match rustix::fs::fallocate(&self.file, flags, self.position, inside) {
                Ok(()) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return self.zeroes(inside),
                Err(cause) => return Err(cause.into()),
            }
        }
        if length > inside {
            rustix::fs::ftruncate(&self.file, self.position + length)?;
        }
        Ok(length)
    }

    /// Writes some zeroes.
    fn zeroes(&self, length: u64) -> io::Result<u64> {
        let size = usize::try_from(length).map_or(ZEROES, |length| length.min(ZEROES));
        let written = rustix::io::pwrite(&self.file, &vec![0; size], self.position)?;
        Ok(written as u64)
    }
}
