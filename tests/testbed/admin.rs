// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The stock `virt-admin` and the daemon's admin socket.

use std::path::{Path, PathBuf};

use crate::bed::words;
use crate::run::{Done, run};
use crate::{Backend, DEADLINE, Outcome, Testbed};

impl Testbed {
    /// The daemon's admin socket.
    pub fn admin_socket(&self) -> PathBuf {
        let main = self.socket();
        let name = main.file_name().unwrap_or_default().to_string_lossy();
        main.with_file_name(name.replace("-sock", "-admin-sock"))
    }

    /// The stock `virt-admin` with words that are split at blanks; a word in `'…'` keeps its blanks.
    pub fn try_admin(&self, line: &str) -> Outcome<Done> {
        let mut command = self.client_command(virt_admin()?);
        let uri = format!("libvirtd+unix:///system?socket={}", self.admin_socket().display());
        command.args(["--connect", &uri]).args(words(line));
        run(&mut command, DEADLINE)
    }

    /// What `virt-admin` prints; its failure is an error.
    pub fn admin(&self, line: &str) -> Outcome<String> {
        let done = self.try_admin(line)?;
        if done.ok() {
            return Ok(done.out.trim_end().to_owned());
        }
        Err(format!("virt-admin {line}: exit {:?}\n{}{}", done.code, done.out, done.err).into())
    }

    /// The error text of a `virt-admin` that must fail.
    pub fn admin_fails(&self, line: &str) -> Outcome<String> {
        let done = self.try_admin(line)?;
        if done.ok() {
            let text = format!("virt-admin {line} should have failed, but said:\n{}", done.out);
            return Err(text.into());
        }
        Ok(done.err.trim_end().to_owned())
    }

    /// `virt-admin` in the testbed's folder, where every user may run it.
    pub fn copy_virt_admin(&self) -> Outcome<PathBuf> {
        let copy = self.path("virt-admin");
        std::fs::copy(virt_admin()?, &copy)?;
        Ok(copy)
    }
}

/// The installed `virt-admin`, or else the one among the unpacked stock programs.
fn virt_admin() -> Outcome<PathBuf> {
    let installed = Path::new("/usr/bin/virt-admin");
    if installed.exists() {
        return Ok(installed.to_owned());
    }
    match Backend::stock()? {
        Backend::Stock(folder) => Ok(folder.join("usr/bin/virt-admin")),
        Backend::Ours => Ok(installed.to_owned()),
    }
}
