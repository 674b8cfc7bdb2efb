// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many `Host` calls run at the same time.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use virtus_api::{Class, Meta, Priority};

/// The places for calls that work on this host.
pub(crate) struct Workers {
    normal: Places,
    urgent: Places,
}

struct Places {
    free: Arc<Semaphore>,
    size: Mutex<usize>,
}

/// Whether a call may run now.
pub(crate) enum Admission {
    /// It needs no place.
    Free,
    /// It has one, as long as this lives.
    Placed(#[expect(dead_code, reason = "held, never looked at")] OwnedSemaphorePermit),
    /// It has to wait for one of these.
    Wait(Arc<Semaphore>),
}

impl Workers {
    pub(super) fn new(normal: usize, urgent: usize) -> Self {
        Self { normal: Places::new(normal.max(1)), urgent: Places::new(urgent) }
    }

    pub(super) fn resize(&self, normal: usize, urgent: usize) {
        self.normal.resize(normal.max(1));
        self.urgent.resize(urgent);
    }

    pub(crate) fn admit(&self, call: &Meta) -> Admission {
        if call.class != Class::Host {
            return Admission::Free;
        }
        let urgent = (call.priority == Priority::High).then_some(&self.urgent);
        for places in [Some(&self.normal), urgent].into_iter().flatten() {
            if let Ok(place) = places.free.clone().try_acquire_owned() {
                return Admission::Placed(place);
            }
        }
        Admission::Wait(self.normal.free.clone())
    }
}

impl Places {
    fn new(size: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(size)), size: Mutex::new(size) }
    }

    /// Takes away only places that are free: calls that run are not disturbed.
    fn resize(&self, wanted: usize) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted >= *size {
            self.free.add_permits(wanted - *size);
            *size = wanted;
        } else {
            *size -= self.free.forget_permits(*size - wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use virtus_api::CallId;

    use super::*;

    fn call(class: Class, priority: Priority) -> Meta {
        let meta = CallId::ALL.iter().map(|call| call.meta());
        let mut found = meta.filter(|meta| meta.class == class && meta.priority == priority);
        let Meta { name, program, acl, filter, stream, .. } = found.next().unwrap();
        Meta {
            name,
            program: *program,
            class,
            acl,
            filter,
            read_only: false,
            needs_auth: true,
            priority,
            stream: *stream,
            ..*CallId::ConnectOpen.meta()
        }
    }

    #[test]
    fn host_calls_share_places_and_urgent_ones_have_more() {
        let workers = Workers::new(1, 1);
        let (low, high) = (call(Class::Host, Priority::Low), call(Class::Host, Priority::High));
        let first = workers.admit(&low);
        assert!(matches!(first, Admission::Placed(_)));
        assert!(matches!(workers.admit(&low), Admission::Wait(_)));
        let second = workers.admit(&high);
        assert!(matches!(second, Admission::Placed(_)));
        assert!(matches!(workers.admit(&high), Admission::Wait(_)));
        assert!(matches!(workers.admit(CallId::DomainGetState.meta()), Admission::Free));
        drop(first);
        assert!(matches!(workers.admit(&low), Admission::Placed(_)));
        workers.resize(3, 0);
        let more = [workers.admit(&low), workers.admit(&low)];
        assert!(more.iter().all(|one| matches!(one, Admission::Placed(_))));
    }
}
