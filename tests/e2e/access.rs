// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may do what: read-only connections, and clients that connect and stay silent.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use virtus_tests::{DEADLINE, Guest, Lines, Options, Outcome, Testbed, promptly, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_read_only_connection_reads_and_changes_nothing", read_only),
    ("silent_clients_keep_nobody_out", silent_clients),
    ("one_user_does_not_take_all_places", one_user),
    ("one_users_calls_do_not_take_all_workers", one_users_calls),
];

fn read_only() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("seen"))?;
    bed.virsh("start seen")?;
    let uri = bed.uri_read_only();
    let ask = |line: &str| {
        bed.run(
            "virsh",
            &[&["--connect", &uri, "--readonly"], line.split(' ').collect::<Vec<_>>().as_slice()]
                .concat(),
        )
    };
    for line in
        ["list --all", "dominfo seen", "dumpxml seen", "domstate seen", "nodeinfo", "capabilities"]
    {
        let done = ask(line)?;
        equal(&format!("{line}: {}", done.err), done.ok(), true)?;
    }
    for line in [
        "destroy seen",
        "suspend seen",
        "undefine seen",
        "setmem seen 16384",
        "autostart seen",
        "dumpxml --security-info seen",
    ] {
        let done = ask(line)?;
        equal(&format!("success of {line}"), done.ok(), false)?;
        contains(&done.err, "operation forbidden")?;
    }
    // The socket decides, not what the client says of itself.
    let done = bed.run("virsh", &["--connect", &uri, "destroy", "seen"])?;
    equal("success through the read-only socket", done.ok(), false)?;
    contains(&done.err, "operation forbidden: read only access prevents")?;
    equal("state", bed.virsh("domstate seen")?, "running".to_owned())
}

fn silent_clients() -> Outcome {
    let bed = Testbed::new()?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd serves nobody beside 20 silent clients".to_owned()).into());
    }
    // What is done once only, such as asking QEMU what it can do, is done now.
    bed.virsh("list")?;
    let silent: Vec<UnixStream> =
        (0..30).map(|_| UnixStream::connect(bed.socket())).collect::<Result<_, _>>()?;
    for _ in 0..3 {
        let done = promptly(|| bed.try_virsh("list --all"))?;
        equal(&done.err, done.ok(), true)?;
    }
    drop(silent);
    bed.virsh("list").map(drop)
}

fn one_user() -> Outcome {
    let daemon_conf = "max_user_clients = 2\nunix_sock_rw_perms = \"0777\"\n".to_owned();
    let bed = Testbed::with(&Options { daemon_conf, ..Options::default() })?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd does not count clients by user".to_owned()).into());
    }
    two_connections(&bed)?;
    let held =
        (0..3).map(|_| bed.virsh_lines("event --all --loop")).collect::<Outcome<Vec<_>>>()?;
    bed.virsh("list")?;
    drop(held);
    bed.end_clients()
}

/// A user who may have two connections gets no third, until one of them ends.
pub(crate) fn two_connections(bed: &Testbed) -> Outcome {
    let script = bed.write("three.py", include_str!("python/three_connections.py"))?;
    let done = bed.run_as_nobody("/usr/bin/python3", &[&script, &bed.uri()])?;
    contains(&done.out, "87 ")?;
    contains(&done.out, "this user has 2 open connections already")?;
    equal(&done.err, done.out.trim().ends_with("again"), true)
}

/// The writer's end of a FIFO that somebody reads; `None` as long as nobody does.
fn reader_of(fifo: &Path) -> Option<File> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    File::options().write(true).custom_flags(nonblocking).open(fifo).ok()
}

/// The same, once somebody does.
pub(crate) fn awaited_reader_of(fifo: &Path) -> Outcome<File> {
    let mut writer = None;
    wait_for(&format!("a reader of {}", fifo.display()), DEADLINE, || {
        writer = reader_of(fifo);
        Ok(writer.is_some())
    })?;
    writer.ok_or_else(|| "nobody reads".into())
}

fn one_users_calls() -> Outcome {
    let daemon_conf = "max_user_requests = 1\nunix_sock_rw_perms = \"0777\"\n".to_owned();
    let bed =
        Testbed::with(&Options { daemon: Some("libvirtd"), daemon_conf, ..Options::default() })?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd does not count calls by user".to_owned()).into());
    }
    let uri = bed.uri_of("qemu", "/system");
    // To ask such a binary what it can do takes until somebody has opened its FIFO for writing, and closed it.
    let call = |user: fn(&Testbed, &str, &[&str]) -> Outcome<Lines>, name: &str| {
        let fifo = bed.path(name);
        let fifo_text = fifo.display().to_string();
        bed.run("mkfifo", &["-m", "666", &fifo_text])?;
        let binary =
            bed.write(&format!("{name}.sh"), &format!("#!/bin/sh\nexec cat {fifo_text}\n"))?;
        bed.run("chmod", &["755", &binary])?;
        let quietly = ["-c", "exec \"$@\" 2>/dev/null", "sh"];
        let virsh = ["virsh", "-c", &uri, "domcapabilities", "--emulatorbin", &binary];
        let lines = user(&bed, "sh", &[&quietly[..], &virsh].concat())?;
        Ok::<_, Box<dyn std::error::Error>>((fifo, lines))
    };
    let (first, _first) = call(Testbed::lines_as_nobody, "first")?;
    let held = awaited_reader_of(&first)?;
    let (second, _second) = call(Testbed::lines_as_nobody, "second")?;
    // One after the other, so that the second would have had its turn.
    for name in ["other", "another", "third"] {
        let (other, _other) = call(Testbed::lines, name)?;
        awaited_reader_of(&other)?;
    }
    equal("a second call of that user runs", reader_of(&second).is_some(), false)?;
    drop(held);
    awaited_reader_of(&second).map(drop)
}
