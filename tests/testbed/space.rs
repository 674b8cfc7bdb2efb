// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The namespaces of one testbed, and running programs in them.
//!
//! Process 1 of the namespaces is a shell that lives as long as we hold its input; when it ends, the kernel kills and
//! reaps whatever is left inside. Invariant: once a `Space` is dropped, nothing of it runs, is mounted, or is a cgroup.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::run::ends_within;
use crate::{Backend, Outcome};

/// Namespaces in which a daemon and its guests run.
pub struct Space {
    name: String,
    folder: PathBuf,
    keeper: Child,
    pid: u32,
}

impl Space {
    /// Opens namespaces for the things under `folder`; `name` becomes that of their cgroups. With `kvm`
    /// the device of that name is to be seen there.
    pub fn open(name: &str, folder: &Path, backend: &Backend, kvm: bool) -> Outcome<Self> {
        let mut command = Command::new(script());
        command.arg("open").arg(name).arg(folder).arg(if kvm { "kvm" } else { "plain" });
        if let Backend::Stock(unpacked) = backend {
            command.arg(unpacked);
        }
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = keeper.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let pid = line.trim_end().strip_prefix("ready ").and_then(|pid| pid.parse().ok());
        let (name, folder) = (name.to_owned(), folder.to_path_buf());
        // From here on the drop cleans up, also after a failure.
        let space = Self { name, folder, keeper, pid: pid.unwrap_or(0) };
        pid.ok_or("the namespaces did not come up")?;
        Ok(space)
    }

    /// `program` as a process of these namespaces, with their mounts, network and cgroups.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.pid.to_string()])
            .args(["--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup", "--"])
            .arg(script())
            .arg("enter")
            .arg(program)
            .env("TEST_FOLDER", &self.folder)
            .env("LC_ALL", "C");
        command
    }

    /// The processes of these namespaces but for the keeper.
    pub fn processes(&self) -> Outcome<Vec<Process>> {
        let ours = std::fs::read_link(format!("/proc/{}/ns/pid", self.pid))?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let folder = entry?.path();
            // A process that ends while we look is not there.
            if std::fs::read_link(folder.join("ns/pid")).is_ok_and(|space| space == ours)
                && let Some(process) = Process::read(&folder)
                && process.pid != 1
            {
                found.push(process);
            }
        }
        found.sort_by_key(|process| process.pid);
        Ok(found)
    }

    fn remove_cgroups(&self) {
        let hierarchies =
            std::fs::read_to_string(self.folder.join(".hierarchies")).unwrap_or_default();
        for point in hierarchies.lines().filter_map(|line| line.split(' ').nth(1)) {
            remove_folders(&Path::new(point).join(&self.name));
        }
    }
}

/// A process in the namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number inside.
    pub pid: u32,
    /// Its number as the whole machine knows it.
    pub host_pid: u32,
    /// Its command line.
    pub words: Vec<String>,
}

impl Process {
    fn read(folder: &Path) -> Option<Self> {
        let read = |file| std::fs::read(folder.join(file)).ok();
        let words = String::from_utf8_lossy(&read("cmdline")?).into_owned();
        let status = String::from_utf8_lossy(&read("status")?).into_owned();
        // Outermost first.
        let mut numbers =
            status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace();
        let host_pid = numbers.next()?.parse().ok()?;
        let pid = numbers.next_back()?.parse().ok()?;
        let words: Vec<String> = words.split_terminator('\0').map(str::to_owned).collect();
        // What has ended and was not reaped has no words left.
        (!words.is_empty()).then_some(Self { pid, host_pid, words })
    }

    /// Whether it is a QEMU; that of `guest` if one is named.
    pub fn is_qemu(&self, guest: Option<&str>) -> bool {
        let named =
            |name: &str| self.words.iter().any(|word| word.starts_with(&format!("guest={name},")));
        self.words.first().is_some_and(|program| program.contains("qemu-system"))
            && guest.is_none_or(named)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if !ends_within(self.keeper.id(), Duration::from_secs(10)).unwrap_or(false) {
            // unshare ends process 1 when it dies itself.
            let _ = self.keeper.kill();
        }
        let _ = self.keeper.wait();
        self.remove_cgroups();
    }
}

/// A cgroup is removed by removing its folder, after those in it; its files are not real.
pub(crate) fn remove_folders(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_folders(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(folder);
}

pub(crate) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testbed/space.sh")
}

/// Why namespaces cannot be made here, if so; found out once, by making some.
pub fn obstacle() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let tried = Command::new("unshare")
                .args(["--mount", "--net", "--ipc", "--uts", "--cgroup", "--pid", "--fork", "true"])
                .output();
            match tried {
                Ok(output) if output.status.success() => None,
                Ok(output) => Some(format!(
                    "no namespaces: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                )),
                Err(cause) => Some(format!("no unshare program: {cause}")),
            }
        })
        .as_deref()
}
