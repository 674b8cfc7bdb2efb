// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Writes packets into a file. Blocks; runs on the blocking pool.
//!
//! A hole reads as zeroes afterwards, whatever was there before.

use std::fs::File;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

use super::{BATCH, End, Extent, Packet, Stream};

/// Zeroes written at once where a file system cannot make holes.
const ZEROES: usize = 1 << 20;

/// How long a thread stays with an upload of which nothing more has come yet. To leave it and be called back wakes two
/// threads, which takes longer than a client of this host needs for the next packet.
const LINGER: Duration = Duration::from_millis(1);

/// A file that is being written, and what comes for it.
pub(super) struct Writer {
    stream: Stream,
    file: File,
    position: u64,
    end: u64,
}

impl Writer {
    pub(super) fn new(stream: Stream, file: File, extent: Extent) -> Self {
        Self { stream, file, position: extent.offset, end: extent.end() }
    }

    /// The next packet, as soon as there is one.
    pub(super) async fn next(&mut self) -> Packet {
        self.stream.receiver.recv().await
    }

    /// Writes `first` and what comes behind it, until nothing does for a moment. How the stream ended, if it did.
    pub(super) fn run(&mut self, first: Packet) -> io::Result<Option<End>> {
        let mut next = Some(first);
        while let Some(first) = next {
            let (mut rest, end) = self.gather(first);
            if end == Some(End::Aborted) {
                return Ok(end);
            }
            // A hole may take many steps to fill; nobody waits for them once the client is gone.
            while !rest.is_empty() {
                if self.stream.sender.is_closed() {
                    return Ok(Some(End::Aborted));
                }
                self.step(&mut rest)?;
            }
            if end.is_some() {
                return Ok(end);
            }
            next = self.stream.receiver.recv_blocking(LINGER);
        }
        Ok(None)
    }

    /// `next` and the packets that wait behind it, at most a batch; and how the stream ended if it did.
    fn gather(&mut self, mut next: Packet) -> (Vec<Packet>, Option<End>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            match next {
                Packet::Finish => return (batch, Some(End::Whole)),
                Packet::Abort(_) => return (batch, Some(End::Aborted)),
                packet => batch.push(packet),
            }
            match (batch.len() < BATCH).then(|| self.stream.receiver.try_recv()).flatten() {
                Some(packet) => next = packet,
                None => return (batch, None),
            }
        }
    }

    /// Writes the first packets, or a part of them, and takes off what is written.
    fn step(&mut self, packets: &mut Vec<Packet>) -> io::Result<()> {
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
