// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs in a testbed that run as a user who is nobody: not root, and in none of its groups.

use crate::{Done, Lines, Outcome, Terminal, Testbed};

impl Testbed {
    /// As [`Testbed::run`], but as nobody.
    pub fn run_as_nobody(&self, program: &str, words: &[&str]) -> Outcome<Done> {
        self.run("setpriv", &as_nobody(program, words))
    }

    /// As [`Testbed::lines`], but as nobody.
    pub fn lines_as_nobody(&self, program: &str, words: &[&str]) -> Outcome<Lines> {
        self.lines("setpriv", &as_nobody(program, words))
    }

    /// As [`Testbed::terminal_with`], but as nobody.
    pub fn terminal_as_nobody(&self, program: &str, words: &[&str]) -> Outcome<Terminal> {
        self.terminal_with("setpriv", &as_nobody(program, words))
    }

    /// What becomes of a command of nobody's `virsh` at this URI.
    pub fn virsh_as_nobody(&self, uri: &str, words: &[&str]) -> Outcome<Done> {
        self.run_as_nobody("virsh", &[&["--connect", uri], words].concat())
    }
}

fn as_nobody<'a>(program: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    [&["--reuid=65534", "--regid=65534", "--clear-groups", program], words].concat()
}
