// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Commands that one `virsh` runs after each other, and what it says to each.

use std::path::Path;

use virtus_tests::{Outcome, Testbed};

use crate::compare::normalised;

/// What stands before the answer to each command; the number follows.
const MARK: &str = "@@@";

/// With its own test driver the stock virsh waits for ever after a command that shows progress (save, dump) and ends at once,
/// if its thread is done before the wait begins; on a busy machine that is every third time. It cannot be where all its
/// threads are on one processor and none is interrupted before it waits. Where that is not allowed, as in a testbed's
/// control groups, a session that does not end in so many seconds is run again; with ours that is told.
const ORDERLY: &str = "turns=\"chrt --fifo 1 taskset --cpu-list \
    $(taskset --cpu-list --pid $$ | sed 's/.*: //; s/[-,].*//')\"; $turns true 2>/dev/null || turns=; ";
const LIMIT: u32 = 15;
const TRIES: u32 = 12;

/// How `timeout` says that it had to end a program.
const TIMED_OUT: i32 = 124;

/// A command, and what is known of answers that are not alike.
pub(crate) struct Command {
    pub(crate) line: String,
    /// What ours must say then.
    pub(crate) stated: Vec<String>,
    /// How the row of docs/differences.md begins that says why.
    pub(crate) explained: Option<String>,
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
        match (line.split_once(' '), self.commands.last_mut()) {
            (Some((">", text)), Some(command)) => command.stated.push(text.to_owned()),
            (Some(("!", text)), Some(command)) => command.explained = Some(text.to_owned()),
            _ => self.commands.push(Command {
                line: line.to_owned(),
                stated: Vec::new(),
                explained: None,
            }),
        }
    }

    /// Fails where an explanation is not among those of docs/differences.md.
    pub(crate) fn is_explained_by(&self, rows: &str) -> Outcome {
        let given = self.commands.iter().filter_map(|command| command.explained.as_ref());
        for text in given {
            if !rows.contains(&format!("\n| {text}")) {
                return Err(format!("no row of docs/differences.md begins with '{text}'").into());
            }
        }
        Ok(())
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
            "{ORDERLY} LIBVIRT_LOG_OUTPUTS=4:file:/dev/null exec timeout {LIMIT} $turns stdbuf -oL virsh {script} 2>&1"
        );
        // The daemon's socket is in the testbed.
        let ours = uri.contains("socket=");
        let mut tries = 0;
        let done = loop {
            let words = ["-c", &line];
            let done = match ours {
                true => bed.run("sh", &words)?,
                false => bed.run_outside("sh", &words)?,
            };
            tries += 1;
            if done.code != Some(TIMED_OUT) || tries == TRIES {
                break done;
            }
            if ours {
                let begun = done.out.lines().filter(|line| line.starts_with(MARK)).count();
                let last = self.commands.get(begun.saturating_sub(1));
                let last = last.map_or("its end", |command| &command.line);
                println!("unsteady: no end of virsh in {LIMIT} s: {last}");
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
