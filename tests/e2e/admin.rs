// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The stock `virt-admin`: what it shows of a daemon and changes in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use virtus_tests::{Backend, DEADLINE, Guest, Options, Outcome, Testbed, daemon_program, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("every_command_answers_as_the_stock_daemon_does", like_stock),
    ("a_client_is_disconnected_and_others_stay", disconnect),
    ("limits_hold_at_once_and_never_lock_the_administrator_out", limits),
    ("the_log_changes_while_the_daemon_runs", log),
    ("clients_of_other_hosts_show_their_address", tcp_client),
    ("only_the_daemons_own_user_is_let_in", strangers),
    ("a_users_own_daemon_has_an_admin_socket_too", session),
    ("the_socket_may_come_from_systemd", activation),
    ("the_daemon_ends_when_nobody_needs_it_any_more", timeout),
    ("the_daemon_ends_when_it_is_told_to", shutdown),
];

/// What administrators call the server of the main socket.
fn server(bed: &Testbed) -> &'static str {
    if bed.socket().ends_with("libvirt-sock") { "libvirtd" } else { "virtqemud" }
}

/// The lines of `client-list`, each split into its columns.
fn clients(bed: &Testbed, server: &str) -> Outcome<Vec<Vec<String>>> {
    let list = bed.admin(&format!("client-list {server}"))?;
    let row = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    Ok(list.lines().skip(2).map(row).collect())
}

/// The value that stands behind `name` in what a command says.
fn value(text: &str, name: &str) -> Outcome<String> {
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    found.ok_or_else(|| format!("no {name} in:\n{text}").into())
}

/// Each command, in this order. `ID` is the number of a client that is connected all the time.
const COMMANDS: &[&str] = &[
    "server-list",
    "server-threadpool-info libvirtd",
    "server-threadpool-info admin",
    "server-threadpool-info nosuch",
    "server-threadpool-set libvirtd --max-workers 8",
    "server-threadpool-set libvirtd --min-workers 9",
    "server-threadpool-set libvirtd --max-workers 4",
    "server-threadpool-set libvirtd --min-workers 0 --max-workers 0",
    "server-threadpool-set libvirtd --min-workers 2 --max-workers 3 --priority-workers 7",
    "server-threadpool-info libvirtd",
    "server-clients-info libvirtd",
    "server-clients-info admin",
    "server-clients-info nosuch",
    "server-clients-set libvirtd --max-clients 10",
    "server-clients-set libvirtd --max-clients 100 --max-unauth-clients 50",
    "server-clients-set libvirtd --max-unauth-clients 101",
    "server-clients-info libvirtd",
    "client-list libvirtd",
    "client-list admin",
    "client-list nosuch",
    "client-info libvirtd ID",
    "client-info libvirtd 999",
    "client-disconnect libvirtd 999",
    "client-disconnect libvirtd ID",
    "daemon-log-filters '1:qemu 3:rpc'",
    "daemon-log-filters",
    "daemon-log-filters bogus",
    "daemon-log-filters 5:qemu",
    "daemon-log-filters 1:",
    "daemon-log-outputs '3:stderr'",
    "daemon-log-outputs",
    "daemon-log-outputs bogus",
    "daemon-log-outputs 9:stderr",
    "daemon-log-outputs 1:nowhere",
    "daemon-log-outputs 1:file",
    "daemon-timeout 600",
    "daemon-timeout --timeout 0",
    "version",
    "uri",
    "connect",
];

fn like_stock() -> Outcome {
    if Backend::chosen()? != Backend::Ours {
        return Err(Skip("compares ours with the stock daemon".to_owned()).into());
    }
    let options = Options { daemon: Some("libvirtd"), ..Options::default() };
    let beds = [Testbed::on(Backend::Ours, &options)?, Testbed::on(Backend::stock()?, &options)?];
    let mut held = Vec::new();
    let mut ids = Vec::new();
    for bed in &beds {
        let mut client = bed.python("events.py", &[])?;
        client.expect("ready", DEADLINE)?;
        held.push(client);
        let all = clients(bed, "libvirtd")?;
        ids.push(all.first().and_then(|row| row.first()).ok_or("no client")?.clone());
    }
    for line in COMMANDS {
        let mut said = Vec::new();
        for (bed, id) in beds.iter().zip(&ids) {
            let done = bed.try_admin(&line.replace("ID", id))?;
            said.push((done.code, shape(bed, &done.out), shape(bed, &done.err)));
        }
        equal(line, &said[0], &said[1])?;
    }
    Ok(())
}

