// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The files of a run: its folder, the master key, firmware variables; and whether QEMU can read what it
//! is to open.
//!
//! All of it blocks, so it runs on the blocking pool with a deadline. The images are looked at before
//! QEMU is started, because then the error can say which part of the path is missing or closed to whom.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, Result};
use virtus_core::rehearsal::{Act, Effect};
use virtus_host::access::{Obstacle, Trouble, Want, obstacle};
use virtus_host::label::{self, Owner, Step, Use};
use virtus_host::user::Identity;
use virtus_xml::Domain;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::os::LoaderType;
use virtus_xml::domain::storage::{StorageSource, StorageType};
use virtus_xml::value::YesNo;

use super::Plan;
use crate::config::Config;
use crate::given::Given;
use crate::paths::Places;

/// The key with which secrets are encrypted on the command line, in the folder of the run.
const KEY_FILE: &str = "master-key.aes";

/// What is to be done.
pub(crate) struct Work {
    folder: PathBuf,
    channel: PathBuf,
    identity: Identity,
    nvram: Option<Nvram>,
    needs: Vec<Need>,
    dynamic_ownership: bool,
    remember_owner: bool,
    given: Given,
}

/// Firmware variables that may have to be made.
struct Nvram {
    path: PathBuf,
    template: Option<PathBuf>,
    reset: bool,
}

/// A file that QEMU will open.
struct Need {
    path: PathBuf,
    what: &'static str,
    how: Use,
}

impl Work {
    pub(crate) fn new(places: &Places, plan: &Plan, given: Given) -> Self {
        let (id, name) = (plan.start.id, plan.def.name.as_str());
        Self {
            folder: places.domain(id, name),
            channel: places.channel(id, name),
            identity: plan.config.identity.clone(),
            nvram: nvram(&plan.def, &plan.config, plan.start.reset_nvram),
            needs: needs(&plan.def),
            dynamic_ownership: plan.config.dynamic_ownership && Identity::current().is_root(),
            remember_owner: plan.config.remember_owner,
            given,
        }
    }

    /// What goes when the run is over.
    pub(super) fn leavings(&self) -> Vec<PathBuf> {
        vec![self.folder.clone(), self.channel.clone()]
    }

    /// What [`Self::perform`] would do, and why it would fail.
    pub(crate) fn rehearse(&self) -> (Vec<Effect>, Vec<String>) {
        let user = format!("owner {}:{}", self.identity.uid, self.identity.gid);
        let (mut effects, mut obstacles) = (Vec::new(), Vec::new());
        for folder in [&self.folder, &self.channel] {
            effects.push(Effect::on(Act::Folder, folder, format!("mode 0750, {user}")));
        }
        effects.push(Effect::on(
            Act::Write,
            self.folder.join(KEY_FILE),
            format!("key of the guest's secrets, mode 0600, {user}"),
        ));
        if let Some(nvram) = self.nvram.as_ref().filter(|nvram| nvram.is_to_be_made()) {
            match nvram.template() {
                Ok(template) => effects.push(Effect::on(
                    Act::Write,
                    &nvram.path,
                    format!("the firmware's variables, from '{}', {user}", template.display()),
                )),
                Err(error) => obstacles.push(error.to_string()),
            }
        }
        for Step { path, owner, remember } in self.labels() {
            let now = label::owner(&path).ok();
            if now != Some(owner) {
                let now = now.map_or("?".to_owned(), |now| format!("{}:{}", now.uid, now.gid));
                let back = if remember { ", until the guest ends" } else { "" };
                let change = format!("from {now} to {}:{}{back}", owner.uid, owner.gid);
                effects.push(Effect::on(Act::Owner, path, change));
            }
        }
        for need in &self.needs {
            let given = effects
                .iter()
                .any(|effect| effect.act == Act::Owner && Path::new(&effect.object) == need.path);
            let looked = need.must_exist(&self.identity);
            let looked =
                if given { looked } else { looked.and_then(|()| need.must_open(&self.identity)) };
            obstacles.extend(looked.err().map(|error| error.to_string()));
        }
        (effects, obstacles)
    }

    /// The files that change their owner.
    fn labels(&self) -> Vec<Step> {
        if !self.dynamic_ownership {
            return Vec::new();
        }
        let files = self.needs.iter().map(|need| (need.path.as_path(), need.how));
        let mut steps = label::plan(files, &self.identity);
        steps.iter_mut().for_each(|step| step.remember = self.remember_owner);
        steps
    }

