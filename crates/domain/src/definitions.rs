// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where definitions and status files stand, and how a definition looks there. libvirt's places and
//! form: a host can switch between libvirt and Virtus with all its machines.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::{Paths, store};

/// The folders of one driver.
#[derive(Debug, Clone)]
pub struct Places {
    config: PathBuf,
    autostart: PathBuf,
    state: PathBuf,
    save: PathBuf,
    /// Snapshots and checkpoints are in folders of their own below it.
    data: PathBuf,
    tpm: PathBuf,
    owner: Owner,
}

#[derive(Debug, Clone, Copy)]
enum Owner {
    System,
    Session,
}

impl Places {
    /// The folders of the driver `name` ("qemu").
    #[must_use]
    pub fn new(paths: &Paths, name: &str) -> Self {
        let config = paths.config.join(name);
        Self {
            autostart: config.join("autostart"),
            config,
            // A session keeps what runs one folder deeper.
            state: paths.run.join(if paths.system { name.into() } else { format!("{name}/run") }),
            save: paths.lib.join(name).join("save"),
            data: paths.lib.join(name),
            tpm: paths.lib.join("swtpm"),
            owner: if paths.system { Owner::System } else { Owner::Session },
        }
    }

    /// Where definitions are.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Where status files are.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The definition of a machine.
    #[must_use]
    pub fn definition(&self, name: &str) -> PathBuf {
        self.config.join(format!("{name}.xml"))
    }

    /// The link that starts a machine when the host boots.
    #[must_use]
    pub fn autostart(&self, name: &str) -> PathBuf {
        self.autostart.join(format!("{name}.xml"))
    }

    /// The status file of a machine that runs.
    #[must_use]
    pub fn status(&self, name: &str) -> PathBuf {
        self.state.join(format!("{name}.xml"))
    }

    /// Where saved memory is.
    #[must_use]
    pub fn saved(&self) -> &Path {
        &self.save
    }

    /// What is kept of all machines' snapshots or checkpoints, by their word; those of a machine are in a folder of
    /// its name.
    #[must_use]
    pub fn moments(&self, word: &str) -> PathBuf {
        self.data.join(word)
    }

    /// What is kept of one of them.
    #[must_use]
    pub fn moment(&self, word: &str, machine: &str, name: &str) -> PathBuf {
        self.moments(word).join(machine).join(format!("{name}.xml"))
    }

    /// The state of a machine's emulated TPM.
    #[must_use]
    pub fn tpm(&self, uuid: Uuid) -> PathBuf {
        self.tpm.join(uuid.to_string())
    }

    /// The saved memory of a machine that will continue from it.
    #[must_use]
    pub fn managed_save(&self, name: &str) -> PathBuf {
        self.save.join(format!("{name}.save"))
    }

    /// The mark that the machines of this boot have been started.
    #[must_use]
    pub fn autostarted(&self) -> PathBuf {
        self.state.join("autostarted")
    }

    /// Writes a definition. Blocks.
    pub(crate) fn save(&self, name: &str, definition: &str) -> Result<()> {
        let edit = match self.owner {
            Owner::System => "virsh edit",
            Owner::Session => "virsh -c qemu:///session edit",
        };
        let text = store::with_note("machine", edit, name, definition);
        store::write(&self.definition(name), text.as_bytes(), store::PRIVATE)
    }

    /// Removes a definition and its autostart link. Blocks.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        store::remove(&self.autostart(name))?;
        store::remove(&self.definition(name))
    }

    /// Sets or removes the autostart link. Blocks.
    pub(crate) fn set_autostart(&self, name: &str, on: bool) -> Result<()> {
        if on {
            store::link(&self.definition(name), &self.autostart(name))
        } else {
            store::remove(&self.autostart(name))
        }
    }

    /// The machines whose autostart links stand. Blocks.
    pub(crate) fn autostarted_names(&self) -> Result<HashSet<String>> {
        let links = store::open(&self.autostart, ".xml")?;
        Ok(links.into_iter().filter(|(_, link)| link.is_symlink()).map(|(name, _)| name).collect())
    }
}

/// Refuses names that cannot stand in a file name or in a list.
pub fn check_name(name: &str) -> Result<()> {
    let wrong = |why: &str| {
        Err(Error::new(ErrorCode::XmlError, why.to_owned()).in_domain(ErrorDomain::Domain))
    };
    if name.is_empty() {
        return Err(Error::new(ErrorCode::NoName, "the <name> of the domain is empty")
            .in_domain(ErrorDomain::Domain));
    }
    if name.contains('/') {
        return wrong(&format!("name {name} cannot contain '/'"));
    }
    if name.chars().any(char::is_control) {
        return wrong(&format!("name {name:?} cannot contain control characters"));
    }
    if name.trim().is_empty() {
        return wrong("name must contain at least one non-whitespace character");
    }
    if matches!(name, "." | "..") {
        return wrong(&format!("name '{name}' is not possible: it means a folder"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_file_names_are_refused() {
        for name in ["", "a/b", "a\nb", " ", ".", ".."] {
            check_name(name).unwrap_err();
        }
        for name in ["a", "ä ö", "a'b\"<&>", "-x", ".hidden", "a..b", "日本"] {
            check_name(name).unwrap();
        }
    }
}
