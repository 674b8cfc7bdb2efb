// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Crowds of clients that do everything wrong, beside one that does everything right.
//!
//! `VIRTUS_SOAK` says how many bad ones come, if not 2,000; with 100,000 they come in crowds of 1,000.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use virtus_api::{
    CallId, ConnectDomainEventCallbackRegisterAny, ConnectGetCapabilities, ConnectListAllDomains,
    ConnectNumOfDomains, Program,
};
use virtus_tests::{DEADLINE, Guest, Outcome, Raw, Testbed, wait_for};
use virtus_wire::codec::request_shape;
use virtus_wire::frame::{Header, MessageKind, encode_frame};
use virtus_wire::program::{Address, address, number};
use virtus_wire::sample::{Random, sample};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[("crowds_of_bad_clients_harm_nobody", crowds)];

/// Bad clients that come side by side.
const HANDS: u64 = 4;

/// How long it is measured what calls take without them: other programs of a busy machine have had turns by then.
const IDLE: Duration = Duration::from_secs(3);

#[expect(clippy::print_stdout, reason = "the figures are what one runs this for")]
fn crowds() -> Outcome {
    let bed = Testbed::new()?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd serves nobody beside 20 silent clients".to_owned()).into());
    }
    let total: u64 = match std::env::var("VIRTUS_SOAK") {
        Ok(text) => text.parse()?,
        Err(_) => 2000,
    };
    let crowd = (total / 10).clamp(HANDS, 1000);
    bed.define(&Guest::firmware("vm"))?;
    let socket = bed.socket();
    // What is found out once is found out, and what is kept for reuse is there.
    let readers = bed.path("run/libvirt/virtqemud-sock-ro");
    bed.virsh("capabilities")?;
    visit(&readers, 0, crowd)?;
    let mut good = Raw::open(&socket)?;
    let start = Instant::now();
    let idle = percentiles(measure(&mut good, || start.elapsed() < IDLE)?);
    let descriptors = bed.daemon_descriptors()?;
    let memory = bed.daemon_memory("VmRSS")?;

    let over = AtomicBool::new(false);
    let (busy, came) = thread::scope(|scope| {
        let good = scope.spawn(|| {
            let goes_on = || !over.load(Ordering::Relaxed);
            measure(&mut good, goes_on).map_err(|error| error.to_string())
        });
        let came =
            (1..=total.div_ceil(crowd)).try_for_each(|number| visit(&readers, number, crowd));
        over.store(true, Ordering::Relaxed);
        let good = good.join().map_err(|_| "the good client panicked".to_owned());
        (good.flatten(), came)
    });
    came?;
    let made = busy.as_ref().map_or(0, Vec::len);
    let busy = percentiles(busy?);
    // Everything that the crowds have left behind goes.
    let mut left = 0;
    let gone = wait_for("the end of all bad clients", DEADLINE, || {
        left = bed.daemon_descriptors()?;
        Ok(left <= descriptors)
    });
    gone.map_err(|error| format!("{error}: {left} descriptors instead of {descriptors}"))?;
    // What is freed goes back a moment after clients have left.
    let allowed = memory + memory / 4 + 8 * 1024;
    let mut after = 0;
    let returned = wait_for("the memory of all bad clients", DEADLINE, || {
        after = bed.daemon_memory("VmRSS")?;
        Ok(after <= allowed)
    });
    println!(
        "{total} bad clients; the good one: {made} calls, median {:?}, 99 % within {:?} (idle: {:?}, {:?}); \
         memory {memory} KiB before, {after} KiB afterwards",
        busy.0, busy.1, idle.0, idle.1
    );
    // Whoever else wants this machine's cores may have a turn before the daemon has its own.
    let bearable = (idle.1 * 10).max(Duration::from_millis(100) * others()?);
    equal(&format!("99 % of calls within {bearable:?}: {:?}", busy.1), busy.1 <= bearable, true)?;
    returned.map_err(|error| format!("{error}: {after} KiB instead of {allowed}"))?;
    equal("a panic", bed.log().contains("panicked"), false)?;
    contains(&bed.virsh("list --all")?, "vm")
}

/// How many programs want each core, as the kernel counts them over the last minute.
fn others() -> Outcome<u32> {
    let load: f64 =
        fs::read_to_string("/proc/loadavg")?.split(' ').next().ok_or("no load average")?.parse()?;
    let cores = thread::available_parallelism()?.get();
    Ok((load / cores as f64).ceil().max(1.0) as u32)
}

/// How long the calls of a good client take.
fn measure(good: &mut Raw, goes_on: impl Fn() -> bool) -> Outcome<Vec<Duration>> {
    let mut took = Vec::new();
    while goes_on() {
        let start = Instant::now();
        let all = good.ask(&ConnectListAllDomains { need_results: 1, flags: 0 })?;
        took.push(start.elapsed());
        equal("domains", all.domains.len(), 1)?;
    }
    Ok(took)
}

/// Median and 99th percentile.
fn percentiles(mut took: Vec<Duration>) -> (Duration, Duration) {
    took.sort();
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
    (at(50), at(99))
}