    pub(super) fn perform(self) -> Result<()> {
        for need in &self.needs {
            need.must_exist(&self.identity)?;
        }
        for folder in [&self.folder, &self.channel] {
            // What a run that was broken off left behind is in the way.
            remove_all(folder);
            DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(|cause| {
                Error::system(format!("cannot create folder '{}'", folder.display()), &cause)
            })?;
            self.give(folder)?;
        }
        self.write_key()?;
        if let Some(nvram) = &self.nvram {
            nvram.make(&self.identity)?;
        }
        let steps = self.labels();
        label::apply(&steps)?;
        self.given.note(steps);
        self.needs.iter().try_for_each(|need| need.must_open(&self.identity))
    }

    /// The key with which secrets are encrypted on the command line.
    fn write_key(&self) -> Result<()> {
        let path = self.folder.join(KEY_FILE);
        let explain = |cause| Error::system(format!("cannot write '{}'", path.display()), &cause);
        let mut key = [0; 32];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut key))
            .map_err(explain)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(explain)?;
        file.write_all(&key).map_err(explain)?;
        self.give(&path)
    }

    fn give(&self, path: &Path) -> Result<()> {
        give(path, &self.identity)
    }
}

/// Makes the QEMU user the owner, if that is somebody else.
pub(super) fn give(path: &Path, identity: &Identity) -> Result<()> {
    let current = Identity::current();
    if !current.is_root() || (identity.uid, identity.gid) == (current.uid, current.gid) {
        return Ok(());
    }
    chown(path, Some(identity.uid), Some(identity.gid)).map_err(|cause| {
        Error::system(
            format!("cannot give '{}' to user {}:{}", path.display(), identity.uid, identity.gid),
            &cause,
        )
    })
}

fn nvram(def: &Domain, config: &Config, reset: bool) -> Option<Nvram> {
    let loader = def.os.loader.as_ref()?;
    if loader.kind != Some(LoaderType::Pflash) || loader.stateless == Some(YesNo::Yes) {
        return None;
    }
    let nvram = def.os.nvram.as_ref()?;
    let path = nvram
        .path
        .clone()
        .or_else(|| nvram.source.as_ref().and_then(|source| source.file.clone()))?;
    let stated = nvram.template.as_ref().map(PathBuf::from);
    let code = loader.path.as_deref().map(Path::new);
    let known = config.nvram.iter().find(|(firmware, _)| Some(firmware.as_path()) == code);
    let template = stated.or_else(|| known.map(|(_, vars)| vars.clone())).or_else(|| {
        // OVMF_CODE_4M.fd lies beside OVMF_VARS_4M.fd in every distribution.
        let code = code?;
        let name = code.file_name()?.to_str()?.replace("CODE", "VARS").replace(".secboot", "");
        Some(code.with_file_name(name)).filter(|vars| vars != code && vars.exists())
    });
    Some(Nvram { path: path.into(), template, reset })
}

impl Nvram {
    fn is_to_be_made(&self) -> bool {
        self.reset || !self.path.exists()
    }

    fn template(&self) -> Result<&Path> {
        self.template.as_deref().ok_or_else(|| {
            let text = format!(
                "the firmware's variables '{}' do not exist and no template is known for them",
                self.path.display()
            );
            Error::new(ErrorCode::ConfigUnsupported, text)
                .hint("name one: <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'/>")
        })
    }

    fn make(&self, identity: &Identity) -> Result<()> {
        if !self.is_to_be_made() {
            return Ok(());
        }
        let template = self.template()?;
        let bytes = fs::read(template).map_err(|cause| {
            Error::system(format!("cannot read NVRAM template '{}'", template.display()), &cause)
        })?;
        virtus_core::store::write(&self.path, &bytes, 0o600)
            .map_err(|error| error.context("cannot make the firmware's variables"))?;
        give(&self.path, identity)
    }
}

/// Every file that the definition names and QEMU opens.
fn needs(def: &Domain) -> Vec<Need> {
    let mut needs: Vec<Need> = def.devices.disks.iter().flat_map(of_disk).collect();
    let os = &def.os;
    let firmware = os.loader.as_ref().and_then(|loader| loader.path.as_ref());
    for (path, what) in [
        (os.kernel.as_ref(), "kernel file"),
        (os.initrd.as_ref(), "initrd file"),
        (os.dtb.as_ref(), "device tree file"),
        (firmware, "firmware file"),
    ] {
        needs.extend(path.map(|path| Need { path: path.into(), what, how: Use::ReadOnly }));
    }
    needs
}

/// The images of a disk that lie on this host; those below the top are only read.
fn of_disk(disk: &Disk) -> Vec<Need> {
    let top = if disk.is_readonly() || disk.kind == StorageType::Dir {
        Use::ReadOnly
    } else if disk.shareable {
        Use::Shared
    } else {
        Use::Own
    };
    let mut needs = Vec::new();
    if let Some(source) = &disk.source {
        of_image(&mut needs, disk.kind, source, "storage file", top);
    }
    let mut below = disk.backing_store.as_deref();
    while let Some((store, source)) = below.and_then(|store| Some((store, store.source.as_ref()?)))
    {
        let kind = store.kind.unwrap_or_default();
        of_image(&mut needs, kind, source, "backing file", Use::ReadOnly);
        below = store.backing_store.as_deref();
    }
    needs
}

