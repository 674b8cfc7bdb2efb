// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A daemon that says anything to a client with calls and streams under way.
//!
//! Whatever comes, the client neither panics nor lets what it has to send grow without end.

use std::time::Instant;

use virtus_api::{
    AnyRequest, ConnectGetAllDomainStats, ConnectListAllDomains, DomainOpenConsole, DomainRef,
    StorageVolDownload, StorageVolRef,
};
use virtus_rpc::engine::{Arrival, Engine};
use virtus_wire::codec::reply_shape;
use virtus_wire::program;
use virtus_wire::sample::{Random, sample};

use super::Target;

pub(crate) const TARGET: Target = Target { name: "engine", run, seed };

/// The calls under way: their serials are 0, 1, ….
fn calls() -> Vec<AnyRequest> {
    let dom = DomainRef { name: "vm".into(), uuid: uuid::Uuid::nil(), id: 1 };
    let vol = StorageVolRef { pool: "p".into(), name: "v".into(), key: "k".into() };
    vec![
        AnyRequest::new(ConnectListAllDomains { need_results: 1, flags: 0 }),
        AnyRequest::new(ConnectGetAllDomainStats { doms: Vec::new(), stats: 0, flags: 0 }),
        AnyRequest::new(DomainOpenConsole { dom, dev_name: None, flags: 0 }),
        AnyRequest::new(StorageVolDownload { vol, offset: 0, length: 0, flags: 1 }),
    ]
}

fn run(input: &[u8]) {
    let mut engine = Engine::new();
    for request in calls() {
        assert!(engine.call(&request, Vec::new()).is_ok());
    }
    let now = Instant::now();
    for part in input.chunks(61) {
        engine.receive(part, None, now);
        loop {
            match engine.poll() {
                Ok(Some(Arrival::Packet { serial, packet })) => drop(engine.send(serial, packet)),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(engine.waiting() < (4 << 20) + 2 * input.len(), "{}", engine.waiting());
    }
}

/// A reply to one of the calls, or a packet of a stream.
fn seed(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..3 {
        let calls = calls();
        let serial = random.below(calls.len());
        let call = calls[serial].call();
        let address = program::address(call);
        let (kind, status) = [(1, 0), (3, 2), (3, 0), (6, 2), (1, 1)][random.below(5)];
        let mut body = Vec::new();
        if kind == 1 {
            sample(&reply_shape(call), random, &mut body);
        } else {
            let length = random.below(40);
            body = random.bytes(length);
        }
        let length = u32::try_from(28 + body.len()).unwrap_or(u32::MAX);
        let procedure = address.procedure.cast_unsigned();
        let serial = u32::try_from(serial).unwrap_or_default();
        for word in [length, address.program, address.version, procedure, kind, serial, status] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend_from_slice(&body);
    }
    bytes
}
