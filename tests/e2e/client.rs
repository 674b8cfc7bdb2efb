// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Rust applications: the client crate against a real daemon, ours or the stock one.

use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::Duration;

use virtus_client::api::{DomainEventLifecycle, DomainXmlFlags};
use virtus_client::blocking::Wait;
use virtus_client::{Connection, ErrorCode, Events, Notice, Reconnect};
use virtus_tests::{DEADLINE, Guest, Options, Outcome, Testbed, built_program};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("defines_looks_and_listens", defines_looks_and_listens),
    ("read_only_changes_nothing", read_only_changes_nothing),
    ("comes_back_after_a_kill", comes_back_after_a_kill),
    ("a_users_own_daemon_is_started_when_it_is_wanted", own_daemon),
    ("notices_a_daemon_that_stands_still", notices_a_daemon_that_stands_still),
];

/// The environment's variable with the URI at which this very program is an application that lists domains: some tests
/// want one in the testbed's namespaces, or with another user's rights.
pub(crate) const APPLICATION: &str = "VIRTUS_TEST_APPLICATION";

/// What such an application does; it lets polkit ask on its terminal.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what the test reads")]
pub(crate) fn application(uri: &str) -> ExitCode {
    let names = || -> Result<Vec<String>, virtus_client::Error> {
        let connection = Connection::options().polkit_agent(true).open(uri).wait()?;
        let domains = connection.domains().wait()?;
        Ok(domains.iter().map(|domain| domain.name().to_owned()).collect())
    };
    match names() {
        Ok(names) => println!("domains: {}", names.join(" ")),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn guest(name: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory>65536</memory>\
         <os><type arch='x86_64'>hvm</type></os></domain>"
    )
}

/// The next notice; a test that waits longer has failed.
fn next<E>(events: &mut Events<E>) -> Outcome<Notice<E>> {
    let next = async { tokio::time::timeout(DEADLINE, events.next()).await };
    next.wait()?.ok_or_else(|| "the events have ended".into())
}

fn defines_looks_and_listens() -> Outcome {
    let bed = Testbed::new()?;
    let connection = Connection::open(&bed.uri()).wait()?;
    equal("URI", connection.uri().wait()?.as_str(), "qemu:///system")?;
    let mut events = connection.events::<DomainEventLifecycle>().wait()?;
    let domain = connection.domain_define_xml(&guest("rust")).wait()?;
    let Notice::Event(event) = next(&mut events)? else { return Err("no event".into()) };
    equal("event", (event.event, event.dom.name.as_str()), (0, "rust"))?;
    let xml = domain.xml().flags(DomainXmlFlags::INACTIVE).wait()?;
    contains(&xml, "<name>rust</name>")?;
    let names: Vec<_> =
        connection.domains().wait()?.iter().map(|domain| domain.name().to_owned()).collect();
    equal("domains", names, vec!["rust".to_owned()])?;
    equal("what virsh sees", bed.virsh("domuuid rust")?, domain.uuid().to_string())?;
    domain.undefine().wait()?;
    let error = connection.domain_by_name("rust").wait().err().ok_or("it should be gone")?;
    equal("error", error.code(), ErrorCode::NoDomain)?;
    contains(&error.to_string(), "no domain with matching name 'rust'")?;
    connection.close().wait();
    Ok(())
}

fn read_only_changes_nothing() -> Outcome {
    let bed = Testbed::new()?;
    let options = Connection::options().read_only(true);
    let connection = options.open(&bed.uri_read_only()).wait()?;
    connection.capabilities().wait()?;
    let error = connection.domain_define_xml(&guest("x")).wait().err().ok_or("it was allowed")?;
    equal("error", error.code(), ErrorCode::OperationDenied)
}

fn comes_back_after_a_kill() -> Outcome {
    let mut bed = Testbed::new()?;
    let options = Connection::options().reconnect(Reconnect::default());
    let connection = options.open(&bed.uri()).wait()?;
    let domain = connection.domain_define_xml(&guest("kept")).wait()?;
    let mut events = connection.events::<DomainEventLifecycle>().wait()?;
    bed.kill9()?;
    bed.start()?;
    let Notice::Lost(_) = next(&mut events)? else { return Err("not told of the loss".into()) };
    let Notice::Reconnected = next(&mut events)? else { return Err("did not come back".into()) };
    domain.undefine().wait()?;
    let Notice::Event(event) = next(&mut events)? else { return Err("no event".into()) };
    equal("event", (event.event, event.dom.name.as_str()), (1, "kept"))
}

fn notices_a_daemon_that_stands_still() -> Outcome {
    let bed = Testbed::new()?;
    let options = Connection::options().keepalive(Duration::from_secs(1), 2);
    let connection = options.open(&bed.uri()).wait()?;
    let daemon = bed.daemon_pid()?;
    bed.freeze(daemon)?;
    let error = connection.hostname().wait().err().ok_or("a stopped daemon answered")?;
    bed.signal("CONT", daemon)?;
    contains(&error.to_string(), "keepalive timeout")
}

/// By an application of ours, then by the helper at the far end of what stands in for ssh; it ends in between.
fn own_daemon() -> Outcome {
    let bed = Testbed::without_daemon(&Options::default())?;
    if !bed.is_ours() {
        return Err(Skip("ours only".to_owned()).into());
    }
    // The target folder may be closed to others.
    let programs = bed.path("programs");
    std::fs::create_dir(&programs)?;
    for program in [built_program("virtqemud")?, built_program("virt-ssh-helper")?] {
        std::fs::copy(&program, programs.join(program.file_name().unwrap_or_default()))?;
    }
    std::fs::copy(std::env::current_exe()?, programs.join("application"))?;
    let home = bed.path("theirs");
    std::fs::create_dir(&home)?;
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o777))?;
    let guest = bed.write("mine.xml", &Guest::firmware("mine").xml())?;
    let script = format!(
        "set -e
        export HOME={home} XDG_RUNTIME_DIR={home}/run PATH={programs}:$PATH
        mkdir -m 700 $XDG_RUNTIME_DIR
        printf '#!/bin/sh\\nfor last; do :; done; exec sh -c \"$last\"\\n' >$HOME/ssh; chmod +x $HOME/ssh
        {APPLICATION}=qemu:///session application
        pid=$(cat $XDG_RUNTIME_DIR/libvirt/virtqemud.pid)
        {APPLICATION}=qemu:///session application
        [ $pid = $(cat $XDG_RUNTIME_DIR/libvirt/virtqemud.pid) ]
        kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done
        virsh -c \"qemu+ssh://elsewhere/session?proxy=native&command=$HOME/ssh\" define {guest}
        {APPLICATION}=qemu:///session application",
        home = home.display(),
        programs = programs.display(),
    );
    let done = bed.run_as_nobody("sh", &["-c", &script])?;
    equal(&format!("{}{}", done.out, done.err), done.ok(), true)?;
    equal("applications", done.out.matches("domains:").count(), 3)?;
    contains(&done.out, "domains: mine")
}
