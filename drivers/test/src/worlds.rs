// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which worlds there are: one that all sessions of `test:///default` share for as long as any is open, and
//! one for each session of a file.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;
use virtus_api::{Error, Result};
use virtus_core::{Responder, Service, Session};
use virtus_host::blocking;

use crate::auth;
use crate::document::Document;
use crate::node::Node;
use crate::routes;
use crate::world::World;

/// The document of the shared world.
const DEFAULT: &str = include_str!("default.xml");

/// The worlds of this process.
#[derive(Default)]
pub(crate) struct Worlds {
    shared: Mutex<Shared>,
}

/// The shared world and how many sessions see it.
#[derive(Default)]
struct Shared {
    world: Arc<OnceCell<Arc<Service<World>>>>,
    sessions: usize,
}

impl Worlds {
    /// The world of `test:///default`, for one more session.
    pub(crate) async fn shared(self: &Arc<Self>) -> Result<Arc<dyn Responder>> {
        let entry = Entry::new(self);
        let cell = self.lock().world.clone();
        let world = cell.get_or_try_init(|| async {
            let mut document = Document::parse(DEFAULT, "(test:///default)")?;
            document.node.cells = Node::default_cells();
            let world = World::build(document, Some(self.clone())).await?;
            Ok::<_, Error>(service(world))
        });
        let world = world.await?.clone();
        entry.keep();
        Ok(world)
    }

    /// A world of its own for one session, as `file` describes it.
    pub(crate) async fn of_file(
        &self,
        file: PathBuf,
        session: &Session,
    ) -> Result<Arc<dyn Responder>> {
        let what = format!("reading '{}'", file.display());
        let document = blocking::run(&what, move || Document::read(&file)).await?;
        auth::check(&document.users, session)?;
        Ok(service(World::build(document, None).await?))
    }

    /// A session of the shared world has ended: whether it was the last, and the world ends.
    pub(crate) fn leave(&self) -> bool {
        let mut shared = self.lock();
        shared.sessions = shared.sessions.saturating_sub(1);
        let last = shared.sessions == 0;
        if last {
            shared.world = Arc::default();
        }
        last
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn service(world: World) -> Arc<Service<World>> {
    Service::new(Arc::new(world), routes::routes(), World::session_closed)
}

/// A session that enters the shared world; an open that fails or is given up leaves it again.
struct Entry<'a>(Option<&'a Worlds>);

impl<'a> Entry<'a> {
    fn new(worlds: &'a Worlds) -> Self {
        worlds.lock().sessions += 1;
        Self(Some(worlds))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(worlds) = self.0 {
            worlds.leave();
        }
    }
}
