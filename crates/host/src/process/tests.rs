// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Real processes: started, watched, found again, ended.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use super::*;

const SOON: Duration = Duration::from_secs(60);

async fn sh(script: &str) -> String {
    String::from_utf8(Run::new("sh").args(["-c", script]).succeed(SOON).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_tool_is_run_to_its_end() {
    assert_eq!(sh("echo a; echo b >&2").await, "a\n");
    let fed = Run::new("cat").input("x".repeat(300_000)).succeed(SOON).await.unwrap();
    assert_eq!(fed.len(), 300_000);
    let error =
        Run::new("sh").args(["-c", "echo why >&2; exit 3"]).succeed(SOON).await.unwrap_err();
    assert!(error.to_string().contains("'sh' failed (exit status 3): why"), "{error}");
}

#[tokio::test]
async fn a_tool_that_hangs_is_killed_in_time() {
    let start = Instant::now();
    let error = Run::new("sleep").arg("600").output(Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().contains("'sleep' did not end"), "{error}");
    assert!(start.elapsed() < SOON);
}

#[tokio::test]
async fn what_a_killed_tool_waits_for_is_killed_with_it() {
    let file = std::env::temp_dir().join(format!("virtus-run-{}", std::process::id()));
    let script = format!("sleep 600 & echo $! >'{}'; wait", file.display());
    let child = async {
        loop {
            let said = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(pid) = said.strip_suffix('\n') {
                return Process::open(pid.parse().unwrap(), None).unwrap().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let child = tokio::select! {
        _ = Run::new("sh").args(["-c", &script]).output(SOON) => panic!("it waits for its child"),
        child = child => child,
    };
    std::fs::remove_file(&file).unwrap();
    tokio::time::timeout(SOON, child.exited()).await.expect("the child should be killed");
}

#[tokio::test]
async fn what_a_tool_leaves_behind_is_not_waited_for() {
    let left = sh("sleep 600 & echo $!").await;
    let left = Process::open(left.trim().parse().unwrap(), None).unwrap().unwrap();
    left.signal(Signal::KILL).unwrap();
}

#[tokio::test]
async fn what_cannot_be_run_is_named() {
    let error = Spawn::new("/no/such/program").start().await.unwrap_err();
    assert_eq!(error.text(), "cannot run '/no/such/program': No such file or directory");
    assert!(error.hint_text().is_some());
    let error = Spawn::new("/etc/passwd").start().await.unwrap_err();
    assert!(error.hint_text().unwrap().contains("chmod"), "{error}");
    let error = Spawn::new("true").folder("/no/such").start().await.unwrap_err();
    assert!(error.text().contains("cannot enter the folder '/no/such'"), "{error}");
}

#[tokio::test]
async fn nothing_is_inherited_but_what_is_given() {
    let _held = File::open("/dev/null").unwrap();
    let mut output = rustix_temp();
    let given = File::open("/proc/self/status").unwrap();
    let mut spawn = Spawn::new("sh")
        .args([
            "-c",
            "ls -l /proc/self/fd | grep -c -e '->'; env | sort; umask; cat <&7 | head -c5",
        ])
        .env("ONLY", "this")
        .pass_env("PATH")
        .umask(0o27)
        .limit(Limit::Core, 0)
        .fd(7, given)
        .stdout(output.try_clone().unwrap());
    let kept = File::open("/etc/passwd").unwrap();
    let number = spawn.inherit(kept);
    assert!(number > 2);
    let process = spawn.start().await.unwrap();
    assert_eq!(process.exited().await, Exit::Code(0));
    let mut text = String::new();
    output.seek(SeekFrom::Start(0)).unwrap();
    output.read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // Three standard ones, two given ones, and the folder that `ls` reads.
    assert_eq!(lines[0], "6", "{text}");
    assert!(lines.contains(&"ONLY=this") && lines.contains(&"0027"), "{text}");
    assert!(!text.contains("HOME="), "{text}");
    assert!(text.ends_with("Name:"), "{text}");
}

#[tokio::test]
async fn descriptors_may_trade_places() {
    let mut files = [rustix_temp(), rustix_temp()];
    files[0].write_all(b"first").unwrap();
    files[1].write_all(b"second").unwrap();
    let (a, b) = (files[0].try_clone().unwrap(), files[1].try_clone().unwrap());
    let (a_number, b_number) =
        (std::os::fd::AsRawFd::as_raw_fd(&a), std::os::fd::AsRawFd::as_raw_fd(&b));
    for file in &mut files {
        file.seek(SeekFrom::Start(0)).unwrap();
    }
    let script = format!("cat /proc/self/fd/{a_number} /proc/self/fd/{b_number}");
    let run =
        Run::new("sh").args(["-c", &script]).change(|spawn| spawn.fd(b_number, a).fd(a_number, b));
    let text = run.succeed(SOON).await.unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "secondfirst");
}

#[tokio::test]
async fn a_process_is_found_again_and_not_confused() {
    let child = Spawn::new("sleep").arg("60").start().await.unwrap();
    let again = Process::open(child.pid(), Some(child.start_time())).unwrap().unwrap();
    assert!(Process::open(child.pid(), Some(child.start_time() + 1)).unwrap().is_none());
    assert_eq!(again.try_exited(), None);
    assert_eq!(again.stat().unwrap().name, "sleep");
    assert_eq!(again.threads().len(), 1);
    again.signal(Signal::TERM).unwrap();
    assert_eq!(again.exited().await, Exit::Unknown);
    assert_eq!(child.exited().await, Exit::Signal(15));
    assert_eq!(child.exited().await, Exit::Signal(15));
    assert!(Process::open(child.pid(), Some(child.start_time())).unwrap().is_none());
    child.signal(Signal::KILL).unwrap();
    assert_eq!(child.stat(), None);
}

#[tokio::test]
async fn a_program_finds_its_pid_file() {
    let file = std::env::temp_dir().join(format!("virtus-spawn-{}.pid", std::process::id()));
    let script = format!("read pid <'{}' && [ $pid = $$ ]", file.display());
    let spawn = || Spawn::new("sh").args(["-c", &script]);
    assert_eq!(spawn().start().await.unwrap().exited().await, Exit::Code(2));
    let process = spawn().pid_file(&file).start().await.unwrap();
    assert_eq!(process.exited().await, Exit::Code(0));
    std::fs::remove_file(&file).unwrap();
    let error = spawn().pid_file("/no/such/folder/pid").start().await.unwrap_err();
    assert!(error.text().contains("cannot write '/no/such/folder/pid'"), "{error}");
}

#[tokio::test]
async fn a_dropped_child_leaves_no_zombie() {
    let child = Spawn::new("true").start().await.unwrap();
    let pid = child.pid();
    drop(child);
    let reaped = async {
        while Stat::read(pid).is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, reaped).await.expect("the process should be reaped");
}

#[tokio::test]
async fn rights_are_given_up() {
    if !crate::user::Identity::current().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let nobody = crate::user::Identity { uid: 65534, gid: 65534, groups: vec![7] };
    let run = Run::new("sh")
        .args(["-c", "id -u; id -g; id -G; grep CapBnd /proc/self/status"])
        .change(|spawn| spawn.identity(nobody).drop_capabilities());
    let text = String::from_utf8(run.succeed(SOON).await.unwrap()).unwrap();
    assert_eq!(text, "65534\n65534\n65534 7\nCapBnd:\t0000000000000000\n");
}

/// A file without a name.
fn rustix_temp() -> File {
    use rustix::fs::{MemfdFlags, memfd_create};
    File::from(memfd_create("virtus-test", MemfdFlags::CLOEXEC).unwrap())
}
