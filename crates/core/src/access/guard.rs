// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What stands between one connection's client and its drivers.

use std::sync::Arc;

use tracing::warn;
use virtus_api::{
    AnyReply, AnyRequest, DomainLookupByUuid, DomainRef, InterfaceLookupByName, InterfaceRef,
    NetworkLookupByUuid, NetworkPortLookupByUuid, NetworkPortRef, NetworkRef,
    NodeDeviceLookupByName, NodeDeviceRef, NwfilterBindingLookupByPortDev, NwfilterBindingRef,
    NwfilterLookupByUuid, NwfilterRef, Object, Permission, Result, SecretLookupByUuid, SecretRef,
    StoragePoolLookupByName, StoragePoolLookupByUuid, StoragePoolRef, StorageVolLookupByName,
    StorageVolRef, Subject,
};

use super::{Details, Gate, Question, denied};
use crate::connection::Drivers;
use crate::{Call, Identity};

/// How often an object may become another while it is asked about.
const ROUNDS: usize = 3;

/// The gate as one client meets it.
pub(crate) struct Guard {
    gate: Arc<Gate>,
    who: Arc<Identity>,
    /// What rules know as `connect_driver`.
    pub(super) driver: &'static str,
}

impl Guard {
    pub(crate) fn new(gate: Arc<Gate>, who: &Identity, driver: &'static str) -> Arc<Self> {
        Arc::new(Self { gate, who: Arc::new(who.clone()), driver })
    }

    /// Whether the client may have this permission on the object of these details.
    pub(super) async fn allows(&self, permission: Permission, details: Details) -> Result<bool> {
        self.gate.allows(&self.who, Question { permission, details }).await.map_err(|cause| {
            warn!("{} is refused: {cause}", permission.polkit_action());
            denied(self.driver, permission)
        })
    }

    async fn require(&self, permission: Permission, details: &Details) -> Result<()> {
        match self.allows(permission, details.clone()).await? {
            true => Ok(()),
            false => Err(denied(self.driver, permission)),
        }
    }

    /// Refuses a call that takes something of the connection that the client has not.
    pub(crate) async fn permit_connection(&self, request: &AnyRequest) -> Result<()> {
        let details = Details::of_connection(self.driver);
        for permission in request.call().meta().permissions(request.flags()) {
            if permission.object == Object::Connect {
                self.require(permission, &details).await?;
            }
        }
        Ok(())
    }

    /// Answers a request as far as the client may know the answer.
    pub(crate) async fn respond(
        &self,
        drivers: Drivers,
        call: Call,
        request: AnyRequest,
    ) -> Result<AnyReply> {
        self.permit_connection(&request).await?;
        let meta = request.call().meta();
        let of_objects = || {
            let needed = meta.permissions(request.flags());
            needed.filter(|permission| permission.object != Object::Connect)
        };
        if let Some(permission) =
            of_objects().find(|permission| told_by_reply(&request, *permission))
        {
            let reply = drivers.respond(call, request).await?;
            let found = found(&reply).ok_or_else(|| denied(self.driver, permission))?;
            let details = self.details(&drivers, found).await?;
            return self.require(permission, &details).await.map(|()| reply);
        }
        let needed: Vec<Permission> = of_objects().collect();
        if let Some(first) = needed.first() {
            self.permit(&drivers, &request, first.object, &needed).await?;
        }
        match meta.filter.first() {
            Some(permission) if meta.registers.is_none() => {
                self.sieved(&drivers, request, *permission).await
            }
            _ => drivers.respond(call, request).await,
        }
    }

    /// Refuses what the client may not do with the object. If that has become another meanwhile, all is asked anew.
    async fn permit(
        &self,
        drivers: &Drivers,
        request: &AnyRequest,
        kind: Object,
        needed: &[Permission],
    ) -> Result<()> {
        let mut object = self.object(drivers, request, kind).await?;
        for _ in 0..ROUNDS {
            for permission in needed {
                self.require(*permission, &object).await?;
            }
            let now = self.object(drivers, request, kind).await?;
            if now == object {
                return Ok(());
            }
            object = now;
        }
        Err(denied(self.driver, needed[0]))
    }

    /// What is known of the object of this kind that the request is about. Of one that neither a reference nor a
    /// document names (a saved guest in a file) nothing: who may have it may have any.
    async fn object(
        &self,
        drivers: &Drivers,
        request: &AnyRequest,
        kind: Object,
    ) -> Result<Details> {
        let subject = request.subject();
        let known = self.identify(drivers, subject).await?;
        match request.document() {
            _ if subject.object() == kind => Ok(known),
            Some(document) => known.and_new(kind, document),
            None => Ok(Details::of_connection(self.driver)),
        }
    }

