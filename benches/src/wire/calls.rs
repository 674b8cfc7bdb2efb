// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Small calls, many clients, events: what the server costs when the drivers have next to nothing to do.
//!
//! An event is measured with the call that causes it (suspend, resume), from sending that until the last client has read
//! the event; the call's own reply is read before.
//!
//! All of it is measured on a machine that does nothing else, and on one whose cores are all busy.

use std::path::PathBuf;
use std::time::Instant;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use virtus_benches::{Client, Load, Object, Round, median, micros};
use virtus_tests::{Backend, Options, Outcome, Testbed};

use crate::rest::{memory, memory_at_rest};

const URI: &str = "test:///default";

/// Calls of one client in a round.
const CALLS: u32 = 2000;

/// Calls of all clients together where there are many.
const TOGETHER: u32 = 8000;

/// A call while other clients sit there.
pub(crate) const BESIDE: &str = "a call beside idle clients";

/// From the call that causes an event until the last client has read it.
pub(crate) const HEARD: &str = "event to the last client";

/// Clients that sit there.
const IDLE: usize = 1000;

/// Clients that hear an event.
const LISTENERS: usize = 100;

/// Events of a round.
const EVENTS: usize = 20;

/// A daemon under measurement.
pub(crate) struct Calls {
    // Before the testbed: the connection ends first.
    client: Client,
    domain: Object,
    socket: PathBuf,
    /// The memory that the daemon held before its first client came.
    fresh: Round,
    /// Holds the daemon; it ends with this.
    bed: Testbed,
}

/// A monolithic daemon that takes as many clients as are to come.
pub(crate) fn daemon(backend: Backend) -> Outcome<Testbed> {
    let conf = "max_clients = 5000\nmax_anonymous_clients = 2000\n";
    let options =
        Options { daemon: Some("libvirtd"), daemon_conf: conf.to_owned(), ..Options::default() };
    Testbed::on(backend, &options)
}

impl Calls {
    pub(crate) fn start(backend: Backend) -> Outcome<Self> {
        let bed = daemon(backend)?;
        let fresh = Round::from([
            ("memory, freshly started", memory_at_rest(&bed)?),
            ("of that, in no file", memory(&bed, "RssAnon")?),
        ]);
        let socket = bed.socket();
        let mut client = Client::open(&socket, URI)?;
        let domain = client.lookup("test")?;
        Ok(Self { client, domain, socket, fresh, bed })
    }

    /// Everything once.
    pub(crate) fn round(&mut self) -> Outcome<Round> {
        let mut round = self.fresh.clone();
        round.insert("memory, between rounds", memory(&self.bed, "VmRSS")?);
        let before = self.bed.daemon_cpu_time()?;
        round.insert("round trip", self.on_one_core(Self::round_trip)?);
        let spent = micros(self.bed.daemon_cpu_time()? - before);
        round.insert("daemon CPU per call", spent / f64::from(CALLS));
        round.insert("8 clients, time per call", self.together(8)?);
        round.insert("64 clients, time per call", self.together(64)?);
        round.insert("a call beside 1000 idle clients", self.crowd(IDLE)?[BESIDE]);
        round.insert("event to one client", self.crowd(1)?[HEARD]);
        round.insert("event to the last of 100", self.crowd(LISTENERS)?[HEARD]);
        Ok(round)
    }

    /// The same while every core is busy.
    pub(crate) fn loaded_round(&mut self) -> Outcome<Round> {
        let _load = Load::on_every_core()?;
        self.round()
    }

    /// What `count` clients that only listen cost.
    pub(crate) fn crowd(&mut self, count: usize) -> Outcome<Round> {
        let mut listeners = self.clients(count)?;
        let beside = self.on_one_core(Self::round_trip)?;
        for listener in &mut listeners {
            listener.hear_lives()?;
        }
        let heard = self.on_one_core(|calls| calls.events(&mut listeners))?;
        Ok(Round::from([(BESIDE, beside), (HEARD, heard)]))
    }

    /// Does `work` while we share a core with the daemon. Else chance decides whether a call also wakes or interrupts
    /// another core, which takes longer than the call.
    fn on_one_core<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let all = sched_getaffinity(None)?;
        let mut one = CpuSet::new();
        one.set((0..CpuSet::MAX_CPU).find(|core| all.is_set(*core)).ok_or("no core")?);
        sched_setaffinity(None, &one)?;
        self.bed.keep_daemon_on(&one)?;
        let done = work(self);
        self.bed.keep_daemon_on(&all)?;
        sched_setaffinity(None, &all)?;
        done
    }

    fn clients(&self, count: usize) -> Outcome<Vec<Client>> {
        (0..count).map(|_| Client::open(&self.socket, URI)).collect()
    }

    /// The median time of a call that needs nothing.
    fn round_trip(&mut self) -> Outcome<f64> {
        let mut times = Vec::new();
        for _ in 0..CALLS {
            let begin = Instant::now();
            self.client.library_version()?;
            times.push(micros(begin.elapsed()));
        }
        Ok(median(&mut times))
    }

    /// The time per call while `count` clients call as fast as they can.
    fn together(&self, count: u32) -> Outcome<f64> {
        let clients = self.clients(usize::try_from(count)?)?;
        let begin = Instant::now();
        let ended: Result<(), String> = std::thread::scope(|scope| {
            let call = |mut client: Client| {
                move || -> Result<(), String> {
                    for _ in 0..TOGETHER / count {
                        client.library_version().map_err(|error| error.to_string())?;
                    }
                    Ok(())
                }
            };
            let threads: Vec<_> =
                clients.into_iter().map(|client| scope.spawn(call(client))).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(ended) => ended,
                Err(_) => Err("a client panicked".to_owned()),
            })
        });
        ended?;
        Ok(micros(begin.elapsed()) / f64::from(TOGETHER))
    }

    /// The median time from a call that causes an event until the last of the listeners has it.
    fn events(&mut self, listeners: &mut [Client]) -> Outcome<f64> {
        let mut times = Vec::new();
        for number in 0..EVENTS {
            let begin = Instant::now();
            if number % 2 == 0 {
                self.client.suspend(&self.domain)?;
            } else {
                self.client.resume(&self.domain)?;
            }
            for listener in &mut *listeners {
                listener.event()?;
            }
            times.push(micros(begin.elapsed()));
            // The next one finds the daemon at rest, and the core awake.
            self.client.library_version()?;
            listeners.last_mut().map_or(Ok(()), Client::library_version)?;
        }
        Ok(median(&mut times))
    }
}
