// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daemon as a program: its command line, its start and end, its sockets, its configuration and log.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use virtus_tests::{
    Backend, DEADLINE, Guest, Options, Outcome, Testbed, built_program, daemon_program, wait_for,
};

use crate::access::awaited_reader_of;
use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("it_ends_politely_and_leaves_guests_alone", polite_end),
    ("a_second_one_is_refused", second_daemon),
    ("words_of_the_command_line", command_line),
    ("it_goes_to_the_background_when_it_is_ready", background),
    ("it_ends_when_nobody_needs_it", idle_end),
    ("sockets_may_come_from_systemd", socket_activation),
    ("sighup_reloads_and_disturbs_nobody", reload),
    ("the_configuration_may_say_the_hosts_uuid", host_uuid),
    ("sighup_ends_no_daemon_that_starts", early_reload),
    ("the_log_goes_where_it_is_told_to", log),
    ("a_mistake_in_the_configuration_is_explained", bad_configuration),
    ("a_user_has_a_session_of_their_own", session),
];

/// These look into our own daemon's ways; the stock one has its own tests.
fn ours_only() -> Outcome {
    if Backend::chosen()? == Backend::Ours {
        Ok(())
    } else {
        Err(Skip("ours only".to_owned()).into())
    }
}

fn polite_end() -> Outcome {
    let mut bed = Testbed::new()?;
    bed.define(&Guest::firmware("left"))?;
    bed.virsh("start left")?;
    equal("exit code", bed.stop()?, Some(0))?;
    equal("answers", UnixStream::connect(bed.socket()).is_ok(), false)?;
    // The guest is nobody's business but its own.
    bed.qemu_pid("left")?;
    bed.start()?;
    wait_for(
        "the guest to be taken over",
        DEADLINE,
        || Ok(bed.virsh("domstate left")? == "running"),
    )
}

fn second_daemon() -> Outcome {
    let bed = Testbed::new()?;
    ours_only()?;
    let root = format!("VIRTUS_ROOT={}", bed.path("").display());
    let program = daemon_program()?;
    let done = bed.run("env", &[&root, &program])?;
    equal("success of a second daemon", done.ok(), false)?;
    contains(&done.err, "pid")?;
    bed.virsh("list").map(drop)
}

fn command_line() -> Outcome {
    let bed = Testbed::with(&Options {
        arguments: vec!["--timeout".to_owned(), "600".to_owned()],
        ..Options::default()
    })?;
    bed.virsh("list")?;
    if !bed.is_ours() {
        return Ok(());
    }
    let program = daemon_program()?;
    let version = bed.run(&program, &["--version"])?;
    equal("version", version.out.trim_end().ends_with("(libvirt) 11.3.0"), true)?;
    let help = bed.run(&program, &["--help"])?;
    for word in
        ["--help", "--daemon", "--config", "--pid-file", "--timeout", "--verbose", "--version"]
    {
        contains(&help.out, word)?;
    }
    let unknown = bed.run(&program, &["--no-such-word"])?;
    equal("success with an unknown word", unknown.ok(), false)
}

fn background() -> Outcome {
    ours_only()?;
    let bed = Testbed::without_daemon(&Options::default())?;
    let pid_file = bed.path("own.pid").display().to_string();
    let root = format!("VIRTUS_ROOT={}", bed.path("").display());
    let done = bed.run("env", &[&root, &daemon_program()?, "--daemon", "--pid-file", &pid_file])?;
    equal(&done.err, done.ok(), true)?;
    // No waiting: it is ready when the first process has ended.
    UnixStream::connect(bed.socket())?;
    let pid = std::fs::read_to_string(&pid_file)?.trim().parse()?;
    let words = bed
        .processes()?
        .into_iter()
        .find(|process| process.pid == pid)
        .ok_or("no such process")?
        .words;
    contains(&words.join(" "), "virtqemud")?;
    bed.signal("TERM", pid)?;
    wait_for("its end", DEADLINE, || Ok(bed.processes()?.is_empty()))?;
    equal("socket", bed.socket().exists(), false)
}

fn idle_end() -> Outcome {
    ours_only()?;
    let until = |timeout: &str| Options {
        arguments: vec!["--timeout".to_owned(), timeout.to_owned()],
        ..Options::default()
    };
    let busy = Testbed::with(&until("600"))?;
    busy.define(&Guest::firmware("guest"))?;
    busy.virsh("start guest")?;
    busy.admin("daemon-timeout 1")?;
    let idle = Testbed::with(&until("1"))?;
    wait_for("the idle daemon's end", DEADLINE, || Ok(idle.processes()?.is_empty()))?;
    equal("socket", idle.socket().exists(), false)?;
    // It has had as long to end, but for its guest.
    busy.virsh("destroy guest")?;
    wait_for("the end of the other", DEADLINE, || Ok(busy.processes()?.is_empty()))
}

fn socket_activation() -> Outcome {
    ours_only()?;
    let bed = Testbed::without_daemon(&Options::default())?;
    let mut daemon =
        bed.python("activate.py", &[&bed.socket().display().to_string(), &daemon_program()?])?;
    daemon.expect("listening", DEADLINE)?;
    // The first client waits in the socket while the daemon starts.
    let done = bed.try_virsh("version --daemon")?;
    contains(&done.err, "")
        .and_then(|()| contains(&format!("{}{}", done.out, done.err), "11.3.0"))?;
    equal("its own sockets", bed.path("run/libvirt/virtqemud-sock-ro").exists(), false)
}

