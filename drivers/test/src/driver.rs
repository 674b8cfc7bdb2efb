// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a daemon starts the driver, and which URIs are its own.

use std::path::PathBuf;
use std::sync::Arc;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::rehearsal::Rehearsal;
use virtus_core::{
    BoxFuture, Driver, DriverEntry, Environment, Rehearsing, Responder, Role, Session, Starting,
    Uri,
};
use virtus_domain::{Machine, Origin};
use virtus_xml::domain::DomainType;
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use crate::guest::Test;
use crate::node::Node;
use crate::routes;
use crate::worlds::Worlds;

/// The driver as the table of daemons lists it.
pub const DRIVER: DriverEntry = DriverEntry {
    name: "Test",
    for_users: true,
    conf: None,
    calls: || routes::routes().calls(),
    start,
    rehearse,
};

/// The path of the world that sessions share.
const SHARED: &str = "/default";

/// Worlds end with their sessions, so that nothing here keeps a daemon or has to be let go of.
struct Started {
    worlds: Arc<Worlds>,
}

fn start(_: Environment) -> Starting {
    Box::pin(async { Ok(Arc::new(Started { worlds: Arc::default() }) as Arc<dyn Driver>) })
}

/// Nothing of this host would change.
fn rehearse(_: Environment, text: String) -> Rehearsing {
    Box::pin(async move {
        let parsed = Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::ABI_UPDATE)?;
        let mut def = parsed.value;
        if def.kind != DomainType::Test {
            return Ok(None);
        }
        Test { cpus: Node::default().most_cpus() }.complete(&mut def, Origin::User)?;
        let warnings = parsed.warnings.into_iter().map(|warning| {
            format!("line {}, column {}: {}", warning.line, warning.column, warning.text)
        });
        Ok(Some(Rehearsal {
            name: def.name.clone(),
            definition: def.format(FormatFlags::INACTIVE),
            warnings: warnings.collect(),
            ..Rehearsal::default()
        }))
    })
}

impl Driver for Started {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    fn role(&self) -> Role {
        Role::World
    }

    fn serves(&self, uri: &Uri) -> Result<bool> {
        if uri.scheme != "test" || uri.server.is_some() {
            return Ok(false);
        }
        if matches!(uri.path.as_str(), "" | "/") {
            let text = "testOpen: supply a path or use test:///default";
            return Err(Error::new(ErrorCode::InvalidArg, text).in_domain(ErrorDomain::Test));
        }
        Ok(true)
    }

    fn open(&self, session: &Arc<Session>) -> BoxFuture<Result<Arc<dyn Responder>>> {
        let (worlds, session) = (self.worlds.clone(), session.clone());
        Box::pin(async move {
            let opened = match session.uri.path.as_str() {
                SHARED => worlds.shared().await,
                file => worlds.of_file(PathBuf::from(file), &session).await,
            };
            opened.map_err(|error| error.or_domain(ErrorDomain::Test))
        })
    }
}
