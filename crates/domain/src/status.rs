// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The status file of a running machine, in libvirt's form: what a daemon needs to take the machine
//! over after a restart, be the former one libvirt's or ours.

use std::path::PathBuf;

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::status::{Body, Monitor, Status as Document};
use virtus_xml::tree::Tree;

use crate::state::State;

/// A running machine on paper (`<domstatus>`).
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Its state when the file was written; a reattach asks the machine itself.
    pub state: State,
    /// The VMM's process.
    pub pid: Option<u32>,
    /// The VMM's monitor socket.
    pub monitor: Option<PathBuf>,
    /// The live definition, with its id.
    pub def: Domain,
    /// What else the driver keeps there for itself.
    pub private: Private,
}

/// The driver's own part of a status file. State, process and monitor stand in [`Status`] and
/// overrule what is here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Private {
    pub body: Box<Body>,
    /// What was not understood when the file was read; written again.
    pub others: Vec<Tree>,
}

impl Status {
    /// The text of the file, passwords included (it is private, mode 0600).
    #[must_use]
    pub fn format(&self) -> String {
        let mut body = (*self.private.body).clone();
        body.state = self.state.word().to_owned();
        body.reason = self.state.reason_word().to_owned();
        body.pid = self.pid.and_then(|pid| i32::try_from(pid).ok());
        body.monitor = self.monitor.as_ref().map(|path| Monitor {
            path: path.display().to_string(),
            kind: Some("unix".to_owned()),
        });
        let others = self.private.others.clone();
        Document { body, others, domain: self.def.clone() }.format()
    }

    /// Reads a status file.
    pub fn parse(text: &str) -> Result<Self> {
        let Document { body, others, domain } = Document::parse(text)?.value;
        let state = State::from_words(&body.state, &body.reason).ok_or_else(|| {
            Error::new(ErrorCode::XmlError, format!("unknown domain state '{}'", body.state))
        })?;
        Ok(Self {
            state,
            pid: body.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
            monitor: body.monitor.as_ref().map(|monitor| PathBuf::from(&monitor.path)),
            def: domain,
            private: Private { body: Box::new(body), others },
        })
    }
}
