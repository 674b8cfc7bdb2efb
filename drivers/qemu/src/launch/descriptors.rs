// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Opens what QEMU gets as open descriptors: the monitor's socket, the sockets of channels, log files.
//!
//! A descriptor has the number in QEMU that it is given here, so that the command line can name it before
//! the process exists.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::Undo;
use virtus_xml::Domain;
use virtus_xml::domain::chardev::{ChardevType, SocketMode};

use super::files;
use crate::log_keeper::LogKeeper;
use crate::paths::Places;
use crate::plan::{Descriptor, FdKey, What, descriptors};

/// Numbers below are the standard descriptors.
pub(super) const FIRST: i32 = 3;
/// What the kernel takes as the path of a socket.
const MAX_SOCKET_PATH: usize = 107;

/// Descriptors for QEMU, under the numbers that they will have there.
#[derive(Debug, Default)]
pub(crate) struct Open(Vec<(FdKey, OwnedFd)>);

impl Open {
    pub(crate) fn add(&mut self, key: FdKey, fd: impl Into<OwnedFd>) {
        self.0.push((key, fd.into()));
    }

    /// The numbers by purpose.
    pub(crate) fn numbers(&self) -> BTreeMap<FdKey, Vec<i32>> {
        let mut numbers: BTreeMap<FdKey, Vec<i32>> = BTreeMap::new();
        for (number, (key, _)) in (FIRST..).zip(&self.0) {
            numbers.entry(key.clone()).or_default().push(number);
        }
        numbers
    }

    /// The descriptors with their numbers.
    pub(crate) fn into_descriptors(self) -> impl Iterator<Item = (i32, OwnedFd)> {
        (FIRST..).zip(self.0.into_iter().map(|(_, fd)| fd))
    }
}

/// The numbers that the descriptors of a definition would have, as far as `opened` takes them.
pub(crate) fn numbers(
    def: &Domain,
    opened: impl Fn(&Descriptor) -> bool,
) -> BTreeMap<FdKey, Vec<i32>> {
    let mut next = FIRST..;
    let wanted = descriptors(def).into_iter().filter(opened);
    wanted.map(|wanted| (wanted.key, next.by_ref().take(wanted.count as usize).collect())).collect()
}

/// Gives channels without a path one in the folder of this run.
pub(crate) fn name_sockets(places: &Places, def: &mut Domain, id: i32) {
    let folder = places.channel(id, &def.name);
    for device in &mut def.devices.channels {
        if device.kind != ChardevType::Unix {
            continue;
        }
        let target = device.target.as_ref().and_then(|target| target.name.clone());
        let file = target.or_else(|| device.info.alias.clone()).unwrap_or_default();
        let source = device.source_mut();
        source.mode.get_or_insert(SocketMode::Bind);
        source.path.get_or_insert_with(|| folder.join(file).to_string_lossy().into_owned());
    }
}

/// Opens everything that the definition asks for. Taps are plugged in by [`super::network`].
pub(super) async fn open(
    places: &Places,
    keeper: &LogKeeper,
    def: &Domain,
    id: i32,
    taps: &mut BTreeMap<String, Vec<OwnedFd>>,
    undo: &mut Undo,
) -> Result<Open> {
    let mut open = Open::default();
    for wanted in descriptors(def) {
        for at in 0..wanted.count {
            let opened = match &wanted.what {
                What::Monitor => listen(&places.monitor(id, &def.name)).map(OwnedFd::from),
                What::Listen(path) => {
                    let socket = listen(Path::new(path)).map(OwnedFd::from);
                    let path = vec![PathBuf::from(path)];
                    undo.push("socket of a device", async move { files::remove(path).await });
                    socket
                }
                What::Write { path, append } => output(keeper, Path::new(path), *append).await,
                What::Device(path) => device(path).map(OwnedFd::from),
                What::Tap => take_tap(&wanted.key, at, taps),
                What::Renderer => Err(Error::new(
                    ErrorCode::ConfigUnsupported,
                    "video cards of type vhost-user are not supported",
                )),
            };
            match opened {
                Ok(fd) => open.add(wanted.key.clone(), fd),
                Err(error) if wanted.optional => {
                    tracing::debug!("{error}");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(open)
}

fn take_tap(key: &FdKey, at: u32, taps: &mut BTreeMap<String, Vec<OwnedFd>>) -> Result<OwnedFd> {
    let FdKey::Tap(alias) = key else { return Err(unplugged("?", at)) };
    taps.get_mut(alias).and_then(Vec::pop).ok_or_else(|| unplugged(alias, at))
}

fn unplugged(alias: &str, at: u32) -> Error {
    let text = format!("queue {at} of interface '{alias}' was not plugged in before the start");
    Error::new(ErrorCode::InternalError, text)
}

fn device(path: &str) -> Result<std::fs::File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|cause| Error::system(format!("cannot open '{path}'"), &cause))
}

/// A socket that is listened on; what a former run left at its path goes.
fn listen(path: &Path) -> Result<UnixListener> {
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        let text = format!(
            "UNIX socket path '{}' is too long: {} characters, where the system takes {MAX_SOCKET_PATH}",
            path.display(),
            path.as_os_str().len()
        );
        return Err(Error::new(ErrorCode::ConfigUnsupported, text).hint(
            "give the domain a shorter name, or move the daemon's folders to a shorter path",
        ));
    }
    if let Err(cause) = std::fs::remove_file(path)
        && cause.kind() != std::io::ErrorKind::NotFound
    {
        return Err(Error::system(format!("cannot remove '{}'", path.display()), &cause));
    }
    UnixListener::bind(path)
        .map_err(|cause| Error::system(format!("cannot listen on '{}'", path.display()), &cause))
}

async fn output(keeper: &LogKeeper, path: &Path, keep: bool) -> Result<OwnedFd> {
    if let Some((pipe, _)) = keeper.open(path, !keep).await? {
        return Ok(pipe.into());
    }
    let opened = OpenOptions::new()
        .create(true)
        .write(true)
        .append(keep)
        .truncate(!keep)
        .mode(0o600)
        .open(path);
    opened.map(OwnedFd::from).map_err(|cause| {
        Error::system(format!("cannot open '{}' for writing", path.display()), &cause)
    })
}