/// What a command says, without what may differ: times, numbers of clients and processes, paths, how
/// many workers are there at the moment, and hints.
fn shape(bed: &Testbed, text: &str) -> String {
    let text = text.replace(&bed.admin_socket().display().to_string(), "SOCKET");
    let shown = |line: &str| {
        let words = line.split_whitespace().map(|word| {
            let date = word.len() >= 10 && word.starts_with("20") && word.contains('-');
            if date || word.contains("+0000") { "TIME" } else { word }
        });
        let line = words.collect::<Vec<_>>().join(" ");
        for name in ["nWorkers :", "freeWorkers :", "id :", "unix_process_id:"] {
            if line.starts_with(name) {
                return name.to_owned();
            }
        }
        match line.split_once(" unix TIME") {
            Some((_, rest)) => format!("NUMBER unix TIME{rest}"),
            None => line,
        }
    };
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.starts_with("hint: ")).map(shown).collect();
    // The stock daemon lists its servers in any order.
    if lines.first().is_some_and(|head| head == "Id Name") {
        let names = lines[2..].iter_mut();
        names.for_each(|line| *line = line.split(' ').skip(1).collect());
        lines[2..].sort();
    }
    lines.join("\n")
}

fn disconnect() -> Outcome {
    let bed = Testbed::new()?;
    let name = server(&bed);
    let mut staying = bed.python("events.py", &[])?;
    staying.expect("ready", DEADLINE)?;
    let before = clients(&bed, name)?;
    let mut going = bed.python("events.py", &[])?;
    going.expect("ready", DEADLINE)?;
    let after = clients(&bed, name)?;
    let id = &after.iter().find(|row| !before.contains(row)).ok_or("no new client")?[0];
    let info = bed.admin(&format!("client-info {name} {id}"))?;
    for (key, wanted) in
        [("transport", "unix"), ("readonly", "no"), ("unix_user_id", "0"), ("unix_group_id", "0")]
    {
        equal(key, value(&info, key)?.as_str(), wanted)?;
    }
    for key in ["unix_user_name", "unix_group_name"] {
        equal(key, value(&info, key)?.as_str(), "root")?;
    }
    let pid: u32 = value(&info, "unix_process_id")?.parse()?;
    let process = bed.processes()?.into_iter().find(|process| process.pid == pid);
    contains(&process.ok_or("no such process")?.words.join(" "), "events.py")?;
    bed.admin(&format!("client-disconnect {name} {id}"))?;
    going.expect("lost", DEADLINE)?;
    wait_for("the client's end", DEADLINE, || Ok(clients(&bed, name)? == before))?;
    contains(&bed.admin_fails(&format!("client-info {name} {id}"))?, "Client not found")?;
    bed.define(&Guest::firmware("after"))?;
    staying.expect("lifecycle after defined 0", DEADLINE).map(drop)
}

fn limits() -> Outcome {
    let bed = Testbed::new()?;
    let name = server(&bed);
    let mut first = bed.python("events.py", &[])?;
    first.expect("ready", DEADLINE)?;
    bed.admin(&format!("server-clients-set {name} --max-clients 1 --max-unauth-clients 1"))?;
    let mut second = bed.python("events.py", &[])?;
    // There is no place, and yet the administrator gets in, again and again.
    for _ in 0..5 {
        let info = bed.admin(&format!("server-clients-info {name}"))?;
        equal("clients", value(&info, "nclients")?.as_str(), "1")?;
        equal("the limit", value(&info, "nclients_max")?.as_str(), "1")?;
    }
    equal("lines of the one who waits", second.seen().len(), 0)?;
    bed.admin(&format!("server-clients-set {name} --max-clients 2"))?;
    second.expect("ready", DEADLINE)?;
    let info = bed.admin(&format!("server-clients-info {name}"))?;
    equal("clients", value(&info, "nclients")?.as_str(), "2")?;
    bed.admin(&format!("server-threadpool-set {name} --min-workers 1 --max-workers 2"))?;
    let info = bed.admin(&format!("server-threadpool-info {name}"))?;
    equal("workers", value(&info, "maxWorkers")?.as_str(), "2")
}

fn log() -> Outcome {
    let bed = Testbed::new()?;
    let file = bed.path("admin.log");
    let text = || fs::read_to_string(&file).unwrap_or_default();
    bed.admin("daemon-log-filters '1:rpc'")?;
    bed.admin(&format!("daemon-log-outputs 1:file:{}", file.display()))?;
    contains(&bed.admin("daemon-log-outputs")?, &format!("1:file:{}", file.display()))?;
    contains(&bed.admin("daemon-log-filters")?, "1:*rpc*")?;
    bed.virsh("list")?;
    wait_for("a line of the filter's category", DEADLINE, || Ok(text().contains(": debug : ")))?;
    contains(&text(), "libvirt version: 11.3.0")?;
    // What is wrong changes nothing.
    bed.admin_fails("daemon-log-outputs 1:file:/nonexistent/x.log")?;
    bed.admin_fails("daemon-log-filters '1:qemu nonsense'")?;
    contains(&bed.admin("daemon-log-outputs")?, &format!("1:file:{}", file.display()))?;
    contains(&bed.admin("daemon-log-filters")?, "1:*rpc*")?;
    bed.admin("daemon-log-outputs ''")?;
    let after = text().len();
    bed.virsh("list")?;
    equal("the file afterwards", text().len(), after)
}

