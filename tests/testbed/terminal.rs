// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program on a pseudo-terminal, driven as a person would: type, and look at what appears.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::Outcome;

/// A terminal with a program on it. The program is killed when this is dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    coming: Receiver<Vec<u8>>,
    /// What has appeared and not been waited for yet.
    screen: String,
    /// All that has ever appeared, for the texts of errors.
    history: String,
    /// Everything is printed as it appears.
    shown: bool,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?.into_string()?;
        let line = OpenOptions::new().read(true).write(true).open(name)?;
        let child = command
            .env("TERM", "dumb")
            .stdin(line.try_clone()?)
            .stdout(line.try_clone()?)
            .stderr(line)
            .spawn()
            .map_err(|cause| format!("cannot run {command:?}: {cause}"))?;
        let keyboard = File::from(master);
        let mut output = keyboard.try_clone()?;
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails with EIO once nobody has the line open.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            keyboard,
            coming,
            screen: String::new(),
            history: String::new(),
            shown: false,
        })
    }

    /// Waits until `text` appears and forgets everything up to it; answers what came before it.
    pub fn expect(&mut self, text: &str, deadline: Duration) -> Outcome<String> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(at) = self.screen.find(text) {
                let before = self.screen[..at].to_owned();
                self.screen.drain(..at + text.len());
                return Ok(before);
            }
            let left = end.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.coming.recv_timeout(left) else {
                let all = &self.history;
                return Err(format!(
                    "no `{text}` on the terminal in {deadline:?}; there was:\n{all}"
                )
                .into());
            };
            let text = String::from_utf8_lossy(&bytes);
            if self.shown {
                let mut screen = std::io::stdout();
                // The guest's shell asks where the cursor is; the real terminal must not answer that.
                screen.write_all(text.replace("\x1b[6n", "").as_bytes())?;
                screen.flush()?;
            }
            self.screen.push_str(&text);
            self.history.push_str(&text);
        }
    }

    /// Lets the person who watches see everything as it appears while [`Self::expect`] waits.
    pub fn show(&mut self) {
        self.shown = true;
    }

    /// Presses keys.
    pub fn keys(&mut self, keys: &str) -> Outcome {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Types a command and waits for its answer, which must contain `answer`. It is typed again where nothing comes:
    /// virsh throws away what was typed before it took the terminal, and does not say when it has.
    pub fn ask(&mut self, command: &str, answer: &str, deadline: Duration) -> Outcome {
        const AGAIN: Duration = Duration::from_secs(5);
        let end = Instant::now() + deadline;
        loop {
            self.keys(&format!("{command}\n"))?;
            let left = end.saturating_duration_since(Instant::now());
            match self.expect(answer, left.min(AGAIN)) {
                Ok(_) => return Ok(()),
                Err(error) if left <= AGAIN => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Waits for the program's end; answers its exit code.
    pub fn end(&mut self, deadline: Duration) -> Outcome<Option<i32>> {
        if crate::run::ends_within(self.child.id(), deadline)? {
            return Ok(self.child.wait()?.code());
        }
        Err(format!("the program did not end in {deadline:?}; there was:\n{}", self.history).into())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
