// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A client without a library: it sends what no library would.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use virtus_api::{CallId, ConnectOpen, Request};
use virtus_wire::codec::{decode_reply, encode_request};
use virtus_wire::frame::{Frame, Header, MessageKind, Status, encode_frame, frame_length};
use virtus_wire::program::address;

use crate::{DEADLINE, Outcome};

/// A connection to a daemon's socket.
pub struct Raw {
    socket: UnixStream,
    serial: u32,
}

/// What a call was answered.
#[derive(Debug)]
pub struct Answer {
    /// Whether the daemon did what it was asked for.
    pub ok: bool,
    /// The reply, or the error.
    pub body: Vec<u8>,
}

impl Raw {
    /// A client that has said nothing yet. Nothing it waits for may take longer than a test may.
    pub fn connect(socket: &Path) -> Outcome<Self> {
        let socket = UnixStream::connect(socket)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { socket, serial: 0 })
    }

    /// A client with an open connection to QEMU.
    pub fn open(socket: &Path) -> Outcome<Self> {
        let mut raw = Self::connect(socket)?;
        raw.greet("qemu:///system")?;
        Ok(raw)
    }

    /// Opens a connection to this URI.
    pub fn greet(&mut self, uri: &str) -> Outcome {
        self.send_body(CallId::AuthList, &[])?;
        self.answer()?;
        self.ask(&ConnectOpen { name: Some(uri.to_owned()), flags: 0 })
    }

    /// The socket, to send what is no message, or to leave it alone.
    pub fn socket(&mut self) -> &mut UnixStream {
        &mut self.socket
    }

    /// Makes a call and waits for its reply; a refusal is an error.
    pub fn ask<R: Request>(&mut self, request: &R) -> Outcome<R::Reply> {
        let answer = self.try_ask(request)?;
        if answer.ok { Ok(decode_reply::<R>(&answer.body)?) } else { Err(answer.error().into()) }
    }

    /// Makes a call and waits for its answer.
    pub fn try_ask<R: Request>(&mut self, request: &R) -> Outcome<Answer> {
        let mut body = Vec::new();
        encode_request(request, &mut body)?;
        self.send_body(R::CALL, &body)?;
        self.answer()
    }

    /// Sends a call with a body that may be anything.
    pub fn send_body(&mut self, call: CallId, body: &[u8]) -> Outcome {
        self.serial += 1;
        let header = Header::call(address(call), self.serial);
        let mut frame = Vec::new();
        encode_frame(&header, 0, &mut frame, |out| {
            out.extend_from_slice(body);
            Ok(())
        })?;
        Ok(self.socket.write_all(&frame)?)
    }

    /// The answer to the last call; events and pings before it are passed over.
    pub fn answer(&mut self) -> Outcome<Answer> {
        loop {
            let frame = self.frame()?;
            let frame = Frame::decode(&frame)?;
            if frame.header.kind == MessageKind::Reply && frame.header.serial == self.serial {
                let ok = frame.header.status == Status::Ok;
                return Ok(Answer { ok, body: frame.body.to_vec() });
            }
        }
    }

    /// The next frame, whatever it is.
    pub fn frame(&mut self) -> Outcome<Vec<u8>> {
        let mut frame = vec![0; 4];
        self.socket.read_exact(&mut frame)?;
        let length = frame_length(&frame)?.ok_or("four bytes are no length")?;
        frame.resize(length, 0);
        self.socket.read_exact(&mut frame[4..])?;
        Ok(frame)
    }
}

impl Answer {
    /// The error's text.
    pub fn error(&self) -> String {
        match virtus_wire::error_body::decode(&self.body) {
            Ok(error) => error.to_string(),
            Err(cause) => format!("an error that cannot be read: {cause}"),
        }
    }
}
