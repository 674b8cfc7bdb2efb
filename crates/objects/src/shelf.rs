// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the definitions of one kind are kept, in libvirt's places and form: a host can switch between libvirt and
//! Virtus with all its objects.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;
use virtus_api::{Error, ErrorCode, Result};
use virtus_core::{Paths, store};
use virtus_xml::ParseFlags;

use crate::kind::Kind;

/// Where definitions are kept.
#[derive(Debug, Clone)]
pub enum Shelf {
    /// Nowhere: they end with the process (the worlds of the test driver).
    Memory,
    /// In a folder.
    Folder(Folder),
}

/// A folder of definitions: `NAME.xml`, and `autostart/NAME.xml`, a link, for each that starts when the host boots.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// What comes before the command in the note of a file: how virsh reaches this daemon.
    virsh: &'static str,
}

/// A definition that was found.
pub(crate) struct Found<K> {
    pub(crate) def: K,
    pub(crate) autostart: bool,
}

impl Shelf {
    /// The folder `name` ("qemu/networks") below the configuration of the system or of a user's session.
    #[must_use]
    pub fn folder(paths: &Paths, name: &str) -> Self {
        let virsh = if paths.system { "virsh" } else { "virsh -c qemu:///session" };
        Self::Folder(Folder { path: paths.config.join(name), virsh })
    }

    /// Keeps a definition.
    pub(crate) async fn save<K: Kind>(&self, def: Arc<K>) -> Result<()> {
        self.blocking(move |folder| folder.save(&*def)).await
    }

    /// Keeps a definition no longer, nor that it starts when the host boots.
    pub(crate) async fn remove(&self, file: String) -> Result<()> {
        self.blocking(move |folder| {
            store::remove(&folder.autostart(&file))?;
            store::remove(&folder.definition(&file))
        })
        .await
    }

    pub(crate) async fn set_autostart(&self, file: String, on: bool) -> Result<()> {
        self.blocking(move |folder| {
            let link = folder.autostart(&file);
            if on { store::link(&folder.definition(&file), &link) } else { store::remove(&link) }
        })
        .await
    }

    /// Everything that is kept. What cannot be read is reported and passed over.
    pub(crate) async fn load<K: Kind>(&self) -> Result<Vec<Found<K>>> {
        self.blocking(Folder::load).await
    }

    /// Does what only a shelf on disk needs.
    pub(crate) async fn blocking<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match self {
            Self::Memory => Ok(T::default()),
            Self::Folder(folder) => {
                let folder = folder.clone();
                beside(move || work(&folder)).await
            }
        }
    }
}

impl Folder {
    /// The file of this name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn definition(&self, file: &str) -> PathBuf {
        self.file(&format!("{file}.xml"))
    }

    fn autostart(&self, file: &str) -> PathBuf {
        self.path.join("autostart").join(format!("{file}.xml"))
    }

    fn save<K: Kind>(&self, def: &K) -> Result<()> {
        let file = def.file();
        check_file::<K>(&file)?;
        if !def.is_durable() {
            return store::remove(&self.definition(&file));
        }
        let mut text = def.format(K::ON_DISK);
        if let Some(command) = K::EDIT {
            let command = format!("{} {command}", self.virsh);
            text = store::with_note(K::WORD, &command, &file, &text);
        }
        store::write(&self.definition(&file), text.as_bytes(), store::PRIVATE)
    }

    fn load<K: Kind>(&self) -> Result<Vec<Found<K>>> {
        let mut found = Vec::new();
        let _swept = store::open(&self.path.join("autostart"), ".xml")?;
        for (file, path) in store::open(&self.path, ".xml")? {
            match read::<K>(&file, &path) {
                // A link that leads nowhere still says what is wanted.
                Ok(def) => {
                    let autostart = std::fs::read_link(self.autostart(&file)).is_ok();
                    found.push(Found { def, autostart });
                }
                Err(error) => {
                    tracing::error!("'{}' is passed over: {error}", path.display());
                }
            }
        }
        Ok(found)
    }
}

/// Reads a definition that was accepted before.
fn read<K: Kind>(file: &str, path: &Path) -> Result<K> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| Error::system(format!("cannot read '{}'", path.display()), &cause))?;
    let parsed = K::parse(&text, ParseFlags::INACTIVE | ParseFlags::SKIP_VALIDATE)?;
    for warning in &parsed.warnings {
        tracing::warn!("{}:{}:{}: {}", path.display(), warning.line, warning.column, warning.text);
    }
    let def = parsed.value;
    if def.file() != file {
        let text = format!("the file's name is not that of {} '{}'", K::WORD, def.name());
        return Err(Error::new(ErrorCode::XmlError, text).in_domain(K::DOMAIN));
    }
    Ok(def)
}

/// Refuses what cannot be the name of a file.
fn check_file<K: Kind>(file: &str) -> Result<()> {
    let fits = !file.is_empty() && !file.contains(['/', '\0', '\n']);
    if fits {
        return Ok(());
    }
    let text = format!("name {file:?} of a {} cannot be the name of a file", K::WORD);
    Err(Error::new(ErrorCode::XmlError, text).in_domain(K::DOMAIN))
}

/// Does what blocks on the pool that is there for it.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let lost = |_| Err(Error::new(ErrorCode::InternalError, "work on files ended early"));
    spawn_blocking(work).await.unwrap_or_else(lost)
}
