// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A container of busybox in a folder of its own.

use std::fs::{self, File};
use std::future::Future;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use virtus_host::cgroup::{Cgroups, Group};
use virtus_host::process::{Exit, Process, Spawn};
use virtus_lxc::blueprint::{
    Blueprint, Capability, DeviceNode, IdMap, IdRange, Init, Limits, Mount, Namespace, OnReboot,
    Source, allowed_devices,
};
use virtus_lxc::launch::Starting;
use virtus_lxc::monitor::{Monitor, News};

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What scripts use of busybox.
const COMMANDS: &str = "cat chroot cp cut df find free grep head hostname id insmod ip ln ls mkdir mknod mount ps \
                        readlink reboot rm rmdir rmmod sed sh sleep sort swapoff tail tr tty umount usleep wc";

/// Why no container can run here, if none can.
pub(crate) fn obstacle() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root");
    }
    if !Path::new("/bin/busybox").exists() {
        return Some("needs busybox-static");
    }
    let group = Cgroups::detect().group(&format!("virtus-probe-{}", std::process::id()));
    let made = group.make().and_then(|_| group.remove());
    made.err().map(|_| "needs control groups that can be made")
}

/// A folder with a root file system and the blueprint of a container that runs in it.
pub(crate) struct Bed {
    folder: PathBuf,
    pub(crate) blueprint: Blueprint,
}

impl Bed {
    /// A container whose init is a shell with this script. What it writes to `/out` can be read afterwards.
    pub(crate) fn new(script: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vt{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(format!("virtus-lxc-{name}"));
        let root = folder.join("root");
        for name in ["bin", "etc", "tmp", "dev", "proc", "sys"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::create_dir(folder.join("staging")).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for name in COMMANDS.split_whitespace() {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        let devices = DeviceNode::standard();
        let blueprint = Blueprint {
            socket: folder.join("socket"),
            staging: folder.join("staging"),
            root: Mount {
                source: Source::Bind { path: root, recursive: true },
                target: "/".into(),
                read_only: false,
                id_mapped: false,
            },
            mounts: Vec::new(),
            network: Namespace::Own,
            ipc: Namespace::Own,
            uts: Namespace::Own,
            id_map: None,
            links: Vec::new(),
            consoles: Vec::new(),
            init: Init {
                program: "/bin/sh".into(),
                args: vec!["-c".into(), script.into()],
                env: vec![
                    ("container".into(), "lxc-libvirt".into()),
                    ("PATH".into(), "/bin".into()),
                ],
                folder: None,
                user: None,
                group: None,
                descriptors: Vec::new(),
            },
            capabilities: Capability::ALL
                .into_iter()
                .filter(|capability| !Capability::WITHHELD.contains(capability))
                .collect(),
            call_filter: true,
            cgroup: format!("virtus-tests-{name}"),
            limits: Limits { devices: Some(allowed_devices(&devices)), ..Limits::default() },
            devices,
            hostname: Some("box".into()),
            label: None,
            on_reboot: OnReboot::Restart,
            name,
        };
        Self { folder, blueprint }
    }

    /// The container's root is user 100000 of the host, and its files stay as they are.
    pub(crate) fn map_ids(&mut self) {
        let range = vec![IdRange { inside: 0, outside: 100_000, count: 65_536 }];
        self.blueprint.id_map = Some(IdMap { users: range.clone(), groups: range });
        self.blueprint.root.id_mapped = true;
    }

    /// A path in the container's root, seen from the host.
    pub(crate) fn root(&self, path: &str) -> PathBuf {
        self.folder.join("root").join(path)
    }

    /// A path beside it, which the container must not see.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// What the script wrote.
    pub(crate) fn out(&self) -> String {
        fs::read_to_string(self.root("out")).unwrap_or_default()
    }

    /// What the controller said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Its control group.
    pub(crate) fn group(&self) -> Group {
        Cgroups::detect().group(&self.blueprint.cgroup)
    }

    /// The controller's program, with its log.
    pub(crate) fn spawn(&self) -> Spawn {
        let log = File::create(self.folder.join("log")).unwrap();
        Spawn::new(env!("CARGO_BIN_EXE_libvirt_lxc")).stderr(log)
    }

    /// Starts it.
    pub(crate) async fn start(&self) -> Result<Process, String> {
        self.start_with(self.spawn()).await
    }

    /// Starts it by this command, from which it inherits what its blueprint names.
    pub(crate) async fn start_with(&self, spawn: Spawn) -> Result<Process, String> {
        let starting = Starting::begin(spawn, &self.blueprint).await.map_err(|e| e.to_string())?;
        starting.run().await.map_err(|error| error.to_string())
    }

    /// Runs it to its end, and checks that it leaves nothing.
    pub(crate) async fn run(&self) -> Result<String, String> {
        let process = self.start().await?;
        self.ended(&process).await?;
        self.left_nothing()?;
        Ok(self.out())
    }

    /// Waits for the controller's end, which has to be a good one.
    pub(crate) async fn ended(&self, process: &Process) -> Result<(), String> {
        match within(process.exited()).await? {
            Exit::Code(0) => Ok(()),
            exit => Err(format!("the controller ended with {exit}: {}", self.log())),
        }
    }

    /// The next news of its controller; `None` at their end.
    pub(crate) async fn next(monitor: &mut Monitor) -> Result<Option<News>, String> {
        within(monitor.next()).await?.map_err(|error| error.to_string())
    }

    /// Its init's number on the host.
    pub(crate) async fn init(&self) -> Result<u64, String> {
        match Self::next(&mut self.monitor().await?).await? {
            Some(News::Init(pid)) => Ok(pid),
            other => Err(format!("instead of an init: {other:?}")),
        }
    }

    /// A connection to its controller.
    pub(crate) async fn monitor(&self) -> Result<Monitor, String> {
        Monitor::connect(&self.blueprint.socket).await.map_err(|error| error.to_string())
    }

    /// Waits until the container has written this to `/out`.
    pub(crate) async fn says(&self, text: &str) -> Result<(), String> {
        until(|| self.out().contains(text)).await.map_err(|error| {
            format!("{error}: no `{text}` in `{}`; log: {}", self.out(), self.log())
        })
    }

    /// Nothing of the container is left on the host: group, socket, mounts.
    pub(crate) fn left_nothing(&self) -> Result<(), String> {
        if self.group().exists() {
            return Err("its control group is left".to_owned());
        }
        if self.blueprint.socket.exists() {
            return Err("its socket is left".to_owned());
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let folder = self.folder.display().to_string();
        match mounts.lines().find(|line| line.contains(&folder)) {
            Some(line) => Err(format!("a mount is left: {line}")),
            None => Ok(()),
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let group = self.group();
        group.kill();
        // What a failed test leaves must not hinder the next.
        let _ = group.remove();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a test's own steps.
pub(crate) fn run<T>(steps: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(steps)
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(PATIENCE, what).await.map_err(|_| format!("nothing after {PATIENCE:?}"))
}

/// Waits until something is so that nothing tells of.
pub(crate) async fn until(condition: impl Fn() -> bool) -> Result<(), String> {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Writes a file of a test.
pub(crate) fn write(path: &Path, text: &str) {
    use std::io::Write;
    File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).unwrap();
}
