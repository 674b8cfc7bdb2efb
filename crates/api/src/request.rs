// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The trait that makes a struct a call.

use std::fmt;

use crate::{
    CallId, DomainRef, InterfaceRef, NetworkPortRef, NetworkRef, NwfilterBindingRef, NwfilterRef,
    Object, SecretRef, StoragePoolRef, StorageVolRef,
};

/// A call: its fields are the arguments. Implemented only by `cargo xtask codegen`, from `table/`.
pub trait Request: fmt::Debug + Clone + Send + Sync + Sized + 'static {
    /// What a successful call answers.
    type Reply: fmt::Debug + Send + Sync + 'static;

    /// Which call it is; `CALL.meta()` says what is known about it.
    const CALL: CallId;

    /// The argument on which access rules and the read-only check may depend: the call's `flags`
    /// (0 if it has none), or the one other argument that its rules test.
    fn flags(&self) -> u32 {
        0
    }

    /// The object that the call acts on, for access control, the log and error texts.
    fn subject(&self) -> Subject<'_> {
        Subject::Connection
    }

    /// The document of the object that the call makes or defines; its subject is then what that will be a part of.
    fn document(&self) -> Option<&str> {
        None
    }
}

/// What a call acts on, as the caller names it. Snapshots and checkpoints are their domain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// Nothing narrower than the connection.
    Connection,
    Domain(&'a DomainRef),
    Interface(&'a InterfaceRef),
    Network(&'a NetworkRef),
    NetworkPort(&'a NetworkPortRef),
    /// By its name.
    NodeDevice(&'a str),
    Nwfilter(&'a NwfilterRef),
    NwfilterBinding(&'a NwfilterBindingRef),
    Secret(&'a SecretRef),
    StoragePool(&'a StoragePoolRef),
    StorageVol(&'a StorageVolRef),
}

impl Subject<'_> {
    /// Its kind, as access control knows it.
    #[must_use]
    pub fn object(&self) -> Object {
        match self {
            Self::Connection => Object::Connect,
            Self::Domain(_) => Object::Domain,
            Self::Interface(_) => Object::Interface,
            Self::Network(_) => Object::Network,
            Self::NetworkPort(_) => Object::NetworkPort,
            Self::NodeDevice(_) => Object::NodeDevice,
            Self::Nwfilter(_) => Object::Nwfilter,
            Self::NwfilterBinding(_) => Object::NwfilterBinding,
            Self::Secret(_) => Object::Secret,
            Self::StoragePool(_) => Object::StoragePool,
            Self::StorageVol(_) => Object::StorageVol,
        }
    }
}
