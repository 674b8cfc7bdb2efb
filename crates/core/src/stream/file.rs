// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Streams from and to whatever reads and writes like a file: volumes, screenshots.
//!
//! ```text
//! download   disk ──read──▶ a batch of packets ──▶ queue ──▶ transport     the next batch is read meanwhile
//! upload     transport ──▶ queue ──▶ a batch of packets ──write──▶ disk    the queue fills meanwhile
//! ```
//! Invariants: the disk is waited for on the blocking pool, and a client for a millisecond at most, so clients that stall
//! hold no thread (one that sends as fast as the disk writes keeps its own); a batch is at most [`BATCH`] packets; buffers are
//! used again as soon as the transport is done with them.

mod reader;
mod writer;

use std::fs::File;
use std::io;

use tokio::task::spawn_blocking;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use self::reader::Reader;
use self::writer::Writer;
use super::{Packet, Stream};

/// Bytes in a packet: what one message of the protocol carries.
const CHUNK: usize = virtus_api::limits::NET_LEGACY_PAYLOAD_MAX;

/// Packets that are read or written by one task on the blocking pool.
const BATCH: usize = 4;

/// Which part of a file a stream is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How many bytes it has; to the file's end if not said.
    pub length: Option<u64>,
}

/// How moving data ended, if nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything was moved; the stream waits to be finished.
    Whole,
    /// The client gave up, or is gone.
    Aborted,
}

impl Extent {
    /// The position behind its last byte; nothing lies behind what a file can hold.
    fn end(self) -> u64 {
        let end = self.length.and_then(|length| self.offset.checked_add(length));
        end.unwrap_or(u64::MAX).min(MAX_OFFSET)
    }

    fn check(self) -> Result<()> {
        if self.offset > MAX_OFFSET {
            return Err(failed("cannot seek", &io::Error::from_raw_os_error(EINVAL)));
        }
        Ok(())
    }
}

/// Positions in files are signed on the host.
const MAX_OFFSET: u64 = i64::MAX.cast_unsigned();

const EINVAL: i32 = rustix::io::Errno::INVAL.raw_os_error();
const ENOSPC: i32 = rustix::io::Errno::NOSPC.raw_os_error();

/// Sends what lies in `extent` of `file`; `sparse` sends runs without data as holes.
///
/// # Errors
/// What the disk says.
pub async fn send(stream: &Stream, file: File, extent: Extent, sparse: bool) -> Result<End> {
    extent.check()?;
    let mut ahead = spawn_blocking(move || Reader::new(file, extent, sparse).batch());
    loop {
        let (reader, packets) = ahead.await.map_err(|_| interrupted())?;
        let packets = packets.map_err(|cause| failed("cannot read from the volume", &cause))?;
        if packets.is_empty() {
            return Ok(End::Whole);
        }
        ahead = spawn_blocking(move || reader.batch());
        for packet in packets {
            if stream.sender.send(packet).await.is_err() {
                return Ok(End::Aborted);
            }
        }
    }
}

/// Writes what the client sends into `extent` of `file`, until it finishes. Whoever has to say how that went keeps a
/// sender of the stream.
///
/// # Errors
/// `VIR_ERR_SYSTEM_ERROR` for more data than `extent` has room for, and what the disk says.
pub async fn receive(stream: Stream, file: File, extent: Extent) -> Result<End> {
    extent.check()?;
    let mut writer = Writer::new(stream, file, extent);
    loop {
        let first = writer.next().await;
        let written = spawn_blocking(move || {
            let end = writer.run(first);
            (writer, end)
        });
        let end;
        (writer, end) = written.await.map_err(|_| interrupted())?;
        if let Some(end) = end.map_err(|cause| failed("cannot write to stream", &cause))? {
            return Ok(end);
        }
    }
}

fn failed(attempt: &str, cause: &io::Error) -> Error {
    let error = Error::system(attempt, cause).in_domain(ErrorDomain::Streams);
    if cause.raw_os_error() == Some(ENOSPC) {
        return error
            .hint("there is no room for more than the announced length, or the disk is full");
    }
    error
}

/// Only a daemon that stops ends a task of the blocking pool.
fn interrupted() -> Error {
    Error::new(ErrorCode::OperationAborted, "the daemon stops").in_domain(ErrorDomain::Streams)
}

#[cfg(test)]
mod tests;
