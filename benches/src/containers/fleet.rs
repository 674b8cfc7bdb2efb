// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One daemon under measurement with its containers, and one round of measuring it.

use std::sync::Barrier;
use std::time::Instant;

use virtus_benches::{Client, Object, Round, micros};
use virtus_tests::{Backend, Container, Options, Outcome, Testbed};

const URI: &str = "lxc:///system";
const MANY: usize = 100;
const SLEEPS: &str = "<init>/bin/sleep</init><initarg>1000000</initarg>";
const CARD: &str = "<interface type='bridge'><source bridge='br7'/></interface>";

/// A running daemon with containers defined, each with a client of its own.
pub(crate) struct Fleet {
    // Before the testbed: the connections end first.
    plain: (Client, Object),
    carded: (Client, Object),
    many: Vec<(Client, Object)>,
    /// Holds the daemon; it ends with this.
    bed: Testbed,
}

impl Fleet {
    pub(crate) fn start(backend: Backend) -> Outcome<Self> {
        let options = Options { daemon: Some("virtlxcd"), ..Options::default() };
        let bed = Testbed::on(backend, &options)?;
        bed.bridge("br7", "192.168.77.1/24")?;
        let client = |container: &Container| -> Outcome<(Client, Object)> {
            let mut client = Client::open(&bed.socket(), URI)?;
            let domain = client.define(&container.xml())?;
            Ok((client, domain))
        };
        let plain = Container::busybox(&bed, "plain")?.init(SLEEPS);
        let carded = plain.clone().called("carded").device(CARD);
        // They share a root, which they do not write to.
        let many = (0..MANY).map(|number| client(&plain.clone().called(&format!("many-{number}"))));
        let many = many.collect::<Outcome<Vec<_>>>()?;
        Ok(Self { plain: client(&plain)?, carded: client(&carded)?, many, bed })
    }

    /// Everything once.
    pub(crate) fn round(&mut self) -> Outcome<Round> {
        let mut round = Round::new();
        for ((client, domain), started, destroyed) in [
            (&mut self.plain, "start", "destroy"),
            (&mut self.carded, "start, with a network card", "destroy, with a network card"),
        ] {
            let begin = Instant::now();
            let running = client.start(domain)?;
            round.insert(started, micros(begin.elapsed()));
            round.insert("a controller alone, PSS", controllers_memory(&self.bed, 1)?);
            let begin = Instant::now();
            client.destroy(&running)?;
            round.insert(destroyed, micros(begin.elapsed()));
        }
        round.insert(
            "100 started at once",
            at_once(&mut self.many, |client, domain| client.start(domain).map(drop))?,
        );
        round.insert("a controller of 100, PSS", controllers_memory(&self.bed, MANY)?);
        round.insert("100 destroyed at once", at_once(&mut self.many, Client::destroy)?);
        Ok(round)
    }
}

/// Microseconds until all clients have done something that they begin together.
fn at_once(
    clients: &mut [(Client, Object)],
    what: impl Fn(&mut Client, &Object) -> Outcome + Sync,
) -> Outcome<f64> {
    let barrier = Barrier::new(clients.len());
    let run = |(client, domain): &mut (Client, Object)| {
        barrier.wait();
        let begin = Instant::now();
        what(client, domain).map_err(|error| error.to_string())?;
        Ok::<_, String>((begin, Instant::now()))
    };
    let run = &run;
    let times = std::thread::scope(|scope| {
        let threads: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(move || run(client))).collect();
        let panicked = |_| Err("a client panicked".to_owned());
        let times = threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked));
        times.collect::<Result<Vec<_>, _>>()
    })?;
    let begin = times.iter().map(|(begin, _)| *begin).min().ok_or("no clients")?;
    let end = times.iter().map(|(_, end)| *end).max().ok_or("no clients")?;
    Ok(micros(end - begin))
}

/// The mean share of memory of each of `count` controllers, in MiB.
fn controllers_memory(bed: &Testbed, count: usize) -> Outcome<f64> {
    let mut processes = bed.processes()?;
    processes
        .retain(|process| process.words.first().is_some_and(|word| word.ends_with("libvirt_lxc")));
    if processes.len() != count {
        return Err(format!("{} controllers instead of {count}", processes.len()).into());
    }
    let mut sum = 0;
    for process in processes {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", process.host_pid))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        sum += kibibytes.ok_or("no PSS of a controller")?.parse::<u32>()?;
    }
    Ok(f64::from(sum) / 1024.0 / count as f64)
}
