// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The same API without a runtime of one's own: [`Wait::wait`] instead of `.await`, and [`Blocking`]
//! around what reads, writes or goes on.

use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::sync::OnceLock;

use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// The runtime of those who have none.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("virtus")
            .enable_all()
            .build();
        match built {
            Ok(runtime) => runtime,
            Err(cause) => panic!("no thread can be started: {cause}"),
        }
    })
}

/// Waits where `.await` cannot.
pub trait Wait: IntoFuture {
    /// Blocks this thread until the answer is there.
    ///
    /// # Panics
    /// On a thread of a tokio runtime, which must not be blocked, and if no thread can be started.
    fn wait(self) -> Self::Output;
}

impl<F: IntoFuture> Wait for F {
    fn wait(self) -> Self::Output {
        // Futures of a runtime may use it as soon as they are made.
        let _inside = runtime().enter();
        runtime().block_on(self.into_future())
    }
}

/// Makes a blocking iterator, reader or writer out of an asynchronous one.
///
/// ```
/// use std::io::Read;
/// use virtus_client::api::DomainEventLifecycle;
/// use virtus_client::blocking::{Blocking, Wait};
/// use virtus_client::{Connection, Notice};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let connection = Connection::open("test:///default").wait()?;
///     let domain = connection.domain_by_name("test").wait()?;
///     let events = Blocking(domain.events::<DomainEventLifecycle>().wait()?);
///     domain.suspend().wait()?;
///     domain.resume().wait()?;
///     for event in events.filter_map(Notice::event).take(2) {
///         println!("{} {} {}", event.dom.name, event.event, event.detail);
///     }
///     let (_kind, picture) = domain.screenshot(0).wait()?;
///     let mut bytes = Vec::new();
///     Blocking(picture).read_to_end(&mut bytes)?;
///     assert_eq!(&bytes[1..4], b"PNG");
///     Ok(())
/// }
/// ```
pub struct Blocking<S>(pub S);

impl<S: Stream + Unpin> Iterator for Blocking<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        self.0.next().wait()
    }
}

impl<S: AsyncRead + Unpin> io::Read for Blocking<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).wait()
    }
}

impl<S: AsyncWrite + Unpin> io::Write for Blocking<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data).wait()
    }

    fn flush(&mut self) -> io::Result<()> {
        Pin::new(&mut self.0).flush().wait()
    }
}
