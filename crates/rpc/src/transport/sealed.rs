// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TCP that SASL has sealed. One token at most waits to go, and one to become whole.

use std::io::{self, IoSlice};
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::sasl::Seal;

/// One end of TCP of which nobody else can read what is carried.
pub struct SealedStream {
    pub(super) socket: Arc<TcpStream>,
    seal: Seal,
    /// What is no whole token yet.
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of `output` that the kernel has.
    sent: usize,
}

impl SealedStream {
    pub(super) fn new(socket: Arc<TcpStream>, seal: Seal) -> Self {
        Self { socket, seal, input: Vec::new(), output: Vec::new(), sent: 0 }
    }

    /// Reads by way of `buffer` and appends what it means to `input`; 0 at the end.
    pub(super) fn receive(&mut self, buffer: &mut [u8], input: &mut Vec<u8>) -> io::Result<usize> {
        let read = self.socket.try_read(buffer)?;
        let before = input.len();
        self.input.extend_from_slice(&buffer[..read]);
        self.seal.open(&mut self.input, input).map_err(io::Error::other)?;
        match input.len() - before {
            0 if read > 0 => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }

    /// Seals some of `slices`, and hands to the kernel what it takes.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.push()?;
        if self.holds_bytes() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut bytes = Vec::new();
        for slice in slices {
            let room = self.seal.room() - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        self.seal.close(&bytes, &mut self.output).map_err(io::Error::other)?;
        self.push()?;
        Ok(bytes.len())
    }

    /// Whether sealed bytes wait for the kernel.
    pub(super) fn holds_bytes(&self) -> bool {
        !self.output.is_empty()
    }

    /// Hands to the kernel what waits. Whether some of it went.
    pub(super) fn push(&mut self) -> io::Result<bool> {
        let mut progress = false;
        while self.sent < self.output.len() {
            match self.socket.try_write(&self.output[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(progress),
                Err(error) => return Err(error),
            }
            progress = true;
        }
        self.output = Vec::new();
        self.sent = 0;
        Ok(progress)
    }
}