    /// What the driver knows of an object that a client refers to.
    async fn identify(&self, drivers: &Drivers, subject: Subject<'_>) -> Result<Details> {
        let of = |subject: Subject<'_>| Ok(Details::of(self.driver, subject));
        match subject {
            Subject::Connection => of(Subject::Connection),
            Subject::Domain(DomainRef { uuid, .. }) => {
                of(Subject::Domain(&drivers.ask(DomainLookupByUuid { uuid: *uuid }).await?))
            }
            Subject::Interface(InterfaceRef { name, .. }) => {
                let lookup = InterfaceLookupByName { name: name.clone() };
                of(Subject::Interface(&drivers.ask(lookup).await?))
            }
            Subject::Network(NetworkRef { uuid, .. }) => {
                of(Subject::Network(&drivers.ask(NetworkLookupByUuid { uuid: *uuid }).await?))
            }
            Subject::NetworkPort(NetworkPortRef { net, uuid }) => {
                let network = drivers.ask(NetworkLookupByUuid { uuid: net.uuid }).await?;
                let lookup = NetworkPortLookupByUuid { network, uuid: *uuid };
                of(Subject::NetworkPort(&drivers.ask(lookup).await?))
            }
            Subject::NodeDevice(name) => {
                let lookup = NodeDeviceLookupByName { name: name.to_owned() };
                of(Subject::NodeDevice(&drivers.ask(lookup).await?.name))
            }
            Subject::Nwfilter(NwfilterRef { uuid, .. }) => {
                of(Subject::Nwfilter(&drivers.ask(NwfilterLookupByUuid { uuid: *uuid }).await?))
            }
            Subject::NwfilterBinding(NwfilterBindingRef { portdev, .. }) => {
                let lookup = NwfilterBindingLookupByPortDev { name: portdev.clone() };
                of(Subject::NwfilterBinding(&drivers.ask(lookup).await?))
            }
            Subject::Secret(SecretRef { uuid, .. }) => {
                of(Subject::Secret(&drivers.ask(SecretLookupByUuid { uuid: *uuid }).await?))
            }
            Subject::StoragePool(pool) => {
                of(Subject::StoragePool(&self.pool(drivers, pool).await?))
            }
            Subject::StorageVol(StorageVolRef { pool, name, .. }) => {
                let pool = drivers.ask(StoragePoolLookupByName { name: pool.clone() }).await?;
                let lookup = StorageVolLookupByName { pool: pool.clone(), name: name.clone() };
                Ok(Details::of_volume(self.driver, &pool, &drivers.ask(lookup).await?))
            }
        }
    }

    pub(super) async fn pool(
        &self,
        drivers: &Drivers,
        pool: &StoragePoolRef,
    ) -> Result<StoragePoolRef> {
        drivers.ask(StoragePoolLookupByUuid { uuid: pool.uuid }).await
    }

    /// What is known of an object that a driver has named.
    async fn details(&self, drivers: &Drivers, found: Subject<'_>) -> Result<Details> {
        match found {
            Subject::StorageVol(vol) => {
                let lookup = StoragePoolLookupByName { name: vol.pool.clone() };
                Ok(Details::of_volume(self.driver, &drivers.ask(lookup).await?, vol))
            }
            other => Ok(Details::of(self.driver, other)),
        }
    }
}

/// Whether the object is known only when the call has been answered: to look at one is all that a lookup does.
pub(super) fn told_by_reply(request: &AnyRequest, permission: Permission) -> bool {
    permission.name == "getattr"
        && request.subject().object() != permission.object
        && request.document().is_none()
}

/// The object that a lookup has found.
fn found(reply: &AnyReply) -> Option<Subject<'_>> {
    let any = reply.as_any();
    None.or_else(|| any.downcast_ref().map(Subject::Domain))
        .or_else(|| any.downcast_ref().map(Subject::Interface))
        .or_else(|| any.downcast_ref().map(Subject::Network))
        .or_else(|| any.downcast_ref().map(Subject::NetworkPort))
        .or_else(|| any.downcast_ref().map(|NodeDeviceRef { name }| Subject::NodeDevice(name)))
        .or_else(|| any.downcast_ref().map(Subject::Nwfilter))
        .or_else(|| any.downcast_ref().map(Subject::NwfilterBinding))
        .or_else(|| any.downcast_ref().map(Subject::Secret))
        .or_else(|| any.downcast_ref().map(Subject::StoragePool))
        .or_else(|| any.downcast_ref().map(Subject::StorageVol))
}
