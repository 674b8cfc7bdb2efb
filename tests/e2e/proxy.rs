// SPDX-License-Identifier: Apache-2.0 OR MIT
//! virtproxyd: clients that know only libvirtd's socket, handed on to the daemon of their URI.

use std::fs;

use virtus_tests::{Container, DEADLINE, Guest, Options, Outcome, Testbed, wait_for};

use crate::access::two_connections;
use crate::remote::{TLS, sasl_of, tls_of};
use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("every_client_gets_to_the_daemon_of_its_uri", forwards),
    ("clients_of_other_hosts_are_led_on_once_they_are_known", remote),
    ("uploads_and_downloads_arrive_by_tcp_and_tls", uploads),
    ("descriptors_go_through_both_ways", descriptors),
    ("calls_in_flight_end_with_the_daemon_behind", in_flight),
    ("one_user_does_not_take_all_places_of_the_proxy", one_user),
];

/// The proxy, with these lines of configuration.
fn proxy(conf: &str) -> Outcome<Testbed> {
    let daemon_conf = conf.to_owned();
    let options = Options { daemon: Some("virtproxyd"), daemon_conf, ..Options::default() };
    let bed = Testbed::with(&options)?;
    if bed.is_ours() {
        return Ok(bed);
    }
    Err(Skip("the stock daemon here has no proxy".to_owned()).into())
}

fn forwards() -> Outcome {
    let bed = proxy("")?;
    // What is not there is named, with the unit that starts it.
    let refused = bed.virsh_fails("list")?;
    contains(&refused, "Failed to connect socket to '")?;
    contains(&refused, "systemctl start virtqemud.socket")?;
    // Drivers of its own it serves itself.
    let test = bed.uri_of("test", "/default");
    equal("test driver", bed.run("virsh", &["-c", &test, "list", "--name"])?.out.trim(), "test")?;

    start_behind(&bed, "virtqemud")?;
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
    drop(console);
    signal_behind(&bed, "KILL")?;
    events.expect("events received", DEADLINE)?;
    start_behind(&bed, "virtqemud")?;
    equal("survivor", bed.virsh("domstate proxied")?, "running".to_owned())?;
    bed.virsh("destroy proxied")?;
    wait_for("the end", DEADLINE, || Ok(bed.virsh("domstate proxied")? == "shut off"))
}

fn remote() -> Outcome {
    let (bed, _authority) = sasl_of(
        "virtproxyd",
        "listen_tls = 1\nauth_tls = \"sasl\"\nlisten_tcp = 1\nauth_tcp = \"none\"\ntcp_port = \"16994\"\n",
    )?;
    let tls = |file: &str| {
        let (pki, passwords) = (bed.path("good"), bed.path(file));
        let (pki, passwords) = (pki.display(), passwords.display());
        format!("qemu+tls://127.0.0.1:{TLS}/system?pkipath={pki}&authfile={passwords}")
    };
    let ask = |uri: &str, words: &[&str]| bed.run("virsh", &[&["--connect", uri], words].concat());
    // Who is not known does not learn what is there.
    contains(&ask(&tls("wrong"), &["list"])?.err, "authentication failed")?;
    contains(&ask(&tls("right"), &["list"])?.err, "systemctl start virtqemud.socket")?;

    start_behind(&bed, "virtqemud")?;
    contains(&ask(&tls("wrong"), &["list"])?.err, "authentication failed")?;
    bed.define(&Guest::firmware("far"))?;
    for uri in [tls("right"), "qemu+tcp://127.0.0.1:16994/system".to_owned()] {
        contains(&ask(&uri, &["list", "--all"])?.out, "far")?;
        contains(&ask(&uri, &["start", "far"])?.out, "started")?;
        // Larger than one record, and than what a socket takes at once.
        contains(&ask(&uri, &["domcapabilities"])?.out, "</domainCapabilities>")?;
        contains(&ask(&uri, &["destroy", "far"])?.out, "destroyed")?;
        let refused = ask(&uri, &["--readonly", "start", "far"])?;
        contains(&refused.err, "read only access prevents")?;
    }
    Ok(())
}