fn tcp_client() -> Outcome {
    let bed = Testbed::with(&Options {
        daemon_conf: "listen_addr = \"127.0.0.1\"\nlisten_tls = 0\nlisten_tcp = 1\n\
                      auth_tcp = \"none\"\ntcp_port = \"16999\"\n"
            .to_owned(),
        arguments: vec!["--listen".to_owned()],
        daemon: Some("libvirtd"),
        ..Options::default()
    })?;
    let _client =
        bed.virsh_lines("--connect qemu+tcp://127.0.0.1:16999/system event --all --loop")?;
    let mut id = String::new();
    wait_for("the client", DEADLINE, || {
        let all = clients(&bed, "libvirtd")?;
        id = all.iter().find(|row| row[1] == "tcp").map(|row| row[0].clone()).unwrap_or_default();
        Ok(!id.is_empty())
    })?;
    let info = bed.admin(&format!("client-info libvirtd {id}"))?;
    contains(&value(&info, "sock_addr")?, "127.0.0.1:")?;
    equal("a user's name", info.contains("unix_user"), false)?;
    bed.admin(&format!("client-disconnect libvirtd {id}"))?;
    wait_for("its end", DEADLINE, || Ok(clients(&bed, "libvirtd")?.iter().all(|row| row[0] != id)))
}

fn strangers() -> Outcome {
    let bed = Testbed::with(&Options {
        daemon_conf: "unix_sock_admin_perms = \"0777\"\n".to_owned(),
        ..Options::default()
    })?;
    let socket = bed.admin_socket();
    equal("mode", fs::metadata(&socket)?.mode() & 0o777, 0o777)?;
    bed.admin("server-list")?;
    let done = bed.run_as_nobody(
        "/usr/bin/python3",
        &[
            "-c",
            "import socket, sys\n\
         admin = socket.socket(socket.AF_UNIX)\n\
         admin.connect(sys.argv[1])\n\
         admin.settimeout(20)\n\
         try: print(admin.recv(1))\n\
         except ConnectionResetError: print(b'')",
            socket.to_str().ok_or("the path is not text")?,
        ],
    )?;
    equal(&done.err, done.out.trim(), "b''")
}

fn ours_only() -> Outcome {
    if Backend::chosen()? == Backend::Ours {
        Ok(())
    } else {
        Err(Skip("ours only".to_owned()).into())
    }
}

fn session() -> Outcome {
    ours_only()?;
    let bed = Testbed::without_daemon(&Options::default())?;
    // The target folder may be closed to others.
    let daemon = bed.path("virtqemud");
    fs::copy(daemon_program()?, &daemon)?;
    let admin = bed.copy_virt_admin()?;
    let home = bed.path("theirs");
    fs::create_dir(&home)?;
    fs::set_permissions(&home, PermissionsExt::from_mode(0o777))?;
    let script = format!(
        "export HOME={home} XDG_RUNTIME_DIR={home}/run; mkdir -m 700 $XDG_RUNTIME_DIR; {daemon} --daemon && \
         exec {admin} -c \"virtqemud+unix:///session?socket=$XDG_RUNTIME_DIR/libvirt/virtqemud-admin-sock\" \
         server-list",
        home = home.display(),
        daemon = daemon.display(),
        admin = admin.display(),
    );
    let done = bed.run_as_nobody("sh", &["-c", &script])?;
    equal(&format!("{}{}", done.out, done.err), done.ok(), true)?;
    contains(&done.out, "virtqemud")
}

fn activation() -> Outcome {
    ours_only()?;
    let bed = Testbed::without_daemon(&Options::default())?;
    let socket = bed.admin_socket().display().to_string();
    let mut daemon =
        bed.python("activate.py", &[&socket, &daemon_program()?, "virtqemud-admin.socket"])?;
    daemon.expect("listening", DEADLINE)?;
    contains(&bed.admin("server-list")?, "virtqemud")?;
    equal("a socket of its own", bed.socket().exists(), false)
}

fn timeout() -> Outcome {
    let bed = Testbed::with(&Options {
        arguments: vec!["--timeout".to_owned(), "600".to_owned()],
        ..Options::default()
    })?;
    let mut client = bed.python("events.py", &[])?;
    client.expect("ready", DEADLINE)?;
    bed.admin("daemon-timeout 1")?;
    // Somebody needs it; an answer says that it is still there.
    bed.admin("server-list")?;
    client.say("end")?;
    client.expect("closed", DEADLINE)?;
    wait_for("the idle daemon's end", DEADLINE, || Ok(!bed.socket().exists()))
}

fn shutdown() -> Outcome {
    let bed = Testbed::new()?;
    let mut client = bed.python("events.py", &[])?;
    client.expect("ready", DEADLINE)?;
    if bed.is_ours() {
        contains(&bed.admin_fails("daemon-shutdown --preserve")?, "not built yet")?;
    }
    // The stock client breaks down now and then when its daemon hangs up right after the answer, and the stock
    // daemon may hang up before it. What counts is what the daemon does.
    bed.try_admin("daemon-shutdown")?;
    client.expect("lost", DEADLINE)?;
    wait_for("the daemon's end", DEADLINE, || Ok(!bed.socket().exists()))
}
