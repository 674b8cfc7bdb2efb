// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program that runs beside the test and whose lines the test waits for.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::{DEADLINE, Outcome, wait_for};

/// How long an answer may be on its way before what causes it is done again.
const A_MOMENT: Duration = Duration::from_millis(300);

/// A running program, its lines as they come. It is killed when this is dropped.
pub struct Lines {
    child: Child,
    input: Option<ChildStdin>,
    coming: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| format!("cannot run {command:?}: {cause}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("no output")?;
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, input, coming, seen: Vec::new() })
    }

    /// The next line that contains `text`; those before it are passed over.
    pub fn expect(&mut self, text: &str, deadline: Duration) -> Outcome<String> {
        let end = Instant::now() + deadline;
        while let Ok(line) = self.coming.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line.clone());
            if line.contains(text) {
                return Ok(line);
            }
        }
        Err(format!("no line with `{text}` in {deadline:?}; there were:\n{}", self.seen.join("\n"))
            .into())
    }

    /// Does something again and again until the program tells of it. For those who do not say when they have begun to listen.
    pub fn hears(&mut self, text: &str, mut act: impl FnMut() -> Outcome) -> Outcome {
        wait_for(&format!("a line with `{text}`"), DEADLINE, || {
            act()?;
            Ok(self.expect(text, A_MOMENT).is_ok())
        })
    }

    /// All lines so far, those not yet asked for included.
    pub fn seen(&mut self) -> &[String] {
        self.seen.extend(self.coming.try_iter());
        &self.seen
    }

    /// Sends a line to the program's input.
    pub fn say(&mut self, line: &str) -> Outcome {
        let input = self.input.as_mut().ok_or("the input is closed")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