fn uploads() -> Outcome {
    let conf = "listen_tls = 1\nlisten_tcp = 1\nauth_tcp = \"none\"\ntcp_port = \"16994\"\n";
    let (bed, _authority) = tls_of("virtproxyd", conf)?;
    if !bed.is_ours() {
        return Err(Skip("stock's test driver keeps nothing in volumes".to_owned()).into());
    }
    start_behind(&bed, "virtlxcd")?;
    let eats = "busybox stty raw -echo; while busybox head -c 1 >/dev/null; do \
                echo ready; busybox head -c 3000000 | busybox md5sum; done";
    let init = format!(
        "<init>/bin/sh</init><initarg>-c</initarg><initarg>{}</initarg>",
        eats.replace('>', "&gt;")
    );
    let eater = bed.write("eater.xml", &Container::busybox(&bed, "eater")?.init(&init).xml())?;
    let created = bed.run("virsh", &["-c", &bed.uri_of("lxc", "/system"), "create", &eater])?;
    equal(&created.err, created.ok(), true)?;
    let certificate = format!("?pkipath={}", bed.path("good").display());
    for (way, port, rest) in [("tcp", "16994", ""), ("tls", TLS, certificate.as_str())] {
        // The proxy's own driver, then one of a daemon behind it.
        let uri = format!("test+{way}://127.0.0.1:{port}/default{rest}");
        contains(&bed.python_done("volume_streams.py", &["--briefly", &uri])?, "all good")?;
        let uri = format!("lxc+{way}://127.0.0.1:{port}/system{rest}");
        contains(&bed.python_done("console_upload.py", &[&uri, "eater"])?, "all good")?;
    }
    Ok(())
}

fn descriptors() -> Outcome {
    let bed = proxy("")?;
    start_behind(&bed, "virtlxcd")?;
    let uri = bed.uri_of("lxc", "/system");
    let init = "<init>/bin/sh</init><initarg>-c</initarg><initarg>cat &lt;&amp;3 >/passed; exec sleep 1000</initarg>";
    let heir = bed.write("heir.xml", &Container::busybox(&bed, "heir")?.init(init).xml())?;
    let passed = bed.write("passed", "one\n")?;
    let virsh = |line: &str| {
        bed.run("bash", &["-c", &format!("exec 7<{passed}; exec virsh -c '{uri}' {line}")])
    };
    let started = virsh(&format!("create {heir} --pass-fds 7"))?;
    equal(&started.err, started.ok(), true)?;
    let passed = bed.path("roots/heir/passed");
    wait_for("what was passed", DEADLINE, || {
        Ok(fs::read_to_string(&passed).is_ok_and(|text| text == "one\n"))
    })?;
    // Those of its namespaces come back.
    let entered = virsh("lxc-enter-namespace heir --noseclabel /bin/busybox ls /passed")?;
    equal(&entered.err, entered.out.trim(), "/passed")
}

fn in_flight() -> Outcome {
    let bed = proxy("keepalive_interval = 1\nkeepalive_count = 1\n")?;
    start_behind(&bed, "virtqemud")?;
    let mut client = bed.terminal("")?;
    client.ask("list --all", "State", DEADLINE)?;
    signal_behind(&bed, "STOP")?;
    client.keys("nodecpustats\n")?;
    signal_behind(&bed, "KILL")?;
    client.ask("nodecpustats", "error: ", DEADLINE)?;

    // One that stays and says nothing is given up.
    start_behind(&bed, "virtqemud")?;
    let mut client = bed.terminal("")?;
    client.ask("list --all", "State", DEADLINE)?;
    signal_behind(&bed, "STOP")?;
    client.ask("nodecpustats", "error: ", DEADLINE)
}

fn one_user() -> Outcome {
    let bed = proxy("max_user_clients = 2\nunix_sock_rw_perms = \"0777\"\n")?;
    start_behind(&bed, "virtqemud")?;
    two_connections(&bed)
}

/// A daemon behind, in the background.
fn start_behind(bed: &Testbed, daemon: &str) -> Outcome {
    let started = bed.virtus(&[daemon, "-d"])?;
    equal(&started.err, started.ok(), true)
}

/// Sends a signal to the virtqemud behind.
fn signal_behind(bed: &Testbed, signal: &str) -> Outcome {
    let pid = fs::read_to_string(bed.path("run/virtqemud.pid"))?.trim().parse()?;
    bed.signal(signal, pid)
}
