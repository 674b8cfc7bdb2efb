// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The calls that the server answers itself: open and close, features, identity.
//!
//! They run one after the other in the order in which they came, unlike calls to drivers, so a
//! client may send its whole greeting without waiting.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use virtus_api::{
    AdminConnectClose, AnyReply, AnyRequest, CallId, ConnectClose, ConnectOpen,
    ConnectRegisterCloseCallback, ConnectSetIdentity, ConnectSupportsFeature,
    ConnectUnregisterCloseCallback, Error, ErrorCode, ErrorDomain, Request, Result,
};
use virtus_core::{Connection, Driver, Identity, Role, Session, Uri};

use super::behind::Behind;
use super::{Client, Phase, SILENT_LIMIT, TYPING_LIMIT};
use crate::behalf::identity_of;
use crate::errors;
use crate::keepalive::Keepalive;

/// `VIR_DRV_FEATURE_*` that are the server's matter.
pub(super) const FEATURE_FD_PASSING: i32 = 8;
const FEATURE_TEXT_PARAMETERS: i32 = 9;
pub(super) const FEATURE_KEEPALIVE: i32 = 10;
const FEATURE_EVENT_CALLBACK: i32 = 14;
const FEATURE_CLOSE_CALLBACK: i32 = 15;
/// Without it clients exchange two arguments of `virNetworkUpdate`, as servers once misread them.
const FEATURE_NETWORK_UPDATE_ORDER: i32 = 16;

/// How long a driver may take to begin a session: nothing else of the client is heard meanwhile.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// The only bit of the open flags that means something.
const OPEN_READ_ONLY: u32 = 1;

