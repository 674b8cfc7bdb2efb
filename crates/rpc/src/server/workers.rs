// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many `Host` calls run at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use virtus_api::{AnyReply, AnyRequest, CallId, Class, Meta, Priority, Result};
use virtus_core::{BoxFuture, Call, Responder, Session};

use super::{Pool, PoolSizes};

/// The places for calls that work on this host.
#[derive(Clone)]
pub(crate) struct Workers {
    normal: Arc<Places>,
    urgent: Arc<Places>,
}

struct Places {
    free: Arc<Semaphore>,
    size: Mutex<Size>,
    waiting: AtomicUsize,
}

/// How many places there are, and how many there should be: fewer as soon as calls have ended.
struct Size {
    now: usize,
    wanted: usize,
}

/// Whether a call may run now.
enum Admission {
    /// It needs no place.
    Free,
    /// It has one, as long as this lives.
    Placed(Placed),
    /// It has to wait for one of these.
    Wait(Arc<Places>),
}

/// A responder whose calls take places while they run.
struct Worked {
    workers: Workers,
    inner: Arc<dyn Responder>,
}

impl Responder for Worked {
    fn answers(&self, call: CallId) -> bool {
        self.inner.answers(call)
    }

    fn respond(&self, call: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>> {
        let inner = self.inner.clone();
        match self.workers.admit(request.call().meta()) {
            Admission::Free => inner.respond(call, request),
            Admission::Placed(place) => Box::pin(async move {
                let _place = place;
                inner.respond(call, request).await
            }),
            Admission::Wait(places) => Box::pin(async move {
                let _place = places.wait().await;
                inner.respond(call, request).await
            }),
        }
    }

    fn session_closed(&self, session: &Arc<Session>) {
        self.inner.session_closed(session);
    }
}

/// A place that is taken.
struct Placed {
    places: Arc<Places>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Workers {
    pub(super) fn new(normal: usize, urgent: usize) -> Self {
        Self { normal: Places::new(normal.max(1)), urgent: Places::new(urgent) }
    }

    pub(super) fn resize(&self, normal: usize, urgent: usize) {
        self.normal.resize(normal.max(1));
        self.urgent.resize(urgent);
    }

    /// `responder`, but its calls wait here until there is a place for them.
    pub(crate) fn before(&self, inner: Arc<dyn Responder>) -> Arc<dyn Responder> {
        Arc::new(Worked { workers: self.clone(), inner })
    }

    fn admit(&self, call: &Meta) -> Admission {
        if call.class != Class::Host {
            return Admission::Free;
        }
        let urgent = (call.priority == Priority::High).then_some(&self.urgent);
        for places in [Some(&self.normal), urgent].into_iter().flatten() {
            if let Ok(permit) = places.free.clone().try_acquire_owned() {
                return Admission::Placed(places.placed(permit));
            }
        }
        Admission::Wait(self.normal.clone())
    }

    pub(super) fn pool(&self, sizes: PoolSizes) -> Pool {
        Pool {
            sizes,
            places: self.normal.size().now,
            free: self.normal.free.available_permits(),
            waiting: self.normal.waiting.load(Ordering::Relaxed),
        }
    }
}

impl Places {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(size)),
            size: Mutex::new(Size { now: size, wanted: size }),
            waiting: AtomicUsize::new(0),
        })
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn placed(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Placed {
        Placed { places: self.clone(), permit: Some(permit) }
    }

    /// Waits in line for a place.
    async fn wait(self: Arc<Self>) -> Placed {
        let _line = Line::join(&self);
        // The semaphore is never closed: there is always a permit.
        let permit = self.free.clone().acquire_owned().await.ok();
        Placed { places: self.clone(), permit }
    }

    /// Free places go at once; those of calls that run go when the calls have ended.
    fn resize(&self, wanted: usize) {
        let mut size = self.size();
        size.wanted = wanted;
        if wanted >= size.now {
            self.free.add_permits(wanted - size.now);
            size.now = wanted;
        } else {
            size.now -= self.free.forget_permits(size.now - wanted);
        }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        let mut size = self.places.size();
        if size.now > size.wanted
            && let Some(permit) = self.permit.take()
        {
            size.now -= 1;
            permit.forget();
        }
    }
}

/// One who waits for a place, also if it gives up.
struct Line<'a>(&'a AtomicUsize);

impl<'a> Line<'a> {
    fn join(places: &'a Places) -> Self {
        places.waiting.fetch_add(1, Ordering::Relaxed);
        Self(&places.waiting)
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
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
        let more = [workers.admit(&low), workers.admit(&low), workers.admit(&low)];
        assert!(more.iter().all(|one| matches!(one, Admission::Placed(_))));
        workers.resize(1, 0);
        assert_eq!(workers.normal.size().now, 3, "calls that run keep their places");
        drop(more);
        assert_eq!(workers.normal.size().now, 1);
        let _last = workers.admit(&low);
        assert!(matches!(workers.admit(&low), Admission::Wait(_)));
    }

    #[tokio::test]
    async fn those_who_wait_are_counted_and_come_next() {
        let workers = Workers::new(1, 0);
        let low = call(Class::Host, Priority::Low);
        let first = workers.admit(&low);
        let Admission::Wait(places) = workers.admit(&low) else { panic!("there was one place") };
        let waiting = tokio::spawn(places.wait());
        let depth = || workers.normal.waiting.load(Ordering::Relaxed);
        while depth() == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let _second = waiting.await.unwrap();
        assert_eq!(depth(), 0);
        assert!(matches!(workers.admit(&low), Admission::Wait(_)));
    }
}