fn of_image(
    needs: &mut Vec<Need>,
    kind: StorageType,
    source: &StorageSource,
    what: &'static str,
    how: Use,
) {
    let local = matches!(kind, StorageType::File | StorageType::Block | StorageType::Dir);
    if let Some(path) = source.local_path().filter(|_| local && source.fdgroup.is_none()) {
        needs.push(Need { path: path.into(), what, how });
    }
    if let Some(data) = &source.data_store
        && let Some(source) = &data.source
    {
        of_image(needs, data.kind.unwrap_or_default(), source, "data file", how);
    }
}

/// Gives the images of a disk that is plugged into a running guest. Blocks.
pub(crate) fn give_image(disk: &Disk, config: &Config) -> Result<Vec<Step>> {
    let needs = of_disk(disk);
    needs.iter().try_for_each(|need| need.must_exist(&config.identity))?;
    let mut steps = Vec::new();
    if config.dynamic_ownership && Identity::current().is_root() {
        let files = needs.iter().map(|need| (need.path.as_path(), need.how));
        steps = label::plan(files, &config.identity);
        steps.iter_mut().for_each(|step| step.remember = config.remember_owner);
        label::apply(&steps)?;
    }
    if let Err(error) = needs.iter().try_for_each(|need| need.must_open(&config.identity)) {
        label::restore(&steps);
        return Err(error);
    }
    Ok(steps)
}

/// Takes the images of a guest back that a former daemon gave away: those that it writes to.
pub(crate) fn given_by(def: &Domain, config: &Config) -> Vec<Step> {
    if !config.dynamic_ownership || !config.remember_owner || !Identity::current().is_root() {
        return Vec::new();
    }
    // One that is not QEMU's now was not given away, or has been taken back.
    let owner = Owner::from(&config.identity);
    let given = |need: &Need| {
        need.how != Use::ReadOnly && label::owner(&need.path).is_ok_and(|now| now == owner)
    };
    let needs: Vec<Need> = needs(def).into_iter().filter(given).collect();
    label::plan(needs.iter().map(|need| (need.path.as_path(), need.how)), &config.identity)
}

impl Need {
    fn must_exist(&self, identity: &Identity) -> Result<()> {
        match fs::metadata(&self.path) {
            Ok(_) => Ok(()),
            Err(cause) => Err(self.error(identity, &cause)),
        }
    }

    /// Looks with the eyes of QEMU's user, whom the daemon can only imagine to be.
    fn must_open(&self, identity: &Identity) -> Result<()> {
        if fs::metadata(&self.path).is_ok_and(|facts| facts.is_dir()) {
            return Ok(());
        }
        match obstacle(&self.path, identity, self.want()) {
            None => Ok(()),
            Some(found) => {
                let denied = std::io::ErrorKind::PermissionDenied.into();
                let cause = match found.trouble {
                    Trouble::ReadOnly => std::io::ErrorKind::ReadOnlyFilesystem.into(),
                    _ => denied,
                };
                Err(self.error(identity, &cause))
            }
        }
    }

    fn want(&self) -> Want {
        if self.how == Use::ReadOnly { Want::Read } else { Want::ReadWrite }
    }

    fn error(&self, identity: &Identity, cause: &std::io::Error) -> Error {
        let lead = format!(
            "Cannot access {} '{}' (as uid:{}, gid:{})",
            self.what,
            self.path.display(),
            identity.uid,
            identity.gid
        );
        let error = Error::system(lead, cause);
        match obstacle(&self.path, identity, self.want()).map(Obstacle::into_error) {
            Some(reason) => {
                // The lead has named the file already.
                let why = reason.text().split_once("': ").map_or(reason.text(), |(_, why)| why);
                let what = reason.hint_text().unwrap_or_default();
                error.hint(format!("{why}; {what}"))
            }
            None => error,
        }
    }
}

/// Removes files and folders with what is in them.
pub(crate) async fn remove(paths: Vec<PathBuf>) {
    let removed =
        tokio::task::spawn_blocking(move || paths.iter().for_each(|path| remove_all(path)));
    // The pool refuses work only when the daemon ends.
    let _ = removed.await;
}

fn remove_all(path: &Path) {
    let removed = match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return,
    };
    if let Err(cause) = removed {
        tracing::warn!("cannot remove '{}': {cause}", path.display());
    }
}
