// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Data to and from a driver: uploads, downloads, consoles, screenshots.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use virtus_api::{Error, ErrorCode, ErrorDomain, Result, StreamKind};
use virtus_core::BoxFuture;
use virtus_core::stream::{self, Gone, Packet};

use crate::Connection;

/// The most that one packet carries.
const CHUNK: usize = virtus_api::limits::NET_LEGACY_PAYLOAD_MAX;

/// Zeroes, for readers of holes.
const ZEROES: [u8; 4096] = [0; 4096];

/// A piece of what a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes.
    Data(Bytes),
    /// So many zeroes that were not sent. Only on streams that were opened as sparse.
    Hole(u64),
}

/// An open stream of data. Whoever is slow makes the other side wait: read it, for while nobody does
/// the connection may not be read either.
///
/// It reads and writes packet by packet ([`Stream::next`], [`Stream::send`], [`Stream::hole`]) or as
/// [`AsyncRead`] and [`AsyncWrite`], for which holes are zeroes and shutting down is [`Stream::finish`].
/// Dropping it before it is finished aborts it.
///
/// ```
/// # use virtus_client::{Connection, Result};
/// # use virtus_client::blocking::Wait;
/// use virtus_client::Chunk;
/// use virtus_client::api::{StorageVolDownloadFlags, StorageVolUploadFlags};
///
/// # fn main() -> Result<()> {
/// # async {
/// let connection = Connection::open("test:///default").await?;
/// let pool = connection.storage_pool_by_name("default-pool").await?;
/// let xml = "<volume><name>mostly-empty</name><capacity>1048576</capacity></volume>";
/// let volume = pool.volume_create_xml(xml).await?;
/// let mut up = volume.upload(0, 0).flags(StorageVolUploadFlags::SPARSE_STREAM).await?;
/// up.send("a few words").await?;
/// up.hole(1_000_000).await?;
/// up.finish().await?;
///
/// let mut down = volume.download(0, 0).flags(StorageVolDownloadFlags::SPARSE_STREAM).await?;
/// let (mut bytes, mut zeroes) = (0, 0);
/// while let Some(chunk) = down.next().await? {
///     match chunk {
///         Chunk::Data(data) => bytes += data.len() as u64,
///         Chunk::Hole(length) => zeroes += length,
///     }
/// }
/// down.finish().await?;
/// assert_eq!(bytes + zeroes, 1_048_576);
/// assert!(zeroes > bytes);
/// # volume.delete().await
/// # }.wait()
/// # }
/// ```
pub struct Stream {
    inner: stream::Stream,
    kind: StreamKind,
    sparse: bool,
    /// What was received and not yet read as bytes.
    rest: Option<Chunk>,
    /// The driver has said that nothing follows.
    drained: bool,
    /// We have said so.
    finished: bool,
    sending: Option<BoxFuture<std::result::Result<(), Gone>>>,
    /// The stream goes with the connection.
    _connection: Connection,
}

impl Stream {
    pub(crate) fn new(
        connection: &Connection,
        inner: stream::Stream,
        kind: StreamKind,
        sparse: bool,
    ) -> Self {
        Self {
            inner,
            kind,
            sparse,
            rest: None,
            drained: false,
            finished: false,
            sending: None,
            _connection: connection.clone(),
        }
    }

    /// A stream whose other end is gone.
    pub(crate) fn broken(connection: &Connection) -> Self {
        Self::new(connection, stream::pair().1, StreamKind::Both, false)
    }

