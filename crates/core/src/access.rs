// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access control: who may do what with which object, for every call and every driver, in one place.
//!
//! What a call takes stands in the table (`allow`, `filter`); who has it is for an [`Authority`] to say.
//! ```text
//! request ─▶ what it takes of the connection ─▶ the object as the driver knows it ─▶ what it takes of that ─▶ driver
//!            a document names its object: nothing else of it is read before          lookups: what they found ◀─┘
//!                                                                                     lists, counts, events: sieved
//! ```
//! Invariants: a driver knows nothing of all this; what a client says an object is called counts for nothing, its
//! driver is asked; nobody holds a lock while an authority thinks; an authority that does not answer in time has
//! refused. Whoever is refused is told so in libvirt's words, and what an authority said in the log.

mod decisions;
mod details;
mod events;
mod guard;
mod lists;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use virtus_api::{Error, ErrorCode, ErrorDomain, Permission, Result};

use crate::Identity;
use crate::routes::BoxFuture;
pub(crate) use guard::Guard;

use decisions::Decisions;
pub use details::Details;

/// How long an authority may think about one question.
const LIMIT: Duration = Duration::from_secs(10);

/// Knows who has which permission.
pub trait Authority: Send + Sync {
    /// Whether `who` has what is asked for.
    ///
    /// # Errors
    /// It cannot be told; in time or at all.
    fn allows(&self, who: &Identity, question: &Question) -> BoxFuture<Result<bool>>;
}

/// What an authority is asked: a permission, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// What the call takes.
    pub permission: Permission,
    /// What rules may know of the object: names and values, the driver's name first.
    pub details: Details,
}

/// An authority and what it has decided of late: one for all connections of a server.
pub struct Gate {
    authority: Box<dyn Authority>,
    decisions: Decisions,
}

impl Gate {
    /// A gate at which `authority` decides.
    #[must_use]
    pub fn new(authority: impl Authority + 'static) -> Arc<Self> {
        Arc::new(Self { authority: Box::new(authority), decisions: Decisions::default() })
    }

    async fn allows(&self, who: &Arc<Identity>, question: Question) -> Result<bool> {
        if let Some(known) = self.decisions.known(who, &question) {
            return Ok(known);
        }
        let answer = tokio::time::timeout(LIMIT, self.authority.allows(who, &question)).await;
        let allowed = answer.unwrap_or_else(|_| Err(late()))?;
        self.decisions.keep(who, question, allowed);
        Ok(allowed)
    }
}

fn late() -> Error {
    let text = format!("nobody has said within {} s who may do what", LIMIT.as_secs());
    Error::new(ErrorCode::OperationTimeout, text).in_domain(ErrorDomain::Access)
}

fn denied(driver: &str, permission: Permission) -> Error {
    Error::new(ErrorCode::AccessDenied, format!("'{driver}' denied access"))
        .in_domain(ErrorDomain::Access)
        .hint(format!("it takes the permission '{}'", permission.polkit_action()))
}
