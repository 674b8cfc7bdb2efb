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

/// What a frame is, by the word in its header.
const REPLY: u32 = 1;
const MESSAGE: u32 = 2;

const CONNECT_OPEN: u32 = 1;
const DOMAIN_DESTROY: u32 = 12;
const DOMAIN_LOOKUP_BY_NAME: u32 = 23;
const DOMAIN_RESUME: u32 = 28;
const DOMAIN_SUSPEND: u32 = 34;
const AUTH_LIST: u32 = 66;
const CONNECT_GET_LIB_VERSION: u32 = 157;
const DOMAIN_CREATE_WITH_FLAGS: u32 = 196;
const CONNECT_LIST_ALL_DOMAINS: u32 = 273;
const CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: u32 = 316;
const CONNECT_GET_ALL_DOMAIN_STATS: u32 = 344;
const DOMAIN_DEFINE_XML_FLAGS: u32 = 350;

/// An open connection.
pub struct Client {
    socket: UnixStream,
    serial: u32,
    buffer: Vec<u8>,
}

/// An object as the daemon names it, kept as the bytes that it sent.
#[derive(Clone)]
pub struct Object(Vec<u8>);

/// The arguments of a call.
#[derive(Default)]
pub struct Body(Vec<u8>);

impl Body {
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self = self.word(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    #[must_use]
    pub fn word(mut self, word: u32) -> Self {
        self.0.extend(word.to_be_bytes());
        self
    }

    #[must_use]
    pub fn object(mut self, object: &Object) -> Self {
        self.0.extend(&object.0);
        self
    }
}

impl Client {
    pub fn open(socket: &Path, uri: &str) -> Outcome<Self> {
        let mut client = Self::silent(socket)?;
        client.call(AUTH_LIST, &Body::default())?;
        client.call(CONNECT_OPEN, &Body::default().word(1).text(uri).word(0))?;
        Ok(client)
    }

    /// A client that is connected and has not said a word.
    pub fn silent(socket: &Path) -> Outcome<Self> {
        let socket = UnixStream::connect(socket)?;
        socket.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self { socket, serial: 0, buffer: Vec::new() })
    }

    /// A call that costs the daemon next to nothing but the round trip.
    pub fn library_version(&mut self) -> Outcome {
        self.call(CONNECT_GET_LIB_VERSION, &Body::default()).map(drop)
    }

    pub fn lookup(&mut self, name: &str) -> Outcome<Object> {
        self.object(DOMAIN_LOOKUP_BY_NAME, &Body::default().text(name))
    }

    pub fn define(&mut self, xml: &str) -> Outcome<Object> {
        self.object(DOMAIN_DEFINE_XML_FLAGS, &Body::default().text(xml).word(0))
    }

    /// Starts it; the domain with its new number.
    pub fn start(&mut self, domain: &Object) -> Outcome<Object> {
        self.object(DOMAIN_CREATE_WITH_FLAGS, &Body::default().object(domain).word(0))
    }

    pub fn destroy(&mut self, domain: &Object) -> Outcome {
        self.call(DOMAIN_DESTROY, &Body::default().object(domain)).map(drop)
    }

    pub fn suspend(&mut self, domain: &Object) -> Outcome {
        self.call(DOMAIN_SUSPEND, &Body::default().object(domain)).map(drop)
    }

    pub fn resume(&mut self, domain: &Object) -> Outcome {
        self.call(DOMAIN_RESUME, &Body::default().object(domain)).map(drop)
    }

    /// How many domains there are, with their names and UUIDs.
    pub fn list(&mut self) -> Outcome<u32> {
        first(self.call(CONNECT_LIST_ALL_DOMAINS, &Body::default().word(1).word(0))?)
    }

    /// Of how many domains statistics came.
    pub fn stats(&mut self) -> Outcome<u32> {
        first(self.call(CONNECT_GET_ALL_DOMAIN_STATS, &Body::default().word(0).word(0).word(0))?)
    }

    /// Registers for the lives of all domains.
    pub fn hear_lives(&mut self) -> Outcome {
        let body = Body::default().word(0).word(0);
        self.call(CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, &body).map(drop)
    }

    /// Waits for an event.
    pub fn event(&mut self) -> Outcome {
        match self.frame()? {
            MESSAGE => Ok(()),
            kind => Err(format!("a frame of kind {kind} where an event was expected").into()),
        }
    }

    fn object(&mut self, procedure: u32, body: &Body) -> Outcome<Object> {
        self.call(procedure, body).map(|body| Object(body.to_vec()))
    }

    /// One call and its reply; an error reply is an error. Events that come before it are passed over.
    pub fn call(&mut self, procedure: u32, body: &Body) -> Outcome<&[u8]> {
        let length = u32::try_from(HEADER + body.0.len())?;
        self.buffer.clear();
        for word in [length, PROGRAM, 1, procedure, 0, self.serial, 0] {
            self.buffer.extend(word.to_be_bytes());
        }
        self.buffer.extend_from_slice(&body.0);
        self.socket.write_all(&self.buffer)?;
        self.serial += 1;
        while self.frame()? != REPLY {}
        let header = HEADER - 4;
        let status = &self.buffer[header - 4..header];
        let reply = &self.buffer[header..];
        if status == [0; 4] {
            return Ok(reply);
        }
        // The texts in an error are the longest readable parts of it.
        let readable = String::from_utf8_lossy(reply).replace(|c: char| c.is_control(), " ");
        Err(format!("procedure {procedure}: {}", readable.trim()).into())
    }

    /// Reads a frame; answers its kind. Without its length it is in the buffer.
    fn frame(&mut self) -> Outcome<u32> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        self.buffer.resize(u32::from_be_bytes(length) as usize - length.len(), 0);
        self.socket.read_exact(&mut self.buffer)?;
        first(self.buffer.get(12..).ok_or("a frame without a header")?)
    }
}

/// The number that a body begins with.
fn first(body: &[u8]) -> Outcome<u32> {
    let word = body.first_chunk().ok_or("the reply is too short")?;
    Ok(u32::from_be_bytes(*word))
}
