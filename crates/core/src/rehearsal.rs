// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a driver would do for a definition, stated instead of done.

use std::path::Path;

/// How the host is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A folder is made.
    Folder,
    /// A file is written.
    Write,
    /// A file gets another owner for as long as the guest runs.
    Owner,
    /// A Unix socket is listened on.
    Socket,
    /// A TCP port is listened on.
    Port,
    /// A device of the host is opened.
    Device,
    /// A network link is made.
    Link,
    /// A control group is made.
    Cgroup,
    /// A program is run.
    Run,
}

impl Act {
    /// Its word, for people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Write => "write",
            Self::Owner => "owner",
            Self::Socket => "socket",
            Self::Port => "port",
            Self::Device => "device",
            Self::Link => "link",
            Self::Cgroup => "cgroup",
            Self::Run => "run",
        }
    }
}

/// One thing that would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    pub act: Act,
    /// The path, name or number of what is changed.
    pub object: String,
    /// What else there is to say, for people; may be empty.
    pub detail: String,
}

impl Effect {
    /// An effect on a path.
    pub fn on(act: Act, path: impl AsRef<Path>, detail: impl Into<String>) -> Self {
        Self { act, object: path.as_ref().display().to_string(), detail: detail.into() }
    }
}

/// What would come of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rehearsal {
    /// The domain's name.
    pub name: String,
    /// The definition as it would be kept.
    pub definition: String,
    /// What defining it would change.
    pub define: Vec<Effect>,
    /// What starting it would change, in this order.
    pub start: Vec<Effect>,
    /// Why a start would fail, as far as that can be seen now.
    pub obstacles: Vec<String>,
    /// The variables of the program that runs the guest.
    pub env: Vec<(String, String)>,
    /// The program and its words.
    pub command: Vec<String>,
    /// What in the document has no meaning.
    pub warnings: Vec<String>,
}
