// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands that one `virsh` runs after each other, and what it says to each.

use std::path::Path;

use virtus_tests::{Outcome, Testbed};

use crate::compare::normalised;

/// What stands before the answer to each command; the number follows.
const MARK: &str = "@@@";

/// The stock virsh now and then waits for ever after a command that shows progress (save, dump) has ended at once: its
/// thread may be done before the wait begins. A session that does not end in so many seconds is run again.
const LIMIT: u32 = 15;
const TRIES: u32 = 5;

/// How `timeout` says that it had to end a program.
const TIMED_OUT: i32 = 124;

/// A command, and what ours must say where stock does not support it.
pub(crate) struct Command {
    pub(crate) line: String,
    pub(crate) stated: Vec<String>,
}

/// Commands of one connection.
#[derive(Default)]
pub(crate) struct Session {
    pub(crate) commands: Vec<Command>,
}

/// The sessions of a group's file.
pub(crate) fn sessions(text: &str) -> Vec<Session> {
    let mut sessions = vec![Session::default()];
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        match sessions.last_mut() {
            Some(session) if !line.is_empty() => session.take(line),
            _ => sessions.push(Session::default()),
        }
    }
    sessions.retain(|session| !session.commands.is_empty());
    sessions
}

impl Session {
    fn take(&mut self, line: &str) {
        match (line.strip_prefix("> "), self.commands.last_mut()) {
            (Some(text), Some(command)) => command.stated.push(text.to_owned()),
            _ => self.commands.push(Command { line: line.to_owned(), stated: Vec::new() }),
        }
    }

    /// What each command answers at `uri`, errors included, normalised.
    pub(crate) fn run(&self, bed: &Testbed, folder: &Path, uri: &str) -> Outcome<Vec<String>> {
        let place = bed.path("files");
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        std::fs::create_dir_all(&place)?;
        let xml = folder.join("xml").display().to_string();
        let place = place.display().to_string();
        let mut script = String::new();
        for (number, command) in self.commands.iter().enumerate() {
            let command = command.line.replace("{xml}", &xml).replace("{tmp}", &place);
            script.push_str(&format!("echo {MARK}{number}; {command}; "));
        }
        script.push_str(&format!("echo {MARK}{}", self.commands.len()));
        let script = ["--connect", uri, &script].map(shell_word).join(" ");
        let line = format!(
            "LIBVIRT_LOG_OUTPUTS=4:file:/dev/null exec timeout {LIMIT} stdbuf -oL virsh {script} 2>&1"
        );
        let mut tries = 0;
        let done = loop {
            let done = bed.run("sh", &["-c", &line])?;
            tries += 1;
            if done.code != Some(TIMED_OUT) || tries == TRIES {
                break done;
            }
        };
        let mut answers = vec![String::new(); self.commands.len() + 1];
        let mut at = 0;
        for line in done.out.lines() {
            let number = line.strip_prefix(MARK).and_then(|number| number.parse::<usize>().ok());
            match number {
                Some(number) => at = number.min(self.commands.len()),
                None => answers[at].push_str(&format!("{}\n", line.trim_end())),
            }
        }
        if at < self.commands.len() {
            let text =
                format!("virsh ended at '{}': {}{}", self.commands[at].line, done.out, done.err);
            return Err(text.into());
        }
        answers.pop();
        let answers = self.commands.iter().zip(&answers);
        Ok(answers
            .map(|(command, answer)| normalised(&command.line, answer.trim_end(), &place))
            .collect())
    }
}

fn shell_word(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
