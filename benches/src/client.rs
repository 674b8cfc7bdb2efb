// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The least client that can call a daemon: so little of its own that what is measured is the daemon.
//!
//! It stands apart from the project's own client on purpose: a flaw there must not flatter the figures.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use virtus_tests::Outcome;

const PROGRAM: u32 = 0x2000_8086;
const HEADER: usize = 28;

const CONNECT_OPEN: u32 = 1;
const DOMAIN_DESTROY: u32 = 12;
const DOMAIN_LOOKUP_BY_NAME: u32 = 23;
const AUTH_LIST: u32 = 66;
const CONNECT_GET_LIB_VERSION: u32 = 157;
const DOMAIN_CREATE_WITH_FLAGS: u32 = 196;
const DOMAIN_DEFINE_XML_FLAGS: u32 = 350;

/// An open connection.
pub(crate) struct Client {
    socket: UnixStream,
    serial: u32,
    buffer: Vec<u8>,
}

/// A domain as the daemon names it, kept as the bytes that it sent.
#[derive(Clone)]
pub(crate) struct Domain(Vec<u8>);

impl Client {
    pub(crate) fn open(socket: &Path) -> Outcome<Self> {
        let socket = UnixStream::connect(socket)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut client = Self { socket, serial: 0, buffer: Vec::new() };
        client.call(AUTH_LIST, &[])?;
        let mut name = 1_u32.to_be_bytes().to_vec();
        put_text(&mut name, "qemu:///system");
        name.extend(0_u32.to_be_bytes());
        client.call(CONNECT_OPEN, &name)?;
        Ok(client)
    }

    /// A call that costs the daemon next to nothing but the round trip.
    pub(crate) fn library_version(&mut self) -> Outcome {
        self.call(CONNECT_GET_LIB_VERSION, &[]).map(drop)
    }

    pub(crate) fn lookup(&mut self, name: &str) -> Outcome<Domain> {
        let mut body = Vec::new();
        put_text(&mut body, name);
        self.call(DOMAIN_LOOKUP_BY_NAME, &body).map(|body| Domain(body.to_vec()))
    }

    pub(crate) fn define(&mut self, xml: &str) -> Outcome<Domain> {
        let mut body = Vec::new();
        put_text(&mut body, xml);
        body.extend(0_u32.to_be_bytes());
        self.call(DOMAIN_DEFINE_XML_FLAGS, &body).map(|body| Domain(body.to_vec()))
    }

    /// Starts it; the domain with its new number.
    pub(crate) fn start(&mut self, domain: &Domain) -> Outcome<Domain> {
        let mut body = domain.0.clone();
        body.extend(0_u32.to_be_bytes());
        self.call(DOMAIN_CREATE_WITH_FLAGS, &body).map(|body| Domain(body.to_vec()))
    }

    pub(crate) fn destroy(&mut self, domain: &Domain) -> Outcome {
        self.call(DOMAIN_DESTROY, &domain.0).map(drop)
    }

    /// One call and its reply; an error reply is an error.
    fn call(&mut self, procedure: u32, body: &[u8]) -> Outcome<&[u8]> {
        let length = u32::try_from(HEADER + body.len())?;
        self.buffer.clear();
        for word in [length, PROGRAM, 1, procedure, 0, self.serial, 0] {
            self.buffer.extend(word.to_be_bytes());
        }
        self.buffer.extend_from_slice(body);
        self.socket.write_all(&self.buffer)?;
        self.serial += 1;
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        self.buffer.resize(u32::from_be_bytes(length) as usize - length.len(), 0);
        self.socket.read_exact(&mut self.buffer)?;
        let header = HEADER - length.len();
        let status = &self.buffer[header - 4..header];
        let reply = &self.buffer[header..];
        if status == [0; 4] {
            return Ok(reply);
        }
        // The texts in an error are the longest readable parts of it.
        let readable = String::from_utf8_lossy(reply).replace(|c: char| c.is_control(), " ");
        Err(format!("procedure {procedure}: {}", readable.trim()).into())
    }
}

/// A string on the wire: length, bytes, zeros up to a multiple of four.
fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend(text.as_bytes());
    body.resize(body.len().next_multiple_of(4), 0);
}
