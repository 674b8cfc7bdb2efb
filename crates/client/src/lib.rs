// SPDX-License-Identifier: Apache-2.0 OR MIT
//! libvirt's API for Rust applications: open a connection, make calls, listen to events, move data.
//!
//! It talks to Virtus' daemons and to libvirt's, and to drivers in this very process, all in the same
//! way. This runs anywhere, because the test driver needs no hypervisor:
//!
//! ```
//! use virtus_client::api::{DomainState, DomainXmlFlags};
//! use virtus_client::{Connection, Result};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<()> {
//!     let connection = Connection::open("test:///default").await?;
//!     for domain in connection.domains().await? {
//!         println!("{} {:?}", domain.name(), domain.state().await?);
//!     }
//!     let domain = connection.domain_by_name("test").await?;
//!     let xml = domain.xml().flags(DomainXmlFlags::INACTIVE).await?;
//!     assert!(xml.contains("<name>test</name>"));
//!     domain.suspend().await?;
//!     assert_eq!(domain.state().await?.state, DomainState::Paused as i32);
//!     domain.resume().await?;
//!     Ok(())
//! }
//! ```
//!
//! # Calls
//!
//! Objects ([`Domain`], [`Network`], [`StoragePool`], …) have a method for each of libvirt's calls
//! about them; [`Connection`] has those about the host, and those that find and make objects. The
//! documentation of each method gives libvirt's own name, so searching for `virDomainGetInfo` finds
//! [`Domain::info`]. A method answers an [`Ask`], which is awaited, after flags and a deadline were
//! added where they are wanted. A request struct is the call, so any call can be made by name, too:
//!
//! ```
//! # use virtus_client::{Connection, Result};
//! # use virtus_client::blocking::Wait;
//! use std::time::Duration;
//! use virtus_client::api::ConnectGetHostname;
//!
//! # fn main() -> Result<()> {
//! # async {
//! let connection = Connection::open("test:///default").await?;
//! let name = connection.call(ConnectGetHostname).within(Duration::from_secs(5)).await?;
//! assert_eq!(name, connection.hostname().await?);
//! # Ok(())
//! # }.wait()
//! # }
//! ```
//!
//! Every call has a deadline: 30 seconds for what is only looked up, 10 minutes for the rest, unless
//! [`Options::deadline`] or [`Ask::within`] say otherwise. A daemon that is gone is noticed sooner.
//!
//! # Errors
//!
//! An [`Error`] has libvirt's code and domain, a text that names the object and the cause, and often a
//! hint:
//!
//! ```
//! # use virtus_client::{Connection, Result};
//! # use virtus_client::blocking::Wait;
//! use virtus_client::ErrorCode;
//!
//! # fn main() -> Result<()> {
//! # async {
//! let connection = Connection::open("test:///default").await?;
//! let error = connection.domain_by_name("nobody").await.unwrap_err();
//! assert_eq!(error.code(), ErrorCode::NoDomain);
//! # Ok(())
//! # }.wait()
//! # }
//! ```
//!
//! # Events
//!
//! Events are streams. A reader that is slow is told how much it missed, and one whose connection was
//! lost and opened again ([`Options::reconnect`]) is told that:
//!
//! ```
//! # use virtus_client::{Connection, Result};
//! # use virtus_client::blocking::Wait;
//! use virtus_client::Notice;
//! use virtus_client::api::DomainEventLifecycle;
//!
//! # fn main() -> Result<()> {
//! # async {
//! let connection = Connection::open("test:///default").await?;
//! let mut events = connection.events::<DomainEventLifecycle>().await?;
//! let xml = "<domain type='test'><name>short</name><memory>1024</memory><os><type>hvm</type></os></domain>";
//! let domain = connection.domain_create_xml(xml).await?;
//! domain.destroy().await?;
//! loop {
//!     match events.next().await {
//!         Some(Notice::Event(event)) if event.dom.name == "short" => break,
//!         Some(Notice::Event(_)) => {}
//!         Some(Notice::Missed(count)) => println!("{count} events were missed: look again"),
//!         Some(Notice::Lost(error)) => println!("{error}"),
//!         Some(Notice::Reconnected) => println!("open again: look at what matters again"),
//!         Some(Notice::Refused(error)) => println!("these events have ended: {error}"),
//!         Some(_) => {}
//!         None => break,
//!     }
//! }
//! # Ok(())
//! # }.wait()
//! # }
//! ```
//!
//! # Data
//!
//! Uploads, downloads, consoles and screenshots are [`Stream`]s, which read and write like files:
//!
//! ```
//! # use virtus_client::{Connection, Result};
//! # use virtus_client::blocking::Wait;
//! use tokio::io::AsyncReadExt;
//!
//! # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! # async {
//! let connection = Connection::open("test:///default").await?;
//! let domain = connection.domain_by_name("test").await?;
//! let (kind, mut picture) = domain.screenshot(0).await?;
//! let mut bytes = Vec::new();
//! picture.read_to_end(&mut bytes).await?;
//! picture.finish().await?;
//! assert_eq!(kind.as_deref(), Some("image/png"));
//! # Ok(())
//! # }.wait()
//! # }
//! ```
//!
//! # Without a runtime
//!
//! [`blocking`] is the same API for programs that do not use `async`: `wait()` instead of `.await`.
//!
//! ```
//! use virtus_client::blocking::Wait;
//! use virtus_client::{Connection, Result};
//!
//! fn main() -> Result<()> {
//!     let connection = Connection::open("test:///default").wait()?;
//!     println!("{} domains", connection.domains().wait()?.len());
//!     Ok(())
//! }
//! ```
//!
//! # Where a URI leads
//!
//! | URI | answered by |
//! |---|---|
//! | `test:///default` | the test driver in this process |
//! | `qemu:///system` | `virtqemud`, or `libvirtd` where that runs |
//! | `qemu:///session` | the user's own daemon |
//! | `qemu+ssh://user@host/system` | the daemon on the host, through the system's `ssh` |
//! | `qemu+tls://host/system`, `qemu://host/system` | the same, by TLS with certificates |
//! | `qemu+tcp://host/system` | the same, in clear text |
//! | `qemu+ext:///system?command=/path` | what the program's standard input and output lead to |
//!
//! All parameters of libvirt's URIs are understood (`socket`, `mode`, `pkipath`, `no_verify`, `netcat`,
//! `proxy`, `keyfile`, …), as are `uri_aliases` and `uri_default` of libvirt.conf,
//! `LIBVIRT_DEFAULT_URI` and auth.conf. A user's own daemon is started when nobody listens at its socket,
//! unless `LIBVIRT_AUTOSTART` is 0. Where polkit guards a daemon and wants a password, a program on a terminal can let the
//! user type it there: [`Options::polkit_agent`].

mod ask;
mod attach;
pub mod blocking;
mod connection;
mod credentials;
mod deadline;
mod dial;
mod events;
mod generated;
mod link;
mod local;
mod options;
mod polkit;
mod resolve;
mod stream;

pub use ask::{Ask, Bits, Flagged};
pub use connection::Connection;
pub use events::{Events, Notice};
pub use generated::*;
pub use local::connect_local;
pub use options::{Options, Reconnect};
pub use stream::{Chunk, Stream};
pub use virtus_api as api;
pub use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
pub use virtus_core::{Credentials, DriverEntry};
