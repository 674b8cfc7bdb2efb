// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What `virsh` prints, with our client between it and our test driver.
//!
//! The stock `virsh` talks to a server of ours in this process, which hands each call to a connection of `virtus-client`;
//! that one opens the test driver in this process. So what is checked is every call that the cases lead to, its
//! answer and its errors, by the text that virsh makes of them. What virsh does by itself (`echo`, options, completion
//! of its own words) is stock's in these cases too, and says nothing about us.
#![expect(clippy::disallowed_methods, reason = "a check starts virsh; no daemon is near")]

mod relay;

use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::{Case, Corpus, Verdict, compare};
use relay::Relay;

/// The time that a case may take.
const LIMIT: &str = "60";

pub(super) fn transcript(corpus: &Corpus, case: &Case) -> Verdict {
    // The default world is shared by all who have it open: one case at a time.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let relay = Relay::start().map_err(|cause| cause.to_string())?;
    let data = corpus.data().display().to_string();
    let fill = |text: &str| text.replace("@DATA@", &data);
    let mut command = Command::new("timeout");
    command.arg(LIMIT).current_dir(corpus.data());
    for word in case.words("argv") {
        let word = fill(word);
        command.arg(if word.starts_with("test://") { relay.uri(&word) } else { word });
    }
    if case.param("last_argument").is_some() {
        command.arg(case.read_input(corpus, "script")?);
    }
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C").env("HOME", "/nonexistent");
    for setting in case.words("env") {
        let setting = fill(setting);
        let (name, value) = setting.split_once('=').ok_or("an environment without '='")?;
        let uri = value.starts_with("test://").then(|| relay.uri(value));
        command.env(name, uri.as_deref().unwrap_or(value));
    }
    let (mut output, writer) = std::io::pipe().map_err(|cause| cause.to_string())?;
    let copy = writer.try_clone().map_err(|cause| cause.to_string())?;
    let child = command.stdin(Stdio::null()).stdout(copy).stderr(writer).spawn();
    let mut child = child.map_err(|cause| format!("cannot run virsh: {cause}"))?;
    // Its ends of the pipe are the command's, too.
    drop(command);
    let said = std::io::read_to_string(&mut output).map_err(|cause| cause.to_string())?;
    let status = child.wait().map_err(|cause| cause.to_string())?;
    relay.settle()?;
    let exit = match status.code() {
        Some(0) => String::new(),
        Some(code) => format!("\n## Exit code: {code}\n"),
        None => "\n## killed\n".to_owned(),
    };
    let dropped = case.param("drop_from_output");
    let expected = fill(&case.read_expected(corpus, "output")?);
    // Only ours has hints.
    let kept: Vec<&str> = said.split('\n').filter(|line| !line.starts_with("hint: ")).collect();
    let said = relay.unnamed(&(kept.join("\n") + &exit));
    compare::text(&without(&expected, dropped), &without(&said, dropped))
}

/// The text without what stands between each `mark` and the end of its line.
fn without(text: &str, mark: Option<&str>) -> String {
    let Some(mark) = mark else { return text.to_owned() };
    let mut parts = text.split(mark);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.find('\n').map_or("", |end| &part[end..]))
}
