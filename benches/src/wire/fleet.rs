// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Many definitions: how soon a daemon that starts can list them, and what lists, statistics and memory cost.

use std::time::{Duration, Instant};

use virtus_benches::{Client, Round, median, micros};
use virtus_tests::{Backend, Outcome};

use crate::calls::daemon;
use crate::rest::{START, memory_at_rest, wait_until_at_rest};

const URI: &str = "qemu:///system";

/// Lists and statistics of a round.
const TIMES: usize = 10;

/// One daemon's life with a fleet of `count`.
pub(crate) fn round(backend: &Backend, count: u32) -> Outcome<Round> {
    let mut bed = daemon(backend.clone())?;
    bed.stop()?;
    let folder = bed.path("etc/libvirt/qemu");
    std::fs::create_dir_all(&folder)?;
    for number in 0..count {
        std::fs::write(folder.join(format!("fleet-{number}.xml")), definition(number))?;
    }
    let begin = Instant::now();
    bed.start()?;
    let mut client = wait_for_all(&bed.socket(), count)?;
    let mut round = Round::new();
    round.insert("restart to first list", micros(begin.elapsed()));
    wait_until_at_rest(&bed)?;
    round.insert("list", times(|| client.list().map(drop))?);
    round.insert("statistics", times(|| client.stats().map(drop))?);
    drop(client);
    round.insert("memory", memory_at_rest(&bed)?);
    Ok(round)
}

/// A client of a daemon that knows the whole fleet. A daemon that still loads does not answer, or answers with less.
fn wait_for_all(socket: &std::path::Path, count: u32) -> Outcome<Client> {
    let end = Instant::now() + START;
    loop {
        if let Ok(mut client) = Client::open(socket, URI)
            && client.list().ok() == Some(count)
        {
            return Ok(client);
        }
        if Instant::now() > end {
            return Err(format!("the daemon did not list its domains in {START:?}").into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn times(mut work: impl FnMut() -> Outcome) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begin = Instant::now();
        work()?;
        times.push(micros(begin.elapsed()));
    }
    Ok(median(&mut times))
}

/// A guest as virt-install makes them: a disk, a card, a console, a screen.
fn definition(number: u32) -> String {
    let (high, low) = (number / 256, number % 256);
    format!(
        "<domain type='qemu'><name>fleet-{number}</name><uuid>7e57ab1e-0000-4000-8000-0000{number:08x}</uuid>\
         <memory unit='MiB'>1024</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <features><acpi/><apic/></features><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><devices>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/images/{number}.qcow2'/>\
         <target dev='vda' bus='virtio'/></disk><interface type='bridge'><mac address='52:54:00:00:{high:02x}:{low:02x}'/>\
         <source bridge='br0'/><model type='virtio'/></interface><serial type='pty'/><console type='pty'/>\
         <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\
         <graphics type='vnc' port='-1'/><video><model type='virtio'/></video><memballoon model='virtio'/>\
         <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices></domain>"
    )
}
