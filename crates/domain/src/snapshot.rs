// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What everybody may see of a machine at any time: published whole, never changed.
//!
//! Invariant: whoever reads a machine reads one snapshot, so that what it says fits together; no
//! reader waits for the machine's actor, its VMM or its disk.

use std::sync::Arc;
use std::time::SystemTime;

use uuid::Uuid;
use virtus_api::{DomainRef, Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::Domain;

use crate::at_rest::AtRest;
use crate::facts::Facts;
use crate::moments::Known;
use crate::state::State;

/// A machine at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub uuid: Uuid,
    pub name: Arc<str>,
    /// The definition that the next start will use; none for a transient machine.
    pub persistent: Option<Arc<AtRest>>,
    /// The definition of the machine that runs, with its id; none if it does not.
    pub live: Option<Arc<Domain>>,
    pub state: State,
    /// Starts when the host boots.
    pub autostart: bool,
    /// The persistent definition has changed since the machine was started.
    pub updated: bool,
    /// There is saved memory that the next start continues from.
    pub managed_save: bool,
    /// What it can return to or copy from.
    pub moments: Known,
    /// When the present run began.
    pub started: Option<SystemTime>,
    /// The VMM's process.
    pub pid: Option<u32>,
    /// Whether the VMM answers its monitor.
    pub answering: bool,
}

impl Snapshot {
    /// Whether clients may know of it: a machine that is being defined, or is gone, is not there.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.persistent.is_some() || self.live.is_some()
    }

    /// Whether it runs (in whatever state).
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.live.is_some()
    }

    /// Its number while it runs.
    #[must_use]
    pub fn id(&self) -> Option<i32> {
        self.live.as_ref().and_then(|live| live.id)
    }

    /// How clients name it.
    #[must_use]
    pub fn domain_ref(&self) -> DomainRef {
        DomainRef { name: self.name.to_string(), uuid: self.uuid, id: self.id().unwrap_or(-1) }
    }

    /// The definition that describes it now: the live one if it runs.
    ///
    /// # Errors
    /// `VIR_ERR_NO_DOMAIN` if it is gone; as [`AtRest::definition`].
    pub fn def(&self) -> Result<Arc<Domain>> {
        match (&self.live, &self.persistent) {
            (Some(live), _) => Ok(live.clone()),
            (None, Some(persistent)) => persistent.definition(),
            (None, None) => Err(self.gone()),
        }
    }

    /// What of [`Snapshot::def`] is asked of many machines at once.
    ///
    /// # Errors
    /// As [`Snapshot::def`].
    pub fn facts(&self) -> Result<Arc<Facts>> {
        match (&self.live, &self.persistent) {
            (Some(live), _) => Ok(Arc::new(Facts::of(live))),
            (None, Some(persistent)) => persistent.facts(),
            (None, None) => Err(self.gone()),
        }
    }

    /// The definition of the machine that runs.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` if it does not run.
    pub fn live(&self) -> Result<&Arc<Domain>> {
        self.live.as_ref().ok_or_else(|| not_running(&self.name))
    }

    /// The definition that the next start will use.
    ///
    /// # Errors
    /// `VIR_ERR_OPERATION_INVALID` for a transient machine; as [`AtRest::definition`].
    pub fn persistent(&self) -> Result<Arc<Domain>> {
        let persistent = self.persistent.as_ref().ok_or_else(|| {
            Error::new(
                ErrorCode::OperationInvalid,
                "cannot modify the persistent configuration of a transient domain",
            )
            .hint(format!(
                "make '{0}' persistent first: virsh dumpxml {0} > {0}.xml; virsh define {0}.xml",
                self.name
            ))
        })?;
        persistent.definition()
    }

    fn gone(&self) -> Error {
        no_domain_uuid(self.uuid, &self.name)
    }
}

/// The answer to calls that need a machine that runs.
#[must_use]
pub fn not_running(name: &str) -> Error {
    Error::new(ErrorCode::OperationInvalid, "domain is not running")
        .in_domain(ErrorDomain::Domain)
        .hint(format!("start it with 'virsh start {name}'"))
}

/// The answer to a reference to a machine that is not there.
#[must_use]
pub fn no_domain_uuid(uuid: Uuid, name: &str) -> Error {
    Error::new(ErrorCode::NoDomain, format!("no domain with matching uuid '{uuid}' ({name})"))
        .hint("list what is defined with 'virsh list --all'")
}