impl Client {
    /// Whether it may call.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_) | Phase::Forwarded(_))
    }

    /// When the client's time to get as far as an open connection is over.
    pub(super) fn must_open_by(&self) -> Option<Instant> {
        match self.phase {
            Phase::Stranger(Some(_)) => Some(self.born + TYPING_LIMIT),
            Phase::Stranger(None) | Phase::Allowed => Some(self.born + SILENT_LIMIT),
            Phase::Open(_) | Phase::Forwarded(_) => None,
        }
    }

    /// The answer to a call that is the server's matter; `None` if it is a driver's.
    pub(super) async fn handshake(&mut self, request: &AnyRequest) -> Option<Result<AnyReply>> {
        if matches!(self.phase, Phase::Stranger(_)) && request.call().meta().needs_auth {
            return Some(Err(errors::authentication_required()));
        }
        if let Phase::Open(connection) = &self.phase
            && is_ours(request.call())
            && let Err(refused) = connection.session().permit(request).await
        {
            return Some(Err(refused));
        }
        Some(match request.call() {
            CallId::AuthList
            | CallId::AuthPolkit
            | CallId::AuthSaslInit
            | CallId::AuthSaslStart
            | CallId::AuthSaslStep => self.authenticate(request).await,
            CallId::ConnectOpen => {
                let open = request.get::<ConnectOpen>()?;
                self.open(open).await.and_then(reply::<ConnectOpen>)
            }
            CallId::ConnectClose => {
                self.closing = true;
                self.end_session();
                reply::<ConnectClose>(())
            }
            CallId::ConnectSupportsFeature => {
                let feature = request.get::<ConnectSupportsFeature>()?.feature;
                self.feature(feature)?.and_then(reply::<ConnectSupportsFeature>)
            }
            CallId::ConnectRegisterCloseCallback => {
                self.set_close_callback(true).and_then(reply::<ConnectRegisterCloseCallback>)
            }
            CallId::ConnectUnregisterCloseCallback => {
                self.set_close_callback(false).and_then(reply::<ConnectUnregisterCloseCallback>)
            }
            CallId::ConnectSetIdentity => {
                let identity = request.get::<ConnectSetIdentity>()?;
                self.set_identity(identity).await.and_then(reply::<ConnectSetIdentity>)
            }
            CallId::AdminConnectClose => {
                self.closing = true;
                reply::<AdminConnectClose>(())
            }
            _ => return None,
        })
    }

    async fn open(&mut self, request: &ConnectOpen) -> Result<()> {
        if self.is_open() {
            return Err(errors::already_open());
        }
        let name = request.name.as_deref().ok_or_else(errors::null_name)?;
        let read_only = self.access.read_only || request.flags & OPEN_READ_ONLY != 0;
        match self.server.serving().directory().map(|directory| directory.find(name)).transpose()? {
            Some(Some(destination)) => {
                self.place.may_open(&self.identity)?;
                let pings = self.server.limits().keepalive;
                let behind = Behind::open(&destination, read_only, &self.identity, pings).await?;
                self.phase = Phase::Forwarded(Box::new(behind));
            }
            Some(None) | None => {
                let (driver, uri) = self.choose(name)?;
                self.place.may_open(&self.identity)?;
                self.enter(&driver, uri, read_only, self.identity.clone()).await?;
            }
        }
        self.place.opened();
        Ok(())
    }

    /// The driver that serves `name`, and what `name` means in full.
    fn choose(&self, name: &str) -> Result<(Arc<dyn Driver>, Uri)> {
        let drivers = self.server.serving().drivers();
        if name.is_empty() {
            return drivers
                .iter()
                .find_map(|driver| Some((driver.clone(), driver.default_uri()?)))
                .ok_or_else(|| errors::no_driver(name));
        }
        let uri = Uri::parse(name)?;
        for driver in drivers {
            if driver.serves(&uri)? {
                return Ok((driver.clone(), uri));
            }
        }
        Err(errors::no_driver(name))
    }

    /// Begins a session with `driver` and the companions that serve beside it.
    async fn enter(
        &mut self,
        driver: &Arc<dyn Driver>,
        uri: Uri,
        read_only: bool,
        identity: Identity,
    ) -> Result<()> {
        let events = self.outbox.clone();
        let session = match self.server.gate() {
            Some(gate) => Session::guarded(gate, driver.name(), identity, read_only, uri, events),
            None => Session::new(identity, read_only, uri, events),
        };
        session.permit(&AnyRequest::new(ConnectOpen { name: None, flags: 0 })).await?;
        let role = driver.role();
        let companions =
            self.server.serving().drivers().iter().filter(|other| match other.role() {
                Role::Companion => role != Role::World && other.name() != driver.name(),
                Role::Elsewhere => role == Role::Hypervisor,
                Role::Hypervisor | Role::World => false,
            });
        let mut responders = Vec::new();
        for part in iter::once(driver).chain(companions) {
            let opened = timeout(OPEN_LIMIT, part.open(&session));
            let opened = opened.await.unwrap_or_else(|_| Err(errors::slow_open(&session.uri)));
            match opened {
                Ok(responder) if part.role() == Role::Elsewhere => responders.push(responder),
                Ok(responder) => responders.push(self.server.workers().before(responder)),
                Err(error) => {
                    Connection::new(session, responders).close();
                    return Err(error);
                }
            }
        }
        responders.push(self.server.generic(self.transport.is_secure()).clone());
        self.phase = Phase::Open(Connection::new(session, responders));
        Ok(())
    }

    /// `None` if the driver knows the answer.
    fn feature(&mut self, feature: i32) -> Option<Result<i32>> {
        if feature == FEATURE_KEEPALIVE {
            let policy = self.server.limits().keepalive;
            self.keepalive = policy.map(|policy| Keepalive::new(policy, Instant::now().into_std()));
            return Some(Ok(1));
        }
        if feature == FEATURE_FD_PASSING && self.is_open() {
            return Some(Ok(self.transport.passes_fds().into()));
        }
        let Phase::Open(connection) = &self.phase else { return Some(Err(errors::not_open())) };
        match feature {
            FEATURE_TEXT_PARAMETERS
            | FEATURE_EVENT_CALLBACK
            | FEATURE_CLOSE_CALLBACK
            | FEATURE_NETWORK_UPDATE_ORDER => Some(Ok(1)),
            _ if connection.answers(CallId::ConnectSupportsFeature) => None,
            _ => Some(Ok(0)),
        }
    }

    /// Our drivers live as long as their daemon, so this callback never fires; the client is told
    /// of the daemon's end by the end of its connection.
    fn set_close_callback(&mut self, wanted: bool) -> Result<()> {
        if !matches!(self.phase, Phase::Open(_)) {
            return Err(errors::not_open());
        }
        if self.close_callback == wanted {
            let state = if wanted { "already" } else { "not" };
            let text = format!("the close callback is {state} registered");
            return Err(Error::new(ErrorCode::OperationInvalid, text).in_domain(ErrorDomain::Rpc));
        }
        self.close_callback = wanted;
        Ok(())
    }

    /// A root peer (the proxy daemon) says on whose behalf it calls. Comes right after the open,
    /// so nothing is registered yet that a new session could lose.
    async fn set_identity(&mut self, request: &ConnectSetIdentity) -> Result<()> {
        if self.identity.uid != Some(0) {
            let text = "only root may call on behalf of another user";
            return Err(Error::new(ErrorCode::OperationDenied, text).in_domain(ErrorDomain::Rpc));
        }
        let Phase::Open(connection) = &self.phase else { return Err(errors::not_open()) };
        if request.flags != 0 {
            let text = format!("unsupported flags (0x{:x})", request.flags);
            return Err(Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Rpc));
        }
        let identity = identity_of(request)?;
        // As root it was not counted.
        self.place.may_open(&identity)?;
        let session = connection.session();
        let (uri, read_only) = (session.uri.clone(), session.read_only);
        let (driver, _) = self.choose(&uri.to_string())?;
        connection.close();
        self.enter(&driver, uri, read_only, identity).await
    }
}

/// Whether the server answers the call itself once a connection is open.
fn is_ours(call: CallId) -> bool {
    matches!(
        call,
        CallId::ConnectSupportsFeature
            | CallId::ConnectRegisterCloseCallback
            | CallId::ConnectUnregisterCloseCallback
            | CallId::ConnectSetIdentity
    )
}

pub(super) fn reply<R: Request>(reply: R::Reply) -> Result<AnyReply> {
    Ok(AnyReply::new::<R>(reply))
}
