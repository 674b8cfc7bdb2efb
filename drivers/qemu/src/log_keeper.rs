// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who keeps what guests print: virtlogd, which bounds it; or nobody, and QEMU writes its files itself.

use std::fs::File;
use std::path::Path;

use virtus_api::{
    Error, ErrorCode, LogDomain, LogDomainAppendLogFile, LogDomainGetLogFilePosition,
    LogDomainOpenLogFile, LogDomainOpenLogFileFlags, LogDomainReadLogFile, LogFilePosition, Result,
};
use virtus_core::Paths;
use virtus_rpc::{Conversation, Neighbour};
use virtus_xml::Domain;

/// What virtlogd is told of whose logs they are.
const DRIVER: &str = "qemu";

/// How to reach virtlogd for the logs of one guest; without it, files are written directly.
#[derive(Debug, Clone)]
pub(crate) struct LogKeeper {
    virtlogd: Option<Neighbour>,
    guest: LogDomain,
}

impl LogKeeper {
    /// `wanted` says whether virtlogd is to be used; `None`: if it is there.
    pub(crate) fn new(wanted: Option<bool>, paths: &Paths, guest: &Domain) -> Self {
        let virtlogd = Neighbour::virtlogd(&paths.run);
        let used = wanted.unwrap_or_else(|| virtlogd.is_installed());
        let guest = LogDomain { uuid: guest.uuid.unwrap_or_default(), name: guest.name.clone() };
        Self { virtlogd: used.then_some(virtlogd), guest }
    }

    /// Opens a log for a guest: the end of a pipe, and where it begins in the file. `None`: it is to be opened as
    /// any file.
    pub(crate) async fn open(
        &self,
        path: &Path,
        truncate: bool,
    ) -> Result<Option<(File, LogFilePosition)>> {
        let Some(virtlogd) = self.connect().await? else { return Ok(None) };
        let flags = if truncate { LogDomainOpenLogFileFlags::TRUNCATE.bits() } else { 0 };
        let asked = virtlogd.ask_for_fds(LogDomainOpenLogFile {
            driver: DRIVER.to_owned(),
            dom: self.guest.clone(),
            path: text(path),
            flags,
        });
        let (position, fds) = asked.await?;
        let pipe = fds.into_iter().next().ok_or_else(|| {
            Error::new(ErrorCode::Rpc, "virtlogd has opened a log without passing its descriptor")
        })?;
        Ok(Some((pipe.into(), position)))
    }

    /// Adds a line of ours behind what the guest has printed so far. `false`: nobody keeps the log.
    pub(crate) async fn append(&self, path: &Path, message: String) -> Result<bool> {
        let Some(virtlogd) = self.connect().await? else { return Ok(false) };
        let asked = virtlogd.ask(LogDomainAppendLogFile {
            driver: DRIVER.to_owned(),
            dom: self.guest.clone(),
            path: text(path),
            message,
            flags: 0,
        });
        asked.await.map(|_| true)
    }

    /// Where the next byte of an open log will stand.
    pub(crate) async fn position(&self, path: &Path) -> Result<Option<LogFilePosition>> {
        let Some(virtlogd) = self.connect().await? else { return Ok(None) };
        virtlogd.ask(LogDomainGetLogFilePosition { path: text(path), flags: 0 }).await.map(Some)
    }

    /// Up to `maxlen` bytes from `pos` on.
    pub(crate) async fn read(
        &self,
        path: &Path,
        pos: LogFilePosition,
        maxlen: u64,
    ) -> Result<Option<String>> {
        let Some(virtlogd) = self.connect().await? else { return Ok(None) };
        virtlogd
            .ask(LogDomainReadLogFile { path: text(path), pos, maxlen, flags: 0 })
            .await
            .map(Some)
    }

    async fn connect(&self) -> Result<Option<Conversation>> {
        match &self.virtlogd {
            Some(virtlogd) => virtlogd.connect().await.map(Some),
            None => Ok(None),
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
