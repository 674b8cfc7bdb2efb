// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Keeps what was learnt about each binary: in memory, and on disk where libvirt keeps it.
//!
//! Invariants: a binary is asked once at a time, however many want to know; asking one never holds up
//! another; what is kept is used only while the binary, its modules, the kernel, the processor and this
//! daemon are the same.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use rustix::fs::{Access, access};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::store;
use virtus_host::user::Identity;

use super::model::Capabilities;
use super::probe::probe;

/// libvirt's version number as caches carry it.
const DAEMON_VERSION: u32 = 11_003_000;

/// When memory is given back: whatever a binary was asked for goes on at once, and needs pages of the program for that.
const SOON: Duration = Duration::from_secs(1);

type Known = Result<Arc<Capabilities>>;

#[derive(Debug, Clone)]
struct Entry {
    stamp: String,
    answer: Shared<BoxFuture<'static, Known>>,
}

/// What is known about the QEMU binaries of this host.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    identity: Option<Identity>,
    saves: bool,
    entries: Mutex<HashMap<PathBuf, Entry>>,
}

impl Cache {
    /// Keeps its files in `folder` (libvirt's is `/var/cache/libvirt/qemu/capabilities`). Binaries are run
    /// as `identity`, the user of the guests, if given.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, identity: Option<Identity>) -> Self {
        Self { folder: folder.into(), identity, saves: true, entries: Mutex::default() }
    }

    /// Reads what another has saved in `folder`, and writes nothing there.
    #[must_use]
    pub fn reading(folder: impl Into<PathBuf>) -> Self {
        Self { saves: false, ..Self::new(folder, None) }
    }

    /// What `binary` can do: from memory, from disk, or by asking it.
    ///
    /// # Errors
    /// Where the binary is missing or cannot be asked. It is asked again the next time.
    pub async fn get(&self, binary: &Path) -> Known {
        let stamp = stamp(binary)?;
        let answer = {
            let mut entries = self.entries();
            match entries.get(binary) {
                Some(entry) if entry.stamp == stamp => entry.answer.clone(),
                _ => {
                    let answer = self.learn(binary.to_owned(), stamp.clone());
                    let entry = Entry { stamp, answer: answer.clone() };
                    entries.insert(binary.to_owned(), entry);
                    answer
                }
            }
        };
        let known = answer.clone().await;
        if known.is_err() {
            let mut entries = self.entries();
            if entries.get(binary).is_some_and(|entry| entry.answer.ptr_eq(&answer)) {
                entries.remove(binary);
            }
        }
        known
    }

    /// What `binary` can do if it is in memory already; never waits.
    #[must_use]
    pub fn known(&self, binary: &Path) -> Option<Arc<Capabilities>> {
        let answer = self.entries().get(binary)?.answer.clone();
        answer.peek()?.as_ref().ok().cloned()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<PathBuf, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to learn; goes on even if all who wait give up, since the next one will want to know too.
    fn learn(&self, binary: PathBuf, stamp: String) -> Shared<BoxFuture<'static, Known>> {
        let file = self.file(&binary);
        let (identity, saves) = (self.identity.clone(), self.saves);
        let name = binary.display().to_string();
        let task = tokio::spawn(async move {
            if let Some(caps) = load(&file, &binary, &stamp) {
                return Ok(Arc::new(caps));
            }
            let mut caps = probe(&binary, identity.as_ref()).await?;
            caps.stamp = Some(stamp);
            caps.daemon_version = DAEMON_VERSION;
            caps.microcode = virtus_host::node::Node::new().microcode();
            if let Ok(facts) = fs::metadata(&binary) {
                caps.binary_ctime = facts.ctime();
            }
            caps.kernel_version = Some(kernel());
            let text = caps.to_cache_xml();
            if saves {
                save(&file, &text);
            }
            // A text that cannot be read costs memory and the next start's time, nothing else.
            if Capabilities::from_cache_xml(&text).is_err() {
                return Ok(Arc::new(caps));
            }
            // The answers are ten times as large as what is kept of them, which lies scattered among them. Read anew it
            // lies together, and their memory can go; and it is what the next start will know.
            drop(caps);
            let caps = Capabilities::from_cache_xml(&text)?;
            tokio::spawn(async {
                sleep(SOON).await;
                // Nobody waits for it: to be woken takes pages, too.
                spawn_blocking(virtus_host::memory::give_back);
            });
            Ok(Arc::new(caps))
        });
        let answer = async move {
            task.await.unwrap_or_else(|cause| {
                let text = format!("asking QEMU binary '{name}' was broken off: {cause}");
                Err(Error::new(ErrorCode::OperationFailed, text).in_domain(ErrorDomain::Qemu))
            })
        };
        answer.boxed().shared()
    }

    /// libvirt names the file after the binary's path.
    fn file(&self, binary: &Path) -> PathBuf {
        let mut name = String::new();
        for byte in Sha256::digest(binary.as_os_str().as_encoded_bytes()) {
            name.push_str(&format!("{byte:02x}"));
        }
        self.folder.join(name).with_extension("xml")
    }
}

