// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Another daemon of ours in a testbed, beside the one that it is for.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::run::ends_within;
use crate::{DEADLINE, Outcome, Testbed, built_program, wait_for};

/// A daemon that runs. It ends with its testbed.
pub struct Beside {
    name: &'static str,
    child: Child,
}

impl Testbed {
    /// Starts one of our daemons in the testbed's folder and waits until it answers.
    pub fn start_beside(&self, name: &'static str) -> Outcome<Beside> {
        let log = self.path(&format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = self.client_command("sh");
        command.args(["-c", "echo $$ >\"$0\"; exec \"$@\""]).arg(self.pid_file(name));
        command.arg(built_program(name)?).arg("--verbose").env("VIRTUS_ROOT", self.path(""));
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let beside = Beside { name, child };
        let socket = self.socket_beside(name);
        wait_for(&format!("the socket of {name}"), DEADLINE, || {
            if ends_within(beside.child.id(), Duration::ZERO)? {
                return Err(format!("{name} ended: {}", self.log_beside(name)).into());
            }
            Ok(UnixStream::connect(&socket).is_ok())
        })?;
        Ok(beside)
    }

    /// The main socket of a daemon beside.
    pub fn socket_beside(&self, name: &str) -> PathBuf {
        self.path("run/libvirt").join(format!("{name}-sock"))
    }

    /// What a daemon beside wrote to its standard output and error.
    pub fn log_beside(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.number"))
    }

    /// Sends a signal to a daemon beside.
    pub fn signal_beside(&self, beside: &Beside, signal: &str) -> Outcome {
        let pid = std::fs::read_to_string(self.pid_file(beside.name))?;
        self.signal(signal, pid.trim().parse()?)
    }

    /// Lets a daemon beside become the program that is installed, and waits until that serves.
    pub fn replace_beside(&self, beside: &Beside) -> Outcome {
        let start = "making room for the program that is installed now";
        let ready = format!("{} serves on", beside.name);
        let count = |what: &str| self.log_beside(beside.name).matches(what).count();
        let (starts, before) = (count(start), count(&ready));
        self.signal_beside(beside, "USR1")?;
        wait_for(&format!("the successor of {}", beside.name), DEADLINE, || {
            Ok(count(start) > starts && count(&ready) > before)
        })
    }

    /// Ends a daemon beside by a signal, and waits for its end.
    pub fn end_beside(&self, mut beside: Beside, signal: &str) -> Outcome<Option<i32>> {
        self.signal_beside(&beside, signal)?;
        if !ends_within(beside.child.id(), DEADLINE)? {
            let (name, log) = (beside.name, self.log_beside(beside.name));
            return Err(format!("{name} did not end on SIG{signal}; its log:\n{log}").into());
        }
        Ok(beside.child.wait()?.code())
    }
}

/// The program that leads into the namespaces would outlive them where it is stopped.
impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
