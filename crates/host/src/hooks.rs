// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Scripts of the administrator that run when something happens to a guest, a network or a daemon.
//!
//! ```text
//! hooks/NAME, then what can be executed in hooks/NAME.d/ by name:  SCRIPT OBJECT OPERATION SUBOPERATION EXTRA
//! ```
//! A document about the object is what they read. Whoever adds one need not restart anything.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Access, access};
use virtus_api::{Error, ErrorCode, Result};

use crate::blocking;
use crate::process::{Exit, Run};

/// How long all scripts may take to answer to one event.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where the scripts of one kind are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    folder: PathBuf,
    name: &'static str,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// To which object, by name; `-` for none.
    pub object: &'a str,
    /// What.
    pub operation: &'a str,
    /// Whether it begins or has ended; `-` for neither.
    pub stage: &'a str,
    /// What else is known; `-` for nothing.
    pub extra: &'a str,
}

/// Why the scripts do not agree.
#[derive(Debug)]
pub enum Failure {
    /// One refuses: it has ended with another status than 0.
    Refused(Error),
    /// One could not be started, did not end in time or was killed; none refuses.
    Unheard(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error.hint("the administrator's script refuses it"),
            Failure::Unheard(error) => error.hint("the administrator's script does not work"),
        }
    }
}

impl Hooks {
    /// The scripts called `name` (`qemu`, `lxc`, `network`, `daemon`) in `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, name: &'static str) -> Self {
        Self { folder: folder.into(), name }
    }

    /// Runs all scripts there are, the others too when one fails. `document` is asked for only if there are any.
    ///
    /// # Errors
    /// `VIR_ERR_HOOK_SCRIPT_FAILED` with what the first one that refused has said, else why the first one that failed
    /// did.
    pub async fn call(
        &self,
        event: Event<'_>,
        document: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let hooks = self.clone();
        let scripts = blocking::run("looking for scripts", move || Ok(hooks.scripts())).await;
        let scripts = scripts.map_err(Failure::Unheard)?;
        if scripts.is_empty() {
            return Ok(());
        }
        let Event { object, operation, stage, extra } = event;
        let document = document();
        let end = tokio::time::Instant::now() + PATIENCE;
        let (mut refused, mut unheard) = (None, None);
        for script in scripts {
            let name = script.display().to_string();
            let mut run = Run::new(script).args([object, operation, stage, extra]);
            for variable in ["HOME", "USER", "LOGNAME"] {
                run = run.change(|spawn| spawn.pass_env(variable));
            }
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let output = run.input(document.clone()).output(left).await;
            let ended = matches!(&output, Ok(output) if matches!(output.exit, Exit::Code(_)));
            if let Err(cause) = output.and_then(|output| output.success(&name)) {
                let text = format!("'{operation}' of '{object}': {}", cause.text());
                let failure = if ended { &mut refused } else { &mut unheard };
                failure.get_or_insert(Error::new(ErrorCode::HookScriptFailed, text));
            }
        }
        match (refused, unheard) {
            (Some(error), _) => Err(Failure::Refused(error)),
            (None, Some(error)) => Err(Failure::Unheard(error)),
            (None, None) => Ok(()),
        }
    }

    /// The scripts that are there now and can be executed.
    fn scripts(&self) -> Vec<PathBuf> {
        let own = self.folder.join(self.name);
        let more = fs::read_dir(self.folder.join(format!("{}.d", self.name)));
        let mut more: Vec<_> = more.into_iter().flatten().flatten().map(|e| e.path()).collect();
        more.sort();
        let runs = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
        std::iter::once(own).chain(more).filter(runs).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const START: Event<'_> = Event { object: "vm", operation: "start", stage: "begin", extra: "-" };

    /// By another process: what this one has open for writing, a child of another test could hold open.
    async fn script(path: &Path, text: &str, mode: &str) {
        let install = Run::new("install").args(["-D", "-m", mode, "/dev/stdin"]).arg(path);
        install.input(format!("#!/bin/sh\n{text}\n")).succeed(PATIENCE).await.unwrap();
    }

    #[tokio::test]
    async fn all_run_in_their_order_and_the_first_failure_counts() {
        let folder = std::env::temp_dir().join(format!("virtus-hooks-{}", std::process::id()));
        let hooks = Hooks::new(&folder, "lxc");
        script(&folder.join("lxc.d/5"), "exit 5", "644").await;
        hooks.call(START, || unreachable!()).await.unwrap();

        let note = format!("{{ echo \"$(basename $0) $*\"; cat; }} >>{}/said", folder.display());
        script(&folder.join("lxc"), &note, "755").await;
        script(&folder.join("lxc.d/2"), &format!("{note}; echo no room >&2; exit 3"), "755").await;
        script(&folder.join("lxc.d/1"), &note, "755").await;
        script(&folder.join("lxc.d/3"), &format!("{note}; exit 4"), "755").await;
        let error = Error::from(hooks.call(START, || "<domain/>\n".to_owned()).await.unwrap_err());
        let said = fs::read_to_string(folder.join("said")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let each = |name| format!("{name} vm start begin -\n<domain/>\n");
        assert_eq!(said, ["lxc", "1", "2", "3"].map(each).concat());
        assert_eq!(error.code(), ErrorCode::HookScriptFailed);
        assert!(error.text().ends_with("failed (exit status 3): no room"), "{error}");
    }

    #[tokio::test]
    async fn only_a_script_that_ends_by_itself_refuses() {
        let folder = std::env::temp_dir().join(format!("virtus-unheard-{}", std::process::id()));
        let hooks = Hooks::new(&folder, "lxc");
        script(&folder.join("lxc"), "kill -KILL $$", "755").await;
        let unheard = hooks.call(START, String::new).await;
        script(&folder.join("lxc.d/1"), "exit 1", "755").await;
        let refused = hooks.call(START, String::new).await;
        fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(unheard, Err(Failure::Unheard(_))), "{unheard:?}");
        assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    }
}