fn load(file: &Path, binary: &Path, stamp: &str) -> Option<Capabilities> {
    let caps = Capabilities::from_cache_xml(&fs::read_to_string(file).ok()?)
        .inspect_err(|error| tracing::info!(%error, file = %file.display(), "cache not usable"))
        .ok()?;
    (caps.stamp.as_deref() == Some(stamp) && caps.binary == binary).then_some(caps)
}

/// A cache that cannot be written costs time, nothing else.
fn save(file: &Path, text: &str) {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let saved =
        store::make_folder(folder, 0o755).and_then(|()| store::write(file, text.as_bytes(), 0o600));
    if let Err(error) = saved {
        tracing::warn!(%error, "QEMU will be asked again after a restart");
    }
}

/// Everything that the answers depend on.
fn stamp(binary: &Path) -> Result<String> {
    let facts = fs::metadata(binary).map_err(|cause| {
        Error::system(format!("cannot check QEMU binary '{}'", binary.display()), &cause)
            .in_domain(ErrorDomain::Qemu)
            .hint("install QEMU, or correct <emulator> in the domain")
    })?;
    Ok(format!(
        "{} {} {} {} modules={} kvm={} kernel={} cpu={} virtus={}",
        facts.ino(),
        facts.size(),
        facts.mtime_nsec().wrapping_add(facts.mtime().wrapping_mul(1_000_000_000)),
        facts.ctime_nsec().wrapping_add(facts.ctime().wrapping_mul(1_000_000_000)),
        modules(),
        access("/dev/kvm", Access::READ_OK | Access::WRITE_OK).is_ok(),
        kernel(),
        processor(),
        env!("CARGO_PKG_VERSION"),
    ))
}

/// When a folder of QEMU's modules changed last, in seconds; 0 where there is none.
fn modules() -> u64 {
    let arch = std::env::consts::ARCH;
    [
        "/usr/lib64/qemu".to_owned(),
        "/usr/lib64/qemu-kvm".to_owned(),
        "/usr/lib/qemu".to_owned(),
        format!("/usr/lib/{arch}-linux-gnu/qemu"),
    ]
    .iter()
    .filter_map(|folder| fs::metadata(folder).ok()?.modified().ok())
    .filter_map(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
    .map(|time| time.as_secs())
    .max()
    .unwrap_or_default()
}

fn kernel() -> String {
    let uname = rustix::system::uname();
    format!("{} {}", uname.release().to_string_lossy(), uname.version().to_string_lossy())
}

/// The first processor's signature and microcode: usable CPU features depend on them.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = text.split("\n\n").next().unwrap_or_default();
    let of_interest = ["cpu family", "model", "stepping", "microcode", "CPU part", "CPU revision"];
    first
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| of_interest.contains(&key.trim()))
        .map(|(_, value)| value.trim())
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests;
