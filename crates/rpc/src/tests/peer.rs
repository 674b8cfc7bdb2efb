// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A client that says exactly what the test wants.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use virtus_api::{ConnectOpen, Error, Request};
use virtus_wire::codec::{address, decode_reply, encode_request};
use virtus_wire::error_body;
use virtus_wire::frame::{
    Frame, Header, MessageKind, Status, encode_frame, encode_raw, frame_length,
};
use virtus_wire::program::{Address, KEEPALIVE};

use super::driver::{Dummy, Handle};
use crate::{Access, Limits, Server, Serving};

/// A frame that came.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) header: Header,
    pub(super) fds: usize,
    pub(super) body: Vec<u8>,
}

pub(super) struct Peer<S = UnixStream> {
    pub(super) socket: S,
    serial: u32,
}

pub(super) struct House {
    pub(super) server: Arc<Server>,
    pub(super) dummy: Arc<Dummy>,
}

impl House {
    pub(super) fn new(limits: Limits) -> Self {
        let dummy = Arc::new(Dummy::default());
        let server =
            Server::new("test", limits, Serving::Drivers(vec![Arc::new(Handle(dummy.clone()))]));
        Self { server, dummy }
    }

    /// A client that has said nothing yet.
    pub(super) async fn silent(&self, read_only: bool) -> Peer {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.server.adopt(theirs, Access { read_only, ..Access::default() }).await.unwrap();
        Peer::on(ours)
    }

    /// A client with an open connection.
    pub(super) async fn open(&self) -> Peer {
        let mut peer = self.silent(false).await;
        peer.ask(&open("dummy:///x", 0)).await.unwrap();
        peer
    }
}

pub(super) fn open(name: &str, flags: u32) -> ConnectOpen {
    ConnectOpen { name: Some(name.to_owned()), flags }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(super) fn on(socket: S) -> Self {
        Self { socket, serial: 0 }
    }

    pub(super) async fn bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Sends a call; answers its header.
    pub(super) async fn send<R: Request>(&mut self, request: &R) -> Header {
        let header = Header::call(address(R::CALL), self.serial);
        self.serial += 1;
        let mut frame = Vec::new();
        encode_frame(&header, 0, &mut frame, |out| encode_request(request, out)).unwrap();
        self.bytes(&frame).await;
        header
    }

    /// Sends a packet of the stream that the call in `header` opened.
    pub(super) async fn packet(&mut self, header: Header, status: Status, data: &[u8]) {
        let mut frame = Vec::new();
        encode_raw(&header.answer(MessageKind::Stream, status), data, &mut frame).unwrap();
        self.bytes(&frame).await;
    }

    /// The next frame; `None` if the server has closed the connection.
    pub(super) async fn next(&mut self) -> Option<Got> {
        let mut frame = vec![0; 4];
        if self.socket.read_exact(&mut frame).await.is_err() {
            return None;
        }
        let length = frame_length(&frame).unwrap().unwrap();
        frame.resize(length, 0);
        self.socket.read_exact(&mut frame[4..]).await.ok()?;
        let Frame { header, fds, body } = Frame::decode(&frame).unwrap();
        Some(Got { header, fds, body: body.to_vec() })
    }

    pub(super) async fn got(&mut self) -> Got {
        self.next().await.expect("the server should not have closed the connection")
    }

    /// The next frame, as the reply to an `R`.
    pub(super) async fn reply<R: Request>(&mut self) -> Result<R::Reply, Error> {
        self.got().await.into_reply::<R>()
    }

    /// Calls and waits for the reply.
    pub(super) async fn ask<R: Request>(&mut self, request: &R) -> Result<R::Reply, Error> {
        let header = self.send(request).await;
        let got = self.got().await;
        assert_eq!(got.header.serial, header.serial);
        got.into_reply::<R>()
    }

    pub(super) async fn keepalive(&mut self, procedure: i32) {
        let to = Address { program: KEEPALIVE, version: 1, procedure };
        let header = Header { serial: 0, ..Header::event(to) };
        let mut frame = Vec::new();
        encode_raw(&header, &[], &mut frame).unwrap();
        self.bytes(&frame).await;
    }
}

impl Peer {
    /// Sends a call with descriptors behind it.
    pub(super) async fn send_with_fds<R: Request>(&mut self, request: &R, fds: &[BorrowedFd<'_>]) {
        let kind = MessageKind::CallWithFds;
        let header = Header { kind, ..Header::call(address(R::CALL), self.serial) };
        let mut frame = Vec::new();
        encode_frame(&header, fds.len(), &mut frame, |out| encode_request(request, out)).unwrap();
        self.bytes(&frame).await;
        for fd in fds {
            self.fd_byte(&[*fd]).await;
        }
    }

    /// One byte with these descriptors.
    pub(super) async fn fd_byte(&mut self, fds: &[BorrowedFd<'_>]) {
        let socket = &self.socket;
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(fds));
            let byte = [IoSlice::new(&[0])];
            Ok(sendmsg(socket.as_fd(), &byte, &mut control, SendFlags::NOSIGNAL)?)
        };
        socket.async_io(Interest::WRITABLE, send).await.unwrap();
    }

    /// The descriptors behind a reply.
    pub(super) async fn fds(&mut self, count: usize) -> Vec<OwnedFd> {
        let mut fds = Vec::new();
        let socket = &self.socket;
        for _ in 0..count {
            let receive = || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let mut byte = [9];
                let mut buffers = [IoSliceMut::new(&mut byte)];
                let flags = RecvFlags::DONTWAIT;
                let message = recvmsg(socket.as_fd(), &mut buffers, &mut control, flags)?;
                assert_eq!((message.bytes, byte), (1, [0]));
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(more) = message {
                        fds.extend(more);
                    }
                }
                Ok(())
            };
            socket.async_io(Interest::READABLE, receive).await.unwrap();
        }
        fds
    }
}

impl Got {
    pub(super) fn into_reply<R: Request>(self) -> Result<R::Reply, Error> {
        match self.header.status {
            Status::Error => Err(error_body::decode(&self.body).unwrap()),
            _ => Ok(decode_reply::<R>(&self.body).unwrap()),
        }
    }

    pub(super) fn error(&self) -> Error {
        assert_eq!(self.header.status, Status::Error);
        error_body::decode(&self.body).unwrap()
    }
}