/// A crowd comes, does its worst and goes.
fn visit(socket: &Path, number: u64, crowd: u64) -> Outcome {
    let done: Result<(), String> = thread::scope(|scope| {
        let hands: Vec<_> = (0..HANDS)
            .map(|hand| {
                scope.spawn(move || {
                    let mut random = Random::new(number * HANDS + hand);
                    let mut held = Vec::new();
                    for _ in 0..crowd / HANDS {
                        let kind = random.below(KINDS.len());
                        let (name, act) = KINDS[kind];
                        let mut raw = Raw::connect(socket)
                            .map_err(|error| format!("{name} cannot connect: {error}"))?;
                        // How far it gets is the daemon's decision.
                        let _cut_off = act(&mut raw, &mut random);
                        held.push(raw);
                    }
                    Ok(())
                })
            })
            .collect();
        hands
            .into_iter()
            .try_for_each(|hand| hand.join().map_err(|_| "a hand panicked".to_owned())?)
    });
    Ok(done?)
}

type Act = fn(&mut Raw, &mut Random) -> Outcome;

/// What a bad client does; afterwards it stays until its crowd goes.
const KINDS: &[(&str, Act)] = &[
    ("one who says nothing", |_, _| Ok(())),
    ("one who says half a word", |raw, _| send(raw, &[0, 0])),
    ("one who never finishes", |raw, _| send(raw, &[0, 0, 1, 0, 0x20, 0, 0x80, 0x86])),
    ("one who only asks how to prove itself", |raw, _| {
        raw.send_body(CallId::AuthList, &[])?;
        raw.answer().map(drop)
    }),
    ("one who says too little", |raw, _| {
        send(raw, &[0, 0, 0, 8, 0, 0, 0, 0])?;
        expect_end(raw)
    }),
    ("one who announces too much", |raw, _| {
        send(raw, &[0x7f, 0xff, 0xff, 0xff])?;
        expect_end(raw)
    }),
    ("one who talks nonsense", |raw, random| {
        let length = 28 + random.below(4000);
        send(raw, &random.bytes(length))
    }),
    ("one who announces descriptors and sends none", |raw, random| {
        let many = random.below(64);
        let header =
            Header { kind: MessageKind::CallWithFds, ..Header::call(address(CallId::AuthList), 1) };
        let mut frame = Vec::new();
        encode_frame(&header, many, &mut frame, |_| Ok(()))?;
        send(raw, &frame)
    }),
    ("one who calls what there is not", |raw, random| {
        open(raw)?;
        for _ in 0..20 {
            let program =
                if random.below(2) == 0 { number(Program::Remote) } else { random.number() as u32 };
            let to = Address { program, version: 1, procedure: random.number() as i32 };
            header(raw, Header::call(to, random.number() as u32))?;
        }
        Ok(())
    }),
    ("one who sends what only daemons send", |raw, random| {
        open(raw)?;
        let kinds = [
            MessageKind::Reply,
            MessageKind::Message,
            MessageKind::Stream,
            MessageKind::StreamHole,
            MessageKind::ReplyWithFds,
        ];
        for _ in 0..20 {
            let kind = kinds[random.below(kinds.len())];
            header(raw, Header { kind, ..Header::call(address(CallId::DomainOpenConsole), 7) })?;
        }
        Ok(())
    }),
    ("one who sends anything to any call", |raw, random| {
        open(raw)?;
        for _ in 0..10 {
            let call = CallId::ALL[random.below(CallId::COUNT)];
            let mut body = Vec::new();
            sample(&request_shape(call), random, &mut body);
            let cut = random.below(body.len() + 1);
            body.truncate(cut);
            raw.send_body(call, &body)?;
        }
        Ok(())
    }),
    ("one who floods", |raw, _| {
        open(raw)?;
        raw.socket().set_write_timeout(Some(Duration::from_millis(200)))?;
        for _ in 0..1000 {
            raw.send_body(CallId::ConnectNumOfDomains, &[])?;
        }
        Ok(())
    }),
    ("one who asks and does not listen", |raw, _| {
        open(raw)?;
        raw.ask(&ConnectDomainEventCallbackRegisterAny { event_id: 0, dom: None })?;
        raw.socket().set_write_timeout(Some(Duration::from_millis(200)))?;
        for _ in 0..40 {
            raw.send_body(CallId::ConnectGetCapabilities, &[])?;
        }
        Ok(())
    }),
    ("one who goes in the middle of an answer", |raw, _| {
        open(raw)?;
        raw.send_body(CallId::ConnectGetCapabilities, &[])?;
        let mut little = [0; 100];
        raw.socket().read_exact(&mut little)?;
        Ok(raw.socket().shutdown(std::net::Shutdown::Both)?)
    }),
    ("one who behaves for once", |raw, _| {
        open(raw)?;
        raw.ask(&ConnectNumOfDomains)?;
        raw.ask(&ConnectGetCapabilities).map(drop)
    }),
];

fn send(raw: &mut Raw, bytes: &[u8]) -> Outcome {
    Ok(raw.socket().write_all(bytes)?)
}

/// A message without a body.
fn header(raw: &mut Raw, header: Header) -> Outcome {
    let mut frame = Vec::new();
    encode_frame(&header, 0, &mut frame, |_| Ok(()))?;
    send(raw, &frame)
}

fn open(raw: &mut Raw) -> Outcome {
    raw.greet("qemu:///system")
}

/// The daemon hangs up at once.
fn expect_end(raw: &mut Raw) -> Outcome {
    let mut nothing = [0; 1];
    match raw.socket().read(&mut nothing)? {
        0 => Ok(()),
        _ => Err("the daemon has answered".into()),
    }
}
