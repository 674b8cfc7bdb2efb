// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The monitor of a real QEMU: commands, events, descriptors, and a QEMU that is stopped.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops where it fails and says why it skips"
)]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tokio::net::UnixStream;
use virtus_api::{Error, ErrorCode};
use virtus_host::process::{Process, Spawn, find_program};
use virtus_qemu::qmp::{CallError, Events, Monitor};

const SOON: Duration = Duration::from_secs(60);

async fn start() -> Option<(Process, Monitor, Events)> {
    let Some(binary) = find_program("qemu-system-x86_64") else {
        eprintln!("skipped: no qemu-system-x86_64");
        return None;
    };
    let (ours, theirs) = StdStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut spawn = Spawn::new(binary);
    let fd = spawn.inherit(OwnedFd::from(theirs));
    let process = spawn
        .args(["-S", "-nodefaults", "-display", "none", "-machine", "q35,accel=tcg", "-m", "16"])
        .args(["-chardev", &format!("socket,id=monitor,fd={fd}")])
        .args(["-mon", "chardev=monitor,mode=control"])
        .dies_with_daemon()
        .start()
        .await
        .unwrap();
    let stream = UnixStream::from_std(ours).unwrap();
    let (monitor, events) = Monitor::from_stream(stream, "domain 'vm1'", SOON).await.unwrap();
    Some((process, monitor, events))
}

#[tokio::test]
async fn commands_events_and_descriptors_reach_a_real_qemu() {
    let Some((process, monitor, mut events)) = start().await else { return };
    assert!(monitor.greeting().version >= 6_000_000);
    let status = monitor.execute("query-status", None, SOON).await.unwrap();
    assert_eq!(status["status"], "prelaunch");

    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    monitor.send_fd("net0", null(), SOON).await.unwrap();
    monitor.execute("closefd", json!({ "fdname": "net0" }), SOON).await.unwrap();
    let set = monitor.add_fd(None, "disk", null(), SOON).await.unwrap();
    assert_eq!(monitor.add_fd(Some(set), "disk", null(), SOON).await.unwrap(), set);
    assert!(
        monitor.human("info version", SOON).await.unwrap().starts_with(|c: char| c.is_numeric())
    );

    let error = monitor.execute("device_del", json!({ "id": "none" }), SOON).await.unwrap_err();
    assert!(error.is_unknown_device(), "{error}");
    let error = monitor.execute("no-such-command", None, SOON).await.unwrap_err();
    assert!(error.is_unknown_command(), "{error}");
    let raw = monitor.pass_through(json!({ "execute": "query-kvm", "id": "me" }), SOON).await;
    assert_eq!(raw.unwrap()["id"], "me");

    monitor.execute("cont", None, SOON).await.unwrap();
    assert_eq!(events.next().await.unwrap().name, "RESUME");
    let ended = monitor.execute("quit", None, SOON).await;
    assert!(matches!(ended, Ok(_) | Err(CallError::Closed { .. })), "{ended:?}");
    while let Some(event) = events.next().await {
        assert!(["SHUTDOWN", "STOP"].contains(&&*event.name), "{event:?}");
    }
    assert!(process.exited().await.is_success());
    assert!(!monitor.is_open());
}

#[tokio::test]
async fn a_stopped_qemu_costs_its_callers_their_deadline_and_no_more() {
    let Some((process, monitor, _events)) = start().await else { return };
    process.signal(Signal::STOP).unwrap();
    let start = Instant::now();
    let error = monitor.execute("query-status", None, Duration::from_millis(200)).await;
    assert!(start.elapsed() < SOON);
    let error = Error::from(error.unwrap_err());
    assert_eq!(error.code(), ErrorCode::OperationTimeout);
    assert!(error.text().contains("'query-status'"), "{error}");
    assert!(error.hint_text().is_some());
    process.signal(Signal::CONT).unwrap();
    monitor.execute("query-status", None, SOON).await.unwrap();
    process.signal(Signal::KILL).unwrap();
    process.exited().await;
    assert!(matches!(
        monitor.execute("query-status", None, SOON).await,
        Err(CallError::Closed { .. })
    ));
}
