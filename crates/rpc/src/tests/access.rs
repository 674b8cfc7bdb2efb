// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access control of every call in the table, before a driver that would answer all of them.

use std::sync::{Arc, Mutex};

use virtus_api::{AnyReply, AnyRequest, CallId, ErrorCode, Program, Result};
use virtus_core::access::{Authority, Gate, Question};
use virtus_core::events::NoEvents;
use virtus_core::{BoxFuture, Call, Connection, Identity, Responder, Session, Uri};
use virtus_wire::codec::{decode_any_reply, decode_request};

/// Enough zeros for every request and every reply.
const NOTHING: [u8; 4096] = [0; 4096];

/// Says the same to everything.
struct Always(bool);

impl Authority for Always {
    fn allows(&self, _: &Identity, _: &Question) -> BoxFuture<Result<bool>> {
        let allowed = self.0;
        Box::pin(async move { Ok(allowed) })
    }
}

/// Answers every call with nothing, and remembers which they were.
#[derive(Default)]
struct Willing(Mutex<Vec<CallId>>);

impl Responder for Willing {
    fn answers(&self, _: CallId) -> bool {
        true
    }

    fn respond(&self, _: Call, request: AnyRequest) -> BoxFuture<Result<AnyReply>> {
        self.0.lock().unwrap().push(request.call());
        Box::pin(async move { Ok(decode_any_reply(request.call(), &NOTHING).unwrap()) })
    }

    fn session_closed(&self, _: &Arc<Session>) {}
}

fn connection(allowed: bool) -> (Connection, Arc<Willing>) {
    let driver = Arc::new(Willing::default());
    let (gate, who, sink) = (Gate::new(Always(allowed)), Identity::default(), Arc::new(NoEvents));
    let session = Session::guarded(gate, "willing", who, false, Uri::default(), sink);
    (Connection::new(session, vec![driver.clone()]), driver)
}

/// The calls about objects.
fn all_calls() -> impl Iterator<Item = CallId> {
    let served = [Program::Remote, Program::Qemu, Program::Lxc];
    CallId::ALL.into_iter().filter(move |id| served.contains(&id.meta().program))
}

async fn ask(connection: &Connection, id: CallId) -> Result<AnyReply> {
    let request = decode_request(id, &NOTHING).unwrap();
    connection.respond(Call::new(connection.session().clone()), request).await
}

#[tokio::test]
async fn without_permissions_nothing_but_lookups_reaches_a_driver() {
    let (connection, driver) = connection(false);
    for id in all_calls() {
        let answer = ask(&connection, id).await;
        let (meta, reached) = (id.meta(), std::mem::take(&mut *driver.0.lock().unwrap()));
        if meta.acl.is_empty() {
            assert_eq!(reached, [id]);
            continue;
        }
        let code = answer.unwrap_err().code();
        // A document without a name is refused as such.
        let refused = matches!(code, ErrorCode::AccessDenied | ErrorCode::XmlDetail);
        assert!(refused, "{}: {code:?}", meta.name);
        for asked in reached {
            assert!(asked.meta().name.contains("Lookup"), "{}: {}", meta.name, asked.meta().name);
        }
    }
}

#[tokio::test]
async fn with_all_permissions_every_call_is_answered() {
    let (connection, _driver) = connection(true);
    for id in all_calls() {
        let code = ask(&connection, id).await.err().map(|error| error.code());
        assert!(matches!(code, None | Some(ErrorCode::XmlDetail)), "{}: {code:?}", id.meta().name);
    }
}
