// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One daemon under measurement, and one round of measuring it.

use std::time::{Duration, Instant};

use virtus_benches::{Client, Object, Round, median, micros};
use virtus_tests::{Backend, Guest, Options, Outcome, Testbed};

use crate::bare::Bare;

const CALLS: usize = 2000;
const DEFINES: usize = 10;

/// A running daemon with one guest defined.
pub(crate) struct Daemon {
    // Before the testbed: the connection ends first.
    client: Client,
    guest: Guest,
    domain: Object,
    bare: Bare,
    /// Holds the daemon; it ends with this.
    bed: Testbed,
}

impl Daemon {
    pub(crate) fn start(backend: Backend, name: &str) -> Outcome<Self> {
        let bed = Testbed::on(backend, &Options::default())?;
        let mut client = Client::open(&bed.socket(), "qemu:///system")?;
        let guest = guest(&bed, name)?;
        let domain = client.define(&guest.xml())?;
        let running = client.start(&domain)?;
        let qemu = bed.processes()?.into_iter().find(|process| process.is_qemu(Some(name)));
        let bare = Bare::new(&qemu.ok_or("no QEMU")?.words, &bed.path(""));
        client.destroy(&running)?;
        Ok(Self { client, guest, domain, bare, bed })
    }

    /// Everything once.
    pub(crate) fn round(&mut self) -> Outcome<Round> {
        let mut round = Round::new();
        let (bare_start, bare_exit) = self.bare.measure()?;
        let begin = Instant::now();
        let running = self.client.start(&self.domain)?;
        let start = micros(begin.elapsed());
        // A guest that is destroyed at once is not what people destroy.
        std::thread::sleep(Duration::from_millis(300));
        let begin = Instant::now();
        self.client.destroy(&running)?;
        let destroy = micros(begin.elapsed());
        round.insert("start, whole", start);
        round.insert("bare QEMU until running", bare_start);
        round.insert("start, above bare QEMU", start - bare_start);
        round.insert("destroy, whole", destroy);
        round.insert("bare QEMU's exit", bare_exit);
        round.insert("destroy, above QEMU's exit", destroy - bare_exit);

        let xml = self.guest.xml();
        let (wall, cpu) = self.each(DEFINES, |daemon| daemon.client.define(&xml).map(drop))?;
        round.insert("define, wall", wall);
        round.insert("define, daemon CPU", cpu);
        let (wall, cpu) = self.each(CALLS, |daemon| daemon.client.library_version())?;
        round.insert("round trip, raw socket", wall);
        round.insert("round trip, daemon CPU", cpu);
        let name = self.guest.name().to_owned();
        let (wall, _) = self.each(CALLS / 4, |daemon| daemon.client.lookup(&name).map(drop))?;
        round.insert("lookup by name, round trip", wall);
        Ok(round)
    }

    /// The median wall time of one call, and the mean CPU time that it costs the daemon.
    fn each(
        &mut self,
        count: usize,
        mut call: impl FnMut(&mut Self) -> Outcome,
    ) -> Outcome<(f64, f64)> {
        let mut times = Vec::with_capacity(count);
        let before = self.bed.daemon_cpu_time()?;
        for _ in 0..count {
            let begin = Instant::now();
            call(self)?;
            times.push(micros(begin.elapsed()));
        }
        let spent = micros(self.bed.daemon_cpu_time()? - before);
        Ok((median(&mut times), spent / f64::from(u32::try_from(count)?)))
    }
}

/// An ordinary guest as far as devices go; what runs in it does not matter, so nothing does.
fn guest(bed: &Testbed, name: &str) -> Outcome<Guest> {
    let disk = bed.path("disk.qcow2").display().to_string();
    let made = bed.run("qemu-img", &["create", "-q", "-f", "qcow2", &disk, "1G"])?;
    if !made.ok() {
        return Err(made.err.into());
    }
    Ok(Guest::firmware(name)
        .memory(128)
        .head("<uuid>7e57ab1e-0000-4000-8000-00000000be9c</uuid>")
        .vcpus("<vcpu placement='static'>2</vcpu>")
        .with("<clock offset='utc'/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot>")
        .device(&format!(
            "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>"
        ))
        .device("<interface type='user'><mac address='52:54:00:be:9c:01'/><model type='virtio'/></interface>")
        .device("<serial type='pty'/><console type='pty'/><controller type='usb' model='qemu-xhci'/>")
        .device("<memballoon model='virtio'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"))
}
