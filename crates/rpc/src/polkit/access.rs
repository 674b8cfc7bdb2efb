// SPDX-License-Identifier: Apache-2.0 OR MIT
//! polkit as the authority of access control: it never asks the user, and its answers are wanted soon and often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::access::{Authority, Question};
use virtus_core::{BoxFuture, Identity};
use zbus::Connection;
use zbus::connection::Builder;

use super::{Subject, ask};
use crate::server::{Shares, User};

/// Questions that wait for polkit: a bus allows no more than 128 of one connection.
const AT_ONCE: usize = 64;

/// The same for one user, so that nobody's questions stand before everybody else's.
const AT_ONCE_OF_USER: usize = 16;

/// Asks polkit over one connection to the system bus, made when it is first needed.
#[derive(Clone)]
pub struct PolkitAccess(Arc<Shared>);

struct Shared {
    bus: Mutex<Option<Connection>>,
    places: Semaphore,
    users: Shares,
}

impl Default for PolkitAccess {
    fn default() -> Self {
        let (bus, users) = (Mutex::default(), Shares::default());
        Self(Arc::new(Shared { bus, places: Semaphore::new(AT_ONCE), users }))
    }
}

impl Authority for PolkitAccess {
    fn allows(&self, who: &Identity, question: &Question) -> BoxFuture<Result<bool>> {
        // polkit has no other answer for root; so root need not wait for one.
        if who.uid == Some(0) {
            return Box::pin(async { Ok(true) });
        }
        let (shared, subject, question) = (self.0.clone(), Subject::of(who), question.clone());
        Box::pin(async move {
            let Some(subject) = subject else {
                let text = "polkit knows only processes of this host";
                return Err(Error::new(ErrorCode::AuthFailed, text).in_domain(ErrorDomain::Polkit));
            };
            shared.decide(subject, &question).await
        })
    }
}

impl Shared {
    async fn decide(&self, subject: Subject, question: &Question) -> Result<bool> {
        let of_user = self.users.of(User::Local(subject.uid), AT_ONCE_OF_USER);
        // The semaphores are never closed.
        let _one = of_user.acquire().await;
        let _place = self.places.acquire().await;
        let action = question.permission.polkit_action();
        let details: HashMap<&str, &str> = question.details.iter().collect();
        let answer = match ask(&self.bus().await?, &subject, &action, &details, 0).await {
            // The bus may have been restarted since the last question.
            Err(zbus::Error::InputOutput(_)) => {
                self.forget_bus();
                ask(&self.bus().await?, &subject, &action, &details, 0).await
            }
            answer => answer,
        };
        let (allowed, _challenged, _more) = answer.map_err(|cause| super::unavailable(&cause))?;
        Ok(allowed)
    }

    async fn bus(&self) -> Result<Connection> {
        let known = self.bus.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(bus) = known {
            return Ok(bus);
        }
        let new = Builder::system().build().await.map_err(|cause| super::unavailable(&cause))?;
        *self.bus.lock().unwrap_or_else(PoisonError::into_inner) = Some(new.clone());
        Ok(new)
    }

    fn forget_bus(&self) {
        *self.bus.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
