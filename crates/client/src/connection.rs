// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An open connection.

use std::sync::Arc;

use virtus_api::{
    AnyReply, AnyRequest, DomainEvent, Error, Event, EventMessage, Family, Request, Result,
};

use crate::events::topic::Topic;
use crate::link::{Link, Luggage};
use crate::{Ask, Events, Options};

/// An open connection to a hypervisor. Cheap to clone; it is closed when the last clone, and
/// everything that was made from one, is gone.
#[derive(Clone)]
pub struct Connection {
    link: Arc<Link>,
}

impl Connection {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Opens `uri`.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub async fn open(uri: &str) -> Result<Self> {
        Options::default().open(uri).await
    }

    /// Opens with other than the usual options.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// Makes any call of libvirt's API: a request struct is the call.
    pub fn call<R: Request>(&self, request: R) -> Ask<R> {
        Ask::new(self, request, |answer| answer.reply)
    }

    /// Makes a call whose kind is known only at run time, as those who pass calls on need it. Streams and
    /// the caller's descriptors do not travel with it.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn call_any(&self, request: AnyRequest) -> Result<AnyReply> {
        self.link.call(request, Luggage::default(), None).await
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Listens to one kind of event.
    ///
    /// # Errors
    /// `VIR_ERR_NO_SUPPORT` or `VIR_ERR_INVALID_ARG` if the driver has no such events.
    pub async fn events<E: EventMessage + TryFrom<Event>>(&self) -> Result<Events<E>> {
        self.listen(vec![Topic { family: E::FAMILY, id: E::ID, of: None }]).await
    }

    /// Listens to every kind of event of domains that the driver has.
    ///
    /// # Errors
    /// `VIR_ERR_NO_SUPPORT` or `VIR_ERR_INVALID_ARG` if it has none.
    pub async fn domain_events(&self) -> Result<Events<DomainEvent>> {
        self.family(Family::Domain, DomainEvent::IDS).await
    }

    async fn family<E: TryFrom<Event>>(&self, family: Family, ids: &[i32]) -> Result<Events<E>> {
        self.listen(ids.iter().map(|id| Topic { family, id: *id, of: None }).collect()).await
    }

    pub(crate) async fn listen<E: TryFrom<Event>>(&self, topics: Vec<Topic>) -> Result<Events<E>> {
        let queue = self.link.listen(topics).await?;
        Ok(Events::new(queue, self.link.clone()))
    }

    /// Why the connection is over; `None` while it is open or may open again.
    #[must_use]
    pub fn ended(&self) -> Option<Error> {
        self.link.over()
    }

    /// Closes the connection, for all its clones.
    pub async fn close(&self) {
        self.link.close().await;
    }
}
