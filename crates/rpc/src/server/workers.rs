// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How many `Host` calls run at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use virtus_api::{AnyReply, AnyRequest, CallId, Class, Meta, Priority, Result};
use virtus_core::{BoxFuture, Call, Identity, Responder, Session};

use super::{Limits, Pool, PoolSizes, Shares, User};

/// The places for calls that work on this host.
#[derive(Clone)]
pub(crate) struct Workers {
    normal: Arc<Places>,
    urgent: Arc<Places>,
    shares: Arc<Shares>,
    /// How many places one user may take.
    share: Arc<AtomicUsize>,
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
        let meta = request.call().meta();
        if meta.class != Class::Host {
            return self.inner.respond(call, request);
        }
        let (workers, inner) = (self.workers.clone(), self.inner.clone());
        Box::pin(async move {
            let _place = workers.place(meta, &call.session.identity).await;
            inner.respond(call, request).await
        })
    }

    fn session_closed(&self, session: &Arc<Session>) {
        self.inner.session_closed(session);
    }
}

/// A place that is taken.
struct Placed {
    places: Arc<Places>,
    permit: Option<OwnedSemaphorePermit>,
    _share: Option<OwnedSemaphorePermit>,
}

impl Workers {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            normal: Places::new(limits.max_workers.max(1)),
            urgent: Places::new(limits.prio_workers),
            shares: Arc::default(),
            share: Arc::new(AtomicUsize::new(limits.max_user_requests)),
        }
    }

    pub(super) fn resize(&self, limits: &Limits) {
        self.normal.resize(limits.max_workers.max(1));
        self.urgent.resize(limits.prio_workers);
        self.share.store(limits.max_user_requests, Ordering::Relaxed);
    }

    /// `responder`, but its calls wait here until there is a place for them.
    pub(crate) fn before(&self, inner: Arc<dyn Responder>) -> Arc<dyn Responder> {
        Arc::new(Worked { workers: self.clone(), inner })
    }

    /// A place for a call, as soon as its user and everybody have one left.
    async fn place(&self, call: &Meta, who: &Identity) -> Placed {
        let user = User::of(who);
        let share = match user.is_root() {
            true => None,
            false => {
                let share = self.shares.of(user, self.share.load(Ordering::Relaxed));
                // Never closed: there is always a permit.
                share.acquire_owned().await.ok()
            }
        };
        let urgent = (call.priority == Priority::High).then_some(&self.urgent);
        for places in [Some(&self.normal), urgent].into_iter().flatten() {
            if let Ok(permit) = places.free.clone().try_acquire_owned() {
                return places.placed(permit, share);
            }
        }
        self.normal.clone().wait(share).await
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

    fn placed(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        share: Option<OwnedSemaphorePermit>,
    ) -> Placed {
        Placed { places: self.clone(), permit: Some(permit), _share: share }
    }

    /// Waits in line for a place.
    async fn wait(self: Arc<Self>, share: Option<OwnedSemaphorePermit>) -> Placed {
        let _line = Line::join(&self);
        // The semaphore is never closed: there is always a permit.
        let permit = self.free.clone().acquire_owned().await.ok();
        Placed { places: self.clone(), permit, _share: share }
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
    use futures_util::FutureExt as _;

    use super::*;

    fn workers(max_workers: usize, prio_workers: usize, max_user_requests: usize) -> Workers {
        let limits = Limits { max_workers, prio_workers, max_user_requests, ..Limits::default() };
        Workers::new(&limits)
    }

    fn host_call(priority: Priority) -> &'static Meta {
        let mut all = CallId::ALL.iter().map(|call| call.meta());
        all.find(|meta| meta.class == Class::Host && meta.priority == priority).unwrap()
    }

    fn user(uid: u32) -> Identity {
        Identity { uid: Some(uid), ..Identity::default() }
    }

    /// A place that is free now.
    fn now(workers: &Workers, priority: Priority, uid: u32) -> Option<Placed> {
        workers.place(host_call(priority), &user(uid)).now_or_never()
    }

    #[test]
    fn host_calls_share_places_and_urgent_ones_have_more() {
        let workers = workers(1, 1, 9);
        let low = || now(&workers, Priority::Low, 0);
        let high = || now(&workers, Priority::High, 0);
        let first = low().unwrap();
        assert!(low().is_none());
        let _second = high().unwrap();
        assert!(high().is_none());
        drop(first);
        assert!(low().is_some());
        let resize = |max_workers| {
            workers.resize(&Limits { max_workers, prio_workers: 0, ..Limits::default() });
        };
        resize(3);
        let more = [low(), low(), low()];
        assert!(more.iter().all(Option::is_some));
        resize(1);
        assert_eq!(workers.normal.size().now, 3, "calls that run keep their places");
        drop(more);
        assert_eq!(workers.normal.size().now, 1);
        let _last = low().unwrap();
        assert!(low().is_none());
    }

    #[test]
    fn no_user_but_root_takes_all_places() {
        let workers = workers(3, 0, 1);
        let low = |uid| now(&workers, Priority::Low, uid);
        let first = low(7).unwrap();
        assert!(low(7).is_none());
        let others = [low(0), low(8)];
        assert!(others.iter().all(Option::is_some));
        drop((first, others));
        assert!([low(0), low(0), low(0)].iter().all(Option::is_some));
        assert!(low(7).is_some());
    }

    #[tokio::test]
    async fn those_who_wait_are_counted_and_come_next() {
        let workers = workers(1, 0, 9);
        let first = now(&workers, Priority::Low, 0).unwrap();
        let of_all = workers.clone();
        let waiting =
            tokio::spawn(async move { of_all.place(host_call(Priority::Low), &user(0)).await });
        let depth = || workers.normal.waiting.load(Ordering::Relaxed);
        while depth() == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let _second = waiting.await.unwrap();
        assert_eq!(depth(), 0);
        assert!(now(&workers, Priority::Low, 0).is_none());
    }
}
