// SPDX-License-Identifier: Apache-2.0 OR MIT
//! TLS over TCP. The session has no buffers of its own that a client could fill: what comes is
//! decrypted at once, and [`HELD`] bounds what waits to go.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConnection};
use tokio::net::TcpStream;

use crate::tls::Tls;

/// Bytes that may be encrypted and not yet with the kernel.
const HELD: usize = 256 * 1024;

/// What a daemon sends to a client whose certificate it accepts.
const WELCOME: &[u8] = &[1];

/// One end of TLS over TCP, ours as a server or as a client.
pub struct TlsStream {
    pub(super) socket: TcpStream,
    session: Connection,
}

/// A client that was let in.
pub(crate) struct Admitted {
    pub(crate) stream: TlsStream,
    /// The name in its verified certificate.
    pub(crate) name: Option<String>,
    /// What it has said already.
    pub(crate) input: Vec<u8>,
}

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[from] io::Error),
    #[error("{0}")]
    Stranger(String),
}

/// Shakes hands with a client, and tells it that it is welcome. Waits for the client.
pub(crate) async fn accept(socket: TcpStream, tls: &Tls) -> Result<Admitted, Refused> {
    let mut session = ServerConnection::new(tls.config.clone()).map_err(io::Error::other)?;
    session.set_buffer_limit(Some(HELD));
    let mut stream = TlsStream { socket, session: session.into() };
    let mut input = Vec::new();
    while stream.session.is_handshaking() {
        stream.exchange(&mut input).await?;
    }
    let shown = stream.session.peer_certificates().and_then(<[_]>::first);
    let name = tls.admit(shown).map_err(Refused::Stranger)?;
    stream.session.writer().write_all(WELCOME)?;
    while stream.holds_bytes() {
        stream.exchange(&mut input).await?;
    }
    Ok(Admitted { stream, name, input })
}

/// Shakes hands with a daemon, and waits until it says that we are welcome.
pub(crate) async fn welcomed(
    socket: TcpStream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> io::Result<TlsStream> {
    let mut session = ClientConnection::new(config, name).map_err(io::Error::other)?;
    session.set_buffer_limit(Some(HELD));
    let mut stream = TlsStream { socket, session: session.into() };
    let mut input = Vec::new();
    // A daemon that does not let us in says so only after the handshake.
    while stream.session.is_handshaking() || stream.holds_bytes() || input.is_empty() {
        stream.exchange(&mut input).await?;
    }
    if input == WELCOME { Ok(stream) } else { Err(io::Error::other("it does not bid us welcome")) }
}

impl TlsStream {
    /// One step of the handshake, as soon as the socket allows it.
    async fn exchange(&mut self, input: &mut Vec<u8>) -> io::Result<()> {
        if self.holds_bytes() {
            self.socket.writable().await?;
            self.push()?;
            return Ok(());
        }
        self.socket.readable().await?;
        let mut buffer = vec![0; 4096];
        match self.receive(&mut buffer, input) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads by way of `buffer` and appends what it means to `input`; 0 at the end.
    pub(super) fn receive(&mut self, buffer: &mut [u8], input: &mut Vec<u8>) -> io::Result<usize> {
        let read = self.socket.try_read(buffer)?;
        if read == 0 {
            return Ok(0);
        }
        let mut encrypted = &buffer[..read];
        let before = input.len();
        let mut closed = false;
        while !encrypted.is_empty() && !closed {
            self.session.read_tls(&mut encrypted)?;
            match self.session.process_new_packets() {
                Ok(state) => closed = state.peer_has_closed(),
                Err(error) => {
                    // The alert tells the client what is wrong, if it goes at once.
                    let _gone = self.push();
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
            match self.session.reader().read_to_end(input) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        match input.len() - before {
            0 if !closed => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }

    /// Encrypts some of `slices`, and hands to the kernel what it takes.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.push()?;
        let taken = self.session.writer().write_vectored(slices)?;
        self.push()?;
        if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    /// Whether encrypted bytes wait for the kernel.
    pub(super) fn holds_bytes(&self) -> bool {
        self.session.wants_write()
    }

    /// Hands to the kernel what waits. Whether some of it went.
    pub(super) fn push(&mut self) -> io::Result<bool> {
        let mut progress = false;
        while self.session.wants_write() {
            match self.session.write_tls(&mut AtOnce(&self.socket)) {
                Ok(_) => progress = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(progress)
    }

    /// Tells the client that this end is no accident.
    pub(super) fn farewell(&mut self) {
        self.session.send_close_notify();
        let _gone = self.push();
    }
}

/// Writes without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