fn reload() -> Outcome {
    ours_only()?;
    let bed = Testbed::with(&Options {
        daemon_conf: "max_clients = 20\n".to_owned(),
        ..Options::default()
    })?;
    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    bed.write("etc/libvirt/virtqemud.conf", "max_clients = 40\n")?;
    bed.signal("HUP", bed.daemon_pid()?)?;
    bed.write("etc/libvirt/virtqemud.conf", "max_clients = \"what\n")?;
    bed.signal("HUP", bed.daemon_pid()?)?;
    bed.virsh("list")?;
    bed.define(&Guest::firmware("after"))?;
    events.expect("lifecycle after defined 0", DEADLINE).map(drop)
}

fn host_uuid() -> Outcome {
    ours_only()?;
    let conf = |digit| format!("host_uuid = \"5e1f0b4a-9c1d-4a55-8c8e-00000000000{digit}\"\n");
    let bed = Testbed::with(&Options { daemon_conf: conf(1), ..Options::default() })?;
    contains(&bed.virsh("capabilities")?, "<uuid>5e1f0b4a-9c1d-4a55-8c8e-000000000001</uuid>")?;
    bed.write("etc/libvirt/virtqemud.conf", &conf(2))?;
    bed.signal("HUP", bed.daemon_pid()?)?;
    wait_for("the other UUID", DEADLINE, || Ok(bed.virsh("capabilities")?.contains("000000000002")))
}

/// At two places of its start the daemon reads a FIFO, and with it what comes then.
fn early_reload() -> Outcome {
    ours_only()?;
    let bed = Testbed::without_daemon(&Options::default())?;
    let root = format!("VIRTUS_ROOT={}", bed.path("").display());
    let program = built_program("virtlockd")?;
    let left = bed.path("run/virtlockd-restart-exec.json");
    let conf = bed.path("etc/libvirt/virtlockd.conf");
    for fifo in [&left, &conf] {
        bed.run("mkfifo", &[fifo.to_str().ok_or("the path is not text")?])?;
    }
    let script = "echo $$; exec env \"$@\" --verbose 2>&1";
    let program = program.to_str().ok_or("the path is not text")?;
    let mut daemon = bed.lines("sh", &["-c", script, "sh", &root, program])?;
    let pid = daemon.expect("", DEADLINE)?.parse()?;
    let mut reading = awaited_reader_of(&left)?;
    for signal in ["HUP", "USR1"] {
        bed.signal(signal, pid)?;
    }
    // Of another process, which is as good as nothing.
    reading.write_all(b"{}")?;
    drop(reading);
    let reading = awaited_reader_of(&conf)?;
    bed.signal("HUP", pid)?;
    drop(reading);
    daemon.expect("virtlockd serves on", DEADLINE)?;
    drop(awaited_reader_of(&conf)?);
    daemon.expect("configuration reloaded", DEADLINE).map(drop)
}

fn log() -> Outcome {
    ours_only()?;
    let mut bed = Testbed::without_daemon(&Options::default())?;
    let file = bed.path("own.log");
    let conf = format!("log_level = 1\nlog_outputs = \"1:file:{}\"\n", file.display());
    bed.write("etc/libvirt/virtqemud.conf", &conf)?;
    bed.start()?;
    bed.virsh("list")?;
    wait_for("the log", DEADLINE, || {
        Ok(std::fs::read_to_string(&file)
            .is_ok_and(|text| text.contains(": info : ") || text.contains(": debug : ")))
    })?;
    // The daemon's first line names libvirt's version; tools look for it.
    contains(&std::fs::read_to_string(&file)?, "libvirt version: 11.3.0")
}

fn bad_configuration() -> Outcome {
    ours_only()?;
    let bed = Testbed::without_daemon(&Options::default())?;
    let root = format!("VIRTUS_ROOT={}", bed.path("").display());
    let program = daemon_program()?;
    bed.write("etc/libvirt/virtqemud.conf", "max_clients = 20\nmax_workers = [\n")?;
    let done = bed.run("env", &[&root, &program])?;
    equal("success", done.ok(), false)?;
    contains(&done.err, "virtqemud.conf")?;
    contains(&done.err, "list is not closed")?;
    let done = bed.run("env", &[&root, &program, "--config", "/nowhere/at.conf"])?;
    equal("success", done.ok(), false)?;
    contains(&done.err, "/nowhere/at.conf")
}

fn session() -> Outcome {
    ours_only()?;
    let bed = Testbed::without_daemon(&Options::default())?;
    // The target folder may be closed to others.
    let program = bed.path("virtqemud");
    std::fs::copy(daemon_program()?, &program)?;
    let home = bed.path("theirs");
    std::fs::create_dir(&home)?;
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o777))?;
    let text = home.display();
    let guest = bed.write("mine.xml", &Guest::firmware("mine").xml())?;
    let script = format!(
        "export HOME={text} XDG_RUNTIME_DIR={text}/run; mkdir -m 700 $XDG_RUNTIME_DIR; {} --daemon && \
         exec virsh -c \"qemu+unix:///session?socket=$XDG_RUNTIME_DIR/libvirt/virtqemud-sock\" 'define {guest}; start mine; list; destroy mine'",
        program.display()
    );
    let done = bed.run_as_nobody("sh", &["-c", &script])?;
    equal(&format!("{}{}", done.out, done.err), done.ok(), true)?;
    contains(&done.out, " 1    mine   running")?;
    equal("definition", home.join(".config/libvirt/qemu/mine.xml").exists(), true)
}
