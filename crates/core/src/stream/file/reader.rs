// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Reads a file as packets. Blocks; runs on the blocking pool.

use std::fs::File;
use std::io;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::super::Buffers;
use super::{BATCH, CHUNK, Extent, Packet};

/// A file that is being read.
pub(super) struct Reader {
    file: File,
    position: u64,
    end: u64,
    /// Whether the file tells where it has no data; not every file system and no device does.
    sparse: bool,
    /// Up to here there is data for sure.
    data_until: u64,
    buffers: Buffers,
}

impl Reader {
    pub(super) fn new(file: File, extent: Extent, sparse: bool) -> Self {
        let (position, end) = (extent.offset, extent.end());
        Self { file, position, end, sparse, data_until: 0, buffers: Buffers::default() }
    }

    /// The next packets, none at the end; and the reader for those that follow.
    pub(super) fn batch(mut self) -> (Self, io::Result<Vec<Packet>>) {
        let mut packets = Vec::with_capacity(BATCH);
        while packets.len() < BATCH {
            match self.packet() {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(cause) => return (self, Err(cause)),
            }
        }
        (self, Ok(packets))
    }

    fn packet(&mut self) -> io::Result<Option<Packet>> {
        if self.position >= self.end {
            return Ok(None);
        }
        if self.sparse && self.position >= self.data_until {
            let data = self.find_data()?.min(self.end);
            if data > self.position {
                let hole = Packet::Hole(data - self.position);
                self.position = data;
                return Ok(Some(hole));
            }
        }
        self.data()
    }

    /// Where the next data begins, or the file ends; in `data_until` how far they go.
    fn find_data(&mut self) -> io::Result<u64> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(self.position)) {
            Ok(data) => {
                self.data_until = rustix::fs::seek(&self.file, SeekFrom::Hole(data))?;
                Ok(data)
            }
            // Nothing but a hole up to the end; a file that ends before it has not even that.
            Err(Errno::NXIO) => {
                self.data_until = self.position;
                Ok(rustix::fs::seek(&self.file, SeekFrom::End(0))?)
            }
            Err(Errno::INVAL) => {
                self.sparse = false;
                Ok(self.position)
            }
            Err(cause) => Err(cause.into()),
        }
    }

    fn data(&mut self) -> io::Result<Option<Packet>> {
        let until = if self.sparse { self.end.min(self.data_until) } else { self.end };
        let wanted = usize::try_from(until - self.position).map_or(CHUNK, |rest| rest.min(CHUNK));
        let mut buffer = self.buffers.take().unwrap_or_default();
        buffer.resize(wanted, 0);
        let mut filled = 0;
        while filled < wanted {
            match rustix::io::pread(&self.file, &mut buffer[filled..], self.position) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.position += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(cause) => return Err(cause.into()),
            }
        }
        if filled == 0 {
            return Ok(None);
        }
        buffer.truncate(filled);
        let data = buffer.freeze();
        self.buffers.keep(&data);
        Ok(Some(Packet::Data(data)))
    }
}
