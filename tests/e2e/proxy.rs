// SPDX-License-Identifier: Apache-2.0 OR MIT
//! virtproxyd: clients that know only libvirtd's socket, handed on to the daemon of their URI.

use std::fs;

use virtus_tests::{DEADLINE, Guest, Options, Outcome, Testbed, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[("every_client_gets_to_the_daemon_of_its_uri", forwards)];

fn forwards() -> Outcome {
    let bed = Testbed::with(&Options { daemon: Some("virtproxyd"), ..Options::default() })?;
    if !bed.is_ours() {
        return Err(Skip("the stock daemon here has no proxy".to_owned()).into());
    }
    // What is not there is named, with the unit that starts it.
    let refused = bed.virsh_fails("list")?;
    contains(&refused, "Failed to connect socket to '")?;
    contains(&refused, "systemctl start virtqemud.socket")?;
    // Drivers of its own it serves itself.
    let test = bed.uri_of("test", "/default");
    equal("test driver", bed.run("virsh", &["-c", &test, "list", "--name"])?.out.trim(), "test")?;

    start_behind(&bed)?;
    let read_only = bed.uri_read_only();
    let words = ["-r", "-c", &read_only, "list", "--all"];
    equal("read-only", bed.run("virsh", &words)?.ok(), true)?;
    let nameless = format!("{}&name=", bed.uri());
    let done = bed.run("virsh", &["-c", &nameless, "capabilities"])?;
    contains(&done.out, "<capabilities>").map_err(|error| format!("{error}\n{}", done.err))?;

    // Streams and events, both ways.
    let mut events = bed.virsh_lines("event --event lifecycle --loop")?;
    let guest = Guest::linux("proxied")?;
    bed.define(&guest)?;
    bed.virsh("start proxied")?;
    events.expect("Started", DEADLINE)?;
    let mut console = bed.terminal("console proxied")?;
    console.expect("guest# ", DEADLINE)?;
    console.ask("echo six-$((2 * 3))", "six-6", DEADLINE)?;

    // Only the proxy itself speaks for others.
    let write = ["-r", "-c", &read_only, "destroy", "proxied"];
    contains(&bed.run("virsh", &write)?.err, "read only")?;

    // The daemon behind dies and comes back, and so do its clients.
    let pid = fs::read_to_string(bed.path("run/virtqemud.pid"))?.trim().parse()?;
    drop(console);
    bed.signal("KILL", pid)?;
    events.expect("events received", DEADLINE)?;
    start_behind(&bed)?;
    equal("survivor", bed.virsh("domstate proxied")?, "running".to_owned())?;
    bed.virsh("destroy proxied")?;
    wait_for("the end", DEADLINE, || Ok(bed.virsh("domstate proxied")? == "shut off"))
}

/// The daemon behind, in the background.
fn start_behind(bed: &Testbed) -> Outcome {
    let started = bed.virtus(&["virtqemud", "-d"])?;
    equal(&started.err, started.ok(), true)
}
