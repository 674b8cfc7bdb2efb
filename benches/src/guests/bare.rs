// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The same QEMU without a daemon: how long it takes by itself to run a guest, and to end.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use virtus_benches::micros;
use virtus_tests::Outcome;

/// The command line that a daemon gave to QEMU, made independent of that daemon.
pub(crate) struct Bare {
    words: Vec<String>,
    monitor: PathBuf,
}

impl Bare {
    /// From the words of a running QEMU; its monitor will be at a socket in `folder`.
    pub(crate) fn new(words: &[String], folder: &Path) -> Self {
        let monitor = folder.join("bare.sock");
        let mut own = Vec::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let value = words.peek().map(|value| value.as_str()).unwrap_or_default();
            match word.as_str() {
                // The daemon's listening socket, handed over by descriptor.
                "-chardev" if value.contains("id=charmonitor") => {
                    own.push(word.clone());
                    own.push(format!(
                        "socket,id=charmonitor,path={},server=on,wait=off",
                        monitor.display()
                    ));
                    words.next();
                }
                // Its key file is gone with the daemon's guest, and nothing here is encrypted.
                "-object" if value.contains("masterKey") => drop(words.next()),
                _ => own.push(word.clone()),
            }
        }
        Self { words: own, monitor }
    }

    /// Microseconds until the guest runs, and from the request to end until the end.
    pub(crate) fn measure(&self) -> Outcome<(f64, f64)> {
        let _ = std::fs::remove_file(&self.monitor);
        let begin = Instant::now();
        let mut qemu = Command::new(&self.words[0])
            .args(&self.words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let running = self.until_running(&mut qemu).map(|()| begin.elapsed());
        let end = Instant::now();
        kill_process(Pid::from_child(&qemu), Signal::TERM)?;
        qemu.wait()?;
        Ok((micros(running?), micros(end.elapsed())))
    }

    /// Does what a daemon must do at least: greet, and let the CPUs go.
    fn until_running(&self, qemu: &mut Child) -> Outcome {
        let socket = loop {
            if let Ok(socket) = UnixStream::connect(&self.monitor) {
                break socket;
            }
            if let Some(status) = qemu.try_wait()? {
                return Err(format!("bare QEMU ended ({status}): {:?}", self.words).into());
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut lines = BufReader::new(socket.try_clone()?).lines();
        lines.next().ok_or("no greeting")??;
        for command in ["qmp_capabilities", "cont"] {
            (&socket).write_all(format!("{}\n", json!({ "execute": command })).as_bytes())?;
            // Events may come before the answer.
            loop {
                let line: Value = serde_json::from_str(&lines.next().ok_or("no answer")??)?;
                if line.get("error").is_some() {
                    return Err(format!("{command}: {line}").into());
                }
                if line.get("return").is_some() {
                    break;
                }
            }
        }
        Ok(())
    }
}
