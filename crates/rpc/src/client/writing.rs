// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What is being written to one client.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use super::outbox::{Outbox, Outgoing};
use crate::transport::Transport;

/// Frames written by one system call at most.
const BATCH: usize = 16;

/// Frames on their way from the outbox to the transport.
#[derive(Default)]
pub(super) struct Writing {
    frames: VecDeque<Outgoing>,
    /// Bytes of the first frame that are written already.
    offset: usize,
    /// Descriptors of the first frame that are sent already.
    fds_sent: usize,
}

impl Writing {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Will write `frame` behind what `outbox` holds.
    pub(super) fn append(&mut self, frame: Outgoing, outbox: &Outbox) {
        outbox.take_before(frame, &mut self.frames);
    }

    /// Writes what `outbox` holds until the transport is full; what comes meanwhile has a turn of its own. Whether something
    /// was written.
    pub(super) fn flush(&mut self, to: &mut Transport, outbox: &Outbox) -> io::Result<bool> {
        outbox.take(&mut self.frames);
        let mut progress = false;
        while let Some(first) = self.frames.front() {
            let step = if self.offset < first.len() {
                self.write_bytes(to, outbox)
            } else {
                self.send_fd(to, outbox)
            };
            match step {
                Ok(()) => progress = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(progress)
    }

    fn write_bytes(&mut self, to: &mut Transport, outbox: &Outbox) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); 2 * BATCH];
        let mut used = 0;
        let mut skip = self.offset;
        let most = if to.wants_single_frames() { 1 } else { BATCH };
        for frame in self.frames.iter().take(most) {
            for part in [&frame.bytes[..], &frame.body[..]] {
                let rest = &part[skip.min(part.len())..];
                skip = skip.saturating_sub(part.len());
                if !rest.is_empty() {
                    slices[used] = IoSlice::new(rest);
                    used += 1;
                }
            }
            if !frame.fds.is_empty() {
                break;
            }
        }
        let mut written = to.write(&slices[..used])?;
        while written > 0 {
            let Some(first) = self.frames.front() else { break };
            let rest = first.len() - self.offset;
            if written < rest || !first.fds.is_empty() {
                self.offset += written.min(rest);
                return Ok(());
            }
            written -= rest;
            self.finish_first(outbox);
        }
        Ok(())
    }

    /// One byte carries one descriptor.
    fn send_fd(&mut self, to: &mut Transport, outbox: &Outbox) -> io::Result<()> {
        let Some(first) = self.frames.front() else { return Ok(()) };
        if let Some(fd) = first.fds.get(self.fds_sent) {
            to.send_fd(fd.as_fd())?;
            self.fds_sent += 1;
        }
        if self.fds_sent >= first.fds.len() {
            self.finish_first(outbox);
        }
        Ok(())
    }

    fn finish_first(&mut self, outbox: &Outbox) {
        if let Some(frame) = self.frames.pop_front() {
            outbox.written(&frame);
        }
        self.offset = 0;
        self.fds_sent = 0;
    }
}