    /// The next piece; `None` once the driver has sent all.
    ///
    /// # Errors
    /// Why the stream failed.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Chunk>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Ok(Some(rest)));
        }
        if self.drained {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(match ready!(self.inner.receiver.poll_recv(context)) {
            Packet::Data(data) => Ok(Some(Chunk::Data(data))),
            Packet::Hole(length) => Ok(Some(Chunk::Hole(length))),
            Packet::Finish => {
                self.drained = true;
                Ok(None)
            }
            Packet::Abort(reason) => {
                self.drained = true;
                match reason {
                    // A driver of this process that was told of the end may just go.
                    None if self.finished && self.kind != StreamKind::In => Ok(None),
                    reason => Err(reason.unwrap_or_else(broken)),
                }
            }
        })
    }

    /// Sends bytes; waits while the driver is behind.
    ///
    /// # Errors
    /// Why the stream failed.
    pub async fn send(&mut self, data: impl Into<Bytes>) -> Result<()> {
        let mut data = data.into();
        while !data.is_empty() {
            let part = data.split_to(data.len().min(CHUNK));
            self.push(Packet::Data(part)).await?;
        }
        Ok(())
    }

    /// Sends so many zeroes without sending them.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if the stream was not opened as sparse; why the stream failed.
    pub async fn hole(&mut self, length: u64) -> Result<()> {
        if !self.sparse {
            let error =
                Error::new(ErrorCode::OperationInvalid, "this stream was not opened as sparse");
            return Err(error.in_domain(ErrorDomain::Streams).hint("open it with the sparse flag"));
        }
        self.push(Packet::Hole(length)).await
    }

    async fn push(&mut self, packet: Packet) -> Result<()> {
        if self.finished {
            return Err(ended());
        }
        let mut sent = std::future::poll_fn(|context| self.poll_sending(context)).await;
        if sent.is_ok() {
            sent = self.inner.sender.send(packet).await;
        }
        match sent {
            Ok(()) => Ok(()),
            Err(Gone) => Err(self.why_gone().await),
        }
    }

    /// A driver that lets go says why on the other way.
    async fn why_gone(&mut self) -> Error {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return ended(),
                Err(error) => return error,
            }
        }
    }

    /// Ends the stream well and waits until the driver agrees: then all that was sent is where it
    /// belongs. What has come and was not read is dropped.
    ///
    /// # Errors
    /// Why the stream failed.
    pub async fn finish(mut self) -> Result<()> {
        std::future::poll_fn(|context| self.poll_finish(context)).await
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.rest = None;
        loop {
            // A driver that is gone says why below. One that waits for us to read is read.
            let sent = self.poll_sending(context).is_ready();
            if sent && !self.finished {
                self.finished = true;
                self.begin_send(Packet::Finish);
                continue;
            }
            match ready!(self.poll_chunk(context))? {
                Some(_) => {}
                None if sent => return Poll::Ready(Ok(())),
                None => return Poll::Pending,
            }
        }
    }

    /// Ends the stream badly, as dropping it does.
    pub fn abort(self) {}

    /// Resolves when nothing is on its way to the driver.
    fn poll_sending(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<(), Gone>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Ok(())) };
        let sent = ready!(sending.as_mut().poll(context));
        self.sending = None;
        Poll::Ready(sent)
    }

    /// Takes a packet that goes when [`Stream::poll_sending`] is asked, once nothing else is on its way.
    fn begin_send(&mut self, packet: Packet) {
        let sender = self.inner.sender.clone();
        self.sending = Some(Box::pin(async move { sender.send(packet).await }));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let chunk = ready!(self.poll_chunk(context)).map_err(io::Error::other)?;
        let room = buffer.remaining();
        self.rest = match chunk {
            None => None,
            Some(Chunk::Data(mut data)) => {
                buffer.put_slice(&data.split_to(room.min(data.len())));
                (!data.is_empty()).then_some(Chunk::Data(data))
            }
            Some(Chunk::Hole(length)) => {
                let part =
                    usize::try_from(length).unwrap_or(usize::MAX).min(room).min(ZEROES.len());
                buffer.put_slice(&ZEROES[..part]);
                let left = length - part as u64;
                (left > 0).then_some(Chunk::Hole(left))
            }
        };
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.finished {
            return Poll::Ready(Err(io::Error::other(ended())));
        }
        let part = &data[..data.len().min(CHUNK)];
        if part.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if ready!(self.poll_sending(context)).is_ok() {
            self.begin_send(Packet::Data(Bytes::copy_from_slice(part)));
            // It is taken; whoever comes next waits for it.
            if !matches!(self.poll_sending(context), Poll::Ready(Err(Gone))) {
                return Poll::Ready(Ok(part.len()));
            }
        }
        loop {
            let why = match ready!(self.poll_chunk(context)) {
                Ok(Some(_)) => continue,
                Ok(None) => ended(),
                Err(error) => error,
            };
            return Poll::Ready(Err(io::Error::other(why)));
        }
    }

    /// Resolves when everything is on its way.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A driver that is gone is found by the next write.
        let _gone = ready!(self.poll_sending(context));
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(context).map_err(io::Error::other)
    }
}

fn broken() -> Error {
    Error::new(ErrorCode::OperationFailed, "the stream ended before it was finished")
        .in_domain(ErrorDomain::Streams)
}

fn ended() -> Error {
    Error::new(ErrorCode::OperationInvalid, "the stream has ended").in_domain(ErrorDomain::Streams)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn the_end_waits_for_room_like_everything_else() {
        let connection = Connection::open("test:///default").await.unwrap();
        let (mut driver, ours) = stream::pair();
        let mut stream = Stream::new(&connection, ours, StreamKind::In, false);
        let written = async {
            for _ in 0..20 {
                stream.write_all(&[1; 10]).await.unwrap();
            }
            stream.shutdown().await.unwrap();
        };
        let read = async {
            let mut packets = 0;
            while let Packet::Data(_) = driver.receiver.recv().await {
                packets += 1;
                tokio::task::yield_now().await;
            }
            driver.finish().await;
            packets
        };
        let both = async { tokio::join!(written, read) };
        let ((), packets) =
            tokio::time::timeout(std::time::Duration::from_secs(60), both).await.unwrap();
        assert_eq!(packets, 20);
    }
}
