// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can be listened to, and the calls that ask for it.

use virtus_api::{
    AnyRequest, ConnectDomainEventCallbackDeregisterAny, ConnectDomainEventCallbackRegisterAny,
    ConnectNetworkEventDeregisterAny, ConnectNetworkEventRegisterAny,
    ConnectNodeDeviceEventDeregisterAny, ConnectNodeDeviceEventRegisterAny,
    ConnectRegisterCloseCallback, ConnectSecretEventDeregisterAny, ConnectSecretEventRegisterAny,
    ConnectStoragePoolEventDeregisterAny, ConnectStoragePoolEventRegisterAny,
    ConnectUnregisterCloseCallback, DomainRef, Event, EventMessage, Family, NetworkRef,
    NodeDeviceRef, QemuConnectDomainMonitorEventDeregister, QemuConnectDomainMonitorEventRegister,
    Result, SecretRef, StoragePoolRef,
};

use crate::Events;

/// Events of one kind, of one object or of all. A connection registers for each topic once, however
/// many readers it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Topic {
    pub(crate) family: Family,
    pub(crate) id: i32,
    pub(crate) of: Option<Source>,
}

/// The object that is listened to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// A domain.
    Domain(DomainRef),
    /// A network.
    Network(NetworkRef),
    /// A storage pool.
    StoragePool(StoragePoolRef),
    /// A node device.
    NodeDevice(NodeDeviceRef),
    /// A secret.
    Secret(SecretRef),
}

impl From<DomainRef> for Source {
    /// The id changes with every start, so it is no part of which domain is meant.
    fn from(domain: DomainRef) -> Self {
        Self::Domain(DomainRef { id: -1, ..domain })
    }
}

macro_rules! sources {
    ($($name:ident($object:ident)),*) => { $(
        impl From<$object> for Source {
            fn from(object: $object) -> Self {
                Self::$name(object)
            }
        }
    )* };
}
sources!(
    Network(NetworkRef),
    StoragePool(StoragePoolRef),
    NodeDevice(NodeDeviceRef),
    Secret(SecretRef)
);

macro_rules! listens {
    ($($object:ident),*) => { $(
        impl $crate::$object {
            /// Listens to one kind of event of this object alone.
            ///
            /// # Errors
            /// `VIR_ERR_NO_SUPPORT` or `VIR_ERR_INVALID_ARG` if the driver has no such events.
            pub async fn events<E>(&self) -> Result<Events<E>>
            where
                E: EventMessage + TryFrom<Event>,
            {
                let of = Some(Source::from(self.reference().clone()));
                self.connection().listen(vec![Topic { family: E::FAMILY, id: E::ID, of }]).await
            }
        }
    )* };
}
listens!(Domain, Network, StoragePool, NodeDevice, Secret);

macro_rules! object {
    ($of:expr, $name:ident) => {
        match $of {
            Some(Source::$name(object)) => Some(object.clone()),
            _ => None,
        }
    };
}

impl Topic {
    /// The call that asks for it. All of them answer the callback id, but for the one about the
    /// connection itself, which has none.
    pub(crate) fn register(&self) -> AnyRequest {
        let (event_id, of) = (self.id, &self.of);
        match self.family {
            Family::Connection => AnyRequest::new(ConnectRegisterCloseCallback),
            Family::Domain => AnyRequest::new(ConnectDomainEventCallbackRegisterAny {
                event_id,
                dom: object!(of, Domain),
            }),
            Family::Network => AnyRequest::new(ConnectNetworkEventRegisterAny {
                event_id,
                net: object!(of, Network),
            }),
            Family::NodeDevice => AnyRequest::new(ConnectNodeDeviceEventRegisterAny {
                event_id,
                dev: object!(of, NodeDevice),
            }),
            Family::Qemu => AnyRequest::new(QemuConnectDomainMonitorEventRegister {
                dom: object!(of, Domain),
                event: None,
                flags: 0,
            }),
            Family::Secret => AnyRequest::new(ConnectSecretEventRegisterAny {
                event_id,
                secret: object!(of, Secret),
            }),
            Family::StoragePool => AnyRequest::new(ConnectStoragePoolEventRegisterAny {
                event_id,
                pool: object!(of, StoragePool),
            }),
        }
    }

    /// The call that ends it.
    pub(crate) fn deregister(&self, callback_id: i32) -> AnyRequest {
        match self.family {
            Family::Connection => AnyRequest::new(ConnectUnregisterCloseCallback),
            Family::Domain => {
                AnyRequest::new(ConnectDomainEventCallbackDeregisterAny { callback_id })
            }
            Family::Network => AnyRequest::new(ConnectNetworkEventDeregisterAny { callback_id }),
            Family::NodeDevice => {
                AnyRequest::new(ConnectNodeDeviceEventDeregisterAny { callback_id })
            }
            Family::Qemu => {
                AnyRequest::new(QemuConnectDomainMonitorEventDeregister { callback_id })
            }
            Family::Secret => AnyRequest::new(ConnectSecretEventDeregisterAny { callback_id }),
            Family::StoragePool => {
                AnyRequest::new(ConnectStoragePoolEventDeregisterAny { callback_id })
            }
        }
    }
}
