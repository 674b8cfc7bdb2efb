// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The least client that can call a daemon: so little of its own that what is measured is the daemon.
//!
//! It stands apart from the project's own client on purpose: a flaw there must not flatter the figures.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use virtus_tests::Outcome;

const PROGRAM: u32 = 0x2000_8086;
const HEADER: usize = 28;

/// What a frame is, by the word in its header.
const CALL: u32 = 0;
const REPLY: u32 = 1;
const MESSAGE: u32 = 2;

const STREAM: u32 = 3;

/// How a call or a stream stands, by another word in the header.
const OK: u32 = 0;
const ERROR: u32 = 1;
const CONTINUE: u32 = 2;

/// Bytes of a volume in one frame: as many as the stock client library sends.
const CHUNK: usize = 262_120;

const CONNECT_OPEN: u32 = 1;
const DOMAIN_DESTROY: u32 = 12;
const DOMAIN_LOOKUP_BY_NAME: u32 = 23;
const DOMAIN_RESUME: u32 = 28;
const DOMAIN_SUSPEND: u32 = 34;
const AUTH_LIST: u32 = 66;
const STORAGE_POOL_CREATE_XML: u32 = 76;
const STORAGE_VOL_CREATE_XML: u32 = 93;
const CONNECT_GET_LIB_VERSION: u32 = 157;
const DOMAIN_CREATE_WITH_FLAGS: u32 = 196;
const STORAGE_VOL_UPLOAD: u32 = 208;
const STORAGE_VOL_DOWNLOAD: u32 = 209;
const CONNECT_LIST_ALL_DOMAINS: u32 = 273;
const CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: u32 = 316;
const CONNECT_GET_ALL_DOMAIN_STATS: u32 = 344;
const DOMAIN_DEFINE_XML_FLAGS: u32 = 350;

/// An open connection.
pub struct Client {
    socket: BufReader<UnixStream>,
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
    pub fn long(self, long: u64) -> Self {
        let [high, low] = [long >> 32, long & 0xffff_ffff].map(|half| half as u32);
        self.word(high).word(low)
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
        Ok(Self { socket: BufReader::new(socket), serial: 0, buffer: Vec::new() })
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

    pub fn create_pool(&mut self, xml: &str) -> Outcome<Object> {
        self.object(STORAGE_POOL_CREATE_XML, &Body::default().text(xml).word(0))
    }

    pub fn create_volume(&mut self, pool: &Object, xml: &str) -> Outcome<Object> {
        self.object(STORAGE_VOL_CREATE_XML, &Body::default().object(pool).text(xml).word(0))
    }

    /// Sends `length` bytes into a volume.
    pub fn upload(&mut self, volume: &Object, length: usize) -> Outcome {
        let serial = self.open_stream(STORAGE_VOL_UPLOAD, volume, length)?;
        let data = vec![0xa5; CHUNK];
        let mut rest = length;
        while rest > 0 {
            let part = rest.min(CHUNK);
            self.send(STORAGE_VOL_UPLOAD, STREAM, serial, CONTINUE, &data[..part])?;
            rest -= part;
        }
        self.finish(STORAGE_VOL_UPLOAD, serial)
    }

    /// Gets `length` bytes of a volume.
    pub fn download(&mut self, volume: &Object, length: usize) -> Outcome {
        let serial = self.open_stream(STORAGE_VOL_DOWNLOAD, volume, length)?;
        let mut received = 0;
        loop {
            let body = self.packet()?;
            if body == 0 {
                break;
            }
            received += body;
        }
        if received != length {
            return Err(format!("{received} bytes came instead of {length}").into());
        }
        self.finish(STORAGE_VOL_DOWNLOAD, serial)
    }

    /// Opens a stream over the first `length` bytes of a volume; its serial.
    fn open_stream(&mut self, procedure: u32, volume: &Object, length: usize) -> Outcome<u32> {
        let body = Body::default().object(volume).long(0).long(length as u64).word(0);
        self.call(procedure, &body)?;
        Ok(self.serial - 1)
    }

    /// Ends a stream and waits until the daemon has ended it too.
    fn finish(&mut self, procedure: u32, serial: u32) -> Outcome {
        self.send(procedure, STREAM, serial, OK, &[])?;
        self.packet().map(drop)
    }

    /// How many bytes the next packet of a stream has; an error packet is an error.
    fn packet(&mut self) -> Outcome<usize> {
        match self.frame()? {
            STREAM => self.body().map(<[u8]>::len),
            kind => Err(format!("a frame of kind {kind} where a stream was expected").into()),
        }
    }

    fn object(&mut self, procedure: u32, body: &Body) -> Outcome<Object> {
        self.call(procedure, body).map(|body| Object(body.to_vec()))
    }

    /// One call and its reply; an error reply is an error. Events that come before it are passed over.
    pub fn call(&mut self, procedure: u32, body: &Body) -> Outcome<&[u8]> {
        self.send(procedure, CALL, self.serial, OK, &body.0)?;
        self.serial += 1;
        while self.frame()? != REPLY {}
        self.body().map_err(|error| format!("procedure {procedure}: {error}").into())
    }

    fn send(
        &mut self,
        procedure: u32,
        kind: u32,
        serial: u32,
        status: u32,
        body: &[u8],
    ) -> Outcome {
        let length = u32::try_from(HEADER + body.len())?;
        self.buffer.clear();
        for word in [length, PROGRAM, 1, procedure, kind, serial, status] {
            self.buffer.extend(word.to_be_bytes());
        }
        self.buffer.extend_from_slice(body);
        Ok(self.socket.get_mut().write_all(&self.buffer)?)
    }

    /// Reads a frame; answers its kind. Without its length it is in the buffer.
    fn frame(&mut self) -> Outcome<u32> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        self.buffer.resize(u32::from_be_bytes(length) as usize - length.len(), 0);
        self.socket.read_exact(&mut self.buffer)?;
        first(self.buffer.get(12..).ok_or("a frame without a header")?)
    }

    /// The body of the frame that was read, unless it is an error.
    fn body(&self) -> Outcome<&[u8]> {
        let (header, body) = self.buffer.split_at(HEADER - 4);
        if first(&header[header.len() - 4..])? != ERROR {
            return Ok(body);
        }
        // The texts in an error are the longest readable parts of it.
        let readable = String::from_utf8_lossy(body).replace(|c: char| c.is_control(), " ");
        Err(readable.trim().to_owned().into())
    }
}

/// The number that a body begins with.
fn first(body: &[u8]) -> Outcome<u32> {
    let word = body.first_chunk().ok_or("the reply is too short")?;
    Ok(u32::from_be_bytes(*word))
}
