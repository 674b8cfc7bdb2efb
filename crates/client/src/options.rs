// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a connection is opened and how it behaves.

use std::sync::Arc;
use std::time::Duration;

use virtus_api::Result;
use virtus_core::{Credentials, DriverEntry};
use virtus_rpc::KeepalivePolicy;

use crate::Connection;
use crate::credentials::Callback;
use crate::deadline;
use crate::link::Link;

/// The drivers that serve in this process unless others are named.
const LINKED: &[DriverEntry] = &[
    #[cfg(feature = "test-driver")]
    virtus_test_driver::DRIVER,
];

/// Events that wait for a slow reader before it misses some.
const CAPACITY: usize = 1024;

/// How a connection is opened and how it behaves. Made by [`Connection::options`].
///
/// ```
/// # use virtus_client::{Connection, Result};
/// # use virtus_client::blocking::Wait;
/// use std::time::Duration;
/// use virtus_client::{ErrorCode, Reconnect};
///
/// # fn main() -> Result<()> {
/// # async {
/// let options = Connection::options()
///     .read_only(true)
///     .deadline(Duration::from_secs(5))
///     .reconnect(Reconnect::default());
/// let connection = options.open("test:///default").await?;
/// let domain = connection.domain_by_name("test").await?;
/// let refused = domain.destroy().await.unwrap_err();
/// assert_eq!(refused.code(), ErrorCode::OperationDenied);
/// # Ok(())
/// # }.wait()
/// # }
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) uri: Option<String>,
    pub(crate) read_only: bool,
    pub(crate) deadline: Option<Duration>,
    pub(crate) keepalive: Option<KeepalivePolicy>,
    pub(crate) reconnect: Option<Reconnect>,
    pub(crate) capacity: usize,
    pub(crate) drivers: Vec<DriverEntry>,
    pub(crate) credentials: Option<Callback>,
    pub(crate) polkit_agent: bool,
}

/// How a lost connection is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// The pause before the second attempt; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// Attempts after which the connection is given up.
    pub attempts: u32,
}

impl Default for Reconnect {
    /// At once, then after 0.1 s, 0.2 s, … up to 10 s; about two and a half hours in all.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            attempts: 900,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            uri: None,
            read_only: false,
            deadline: None,
            keepalive: Some(KeepalivePolicy { interval: Duration::from_secs(5), count: 5 }),
            reconnect: None,
            capacity: CAPACITY,
            drivers: LINKED.to_vec(),
            credentials: None,
            polkit_agent: false,
        }
    }
}

impl Options {
    /// Whether only calls that change nothing are wanted; they need fewer rights.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// How long opening and each call may take. Unless this is set: 30 seconds for opening and for
    /// calls that only look something up, 10 minutes for all others.
    /// [`Ask::within`](crate::Ask::within) sets it for one call.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// After how long a silence the daemon is pinged, and after how many pings without an answer it
    /// counts as lost. Unless this is set: 5 seconds, 5 pings. A count of 0 and a zero interval
    /// switch it off.
    #[must_use]
    pub fn keepalive(mut self, interval: Duration, count: u32) -> Self {
        let on = !interval.is_zero() && count > 0;
        self.keepalive = on.then_some(KeepalivePolicy { interval, count });
        self
    }

    /// Opens a lost connection again and renews what it listens to. Calls made meanwhile wait, within
    /// their deadline; calls that were under way fail, because nobody knows whether they happened.
    #[must_use]
    pub fn reconnect(mut self, how: Reconnect) -> Self {
        self.reconnect = Some(how);
        self
    }

    /// How many events wait for a slow reader before it misses some; 1024 unless this is set.
    #[must_use]
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// The drivers that serve in this process, instead of the test driver alone.
    #[must_use]
    pub fn drivers(mut self, drivers: &[DriverEntry]) -> Self {
        self.drivers = drivers.to_vec();
        self
    }

    /// Who knows the name and password when the daemon on a host asks for them; where this answers
    /// `None`, libvirt's auth.conf is looked into, and then for a Kerberos ticket. It is called while the connection is opened and
    /// should answer at once: ask people before.
    #[must_use]
    pub fn credentials(
        mut self,
        of_host: impl Fn(&str) -> Option<Credentials> + Send + Sync + 'static,
    ) -> Self {
        self.credentials = Some(Arc::new(of_host));
        self
    }

    /// Has polkit's text agent (`pkttyagent`) ask the user for a password on this program's terminal where the daemon's
    /// policy wants one and no desktop asks, as libvirt's own tools do; it runs while the connection is opened, which then
    /// may take 10 minutes unless [`deadline`](Self::deadline) is set. Off unless this is set, because the terminal is the
    /// application's; a lost connection is opened again without it.
    #[must_use]
    pub fn polkit_agent(mut self, wanted: bool) -> Self {
        self.polkit_agent = wanted;
        self
    }

    /// Opens a connection to `uri`, or the name of one of libvirt.conf's `uri_aliases`.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` for a URI that means nothing, `VIR_ERR_SYSTEM_ERROR` if nobody listens
    /// there, `VIR_ERR_AUTH_FAILED`, or what the driver refuses with.
    pub async fn open(mut self, uri: &str) -> Result<Connection> {
        self.uri = Some(uri.to_owned());
        self.open_default().await
    }

    /// Opens what `LIBVIRT_DEFAULT_URI` or libvirt.conf's `uri_default` says, or else the hypervisor
    /// that this host has.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub async fn open_default(self) -> Result<Connection> {
        let usual = if self.polkit_agent { deadline::LONG } else { deadline::SHORT };
        let limit = self.deadline.unwrap_or(usual);
        let attempt = format!("opening '{}'", self.uri.as_deref().unwrap_or("the default URI"));
        let link = deadline::within(limit, &attempt, Link::open(self)).await?;
        Ok(Connection::new(link))
    }
}
