// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A host with systemd, on which everything is installed as on a real one.
//!
//! It is a container of `systemd-nspawn`. Mostly it runs this machine's own systemd, so that no archive is needed, and its
//! `/etc` and `/var` last from one boot to the next; or it is a Debian, of which nothing lasts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::backend::built_program;
use crate::run::{Done, ends_within, run};
use crate::{DEADLINE, Outcome, Skip, guest_folder, wait_for};

/// A host. It is off, and nothing of it is left, when it is dropped.
pub struct Host {
    folder: PathBuf,
    name: String,
    /// What stands where: ours over this machine's `/usr`, or the folders of a whole Debian, the topmost first.
    layers: String,
    /// What of this machine it sees.
    seen: PathBuf,
    running: Option<Running>,
}

/// The container, and its process 1 as soon as that is systemd.
struct Running {
    container: Child,
    init: Option<u32>,
}

impl Host {
    /// Why there can be no such host on this machine, if so.
    pub fn obstacle() -> Option<String> {
        let needed = ["/usr/bin/systemd-nspawn", "/usr/lib/systemd/systemd"];
        let missing = needed.into_iter().find(|program| !Path::new(program).exists());
        missing.map(|program| format!("there is no {program}"))
    }

    /// A host that is off, with all packages installed and nothing enabled.
    pub fn new() -> Outcome<Self> {
        let mut host = Self::empty(guest_folder()?)?;
        host.layers = host.dist().display().to_string();
        host.install()?;
        Ok(host)
    }

    /// A Debian that is off: folders that are laid over each other, the topmost first. It sees the folder `seen`.
    pub fn debian(layers: String, seen: PathBuf) -> Outcome<Self> {
        let mut host = Self::empty(seen)?;
        host.layers = layers;
        fs::create_dir(host.root())?;
        Ok(host)
    }

    fn empty(seen: PathBuf) -> Outcome<Self> {
        static HOSTS: AtomicU32 = AtomicU32::new(0);
        let number = HOSTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("virtus-host-{}-{number}", std::process::id());
        let folder = PathBuf::from("/tmp").join(&name);
        fs::create_dir(&folder)?;
        Ok(Self { folder, name, layers: String::new(), seen, running: None })
    }

    /// Lays out what packages install, and the root.
    fn install(&self) -> Outcome {
        let dist = self.folder.join("dist");
        let mut make = Command::new(built_program("virtus-packaging")?);
        let systemd = run(Command::new("systemctl").arg("--version"), DEADLINE)?.out;
        let release = systemd.split_whitespace().nth(1).ok_or("systemctl tells no release")?;
        let made = run(make.arg("--out").arg(&dist).args(["--systemd", release]), DEADLINE)?;
        if !made.ok() {
            return Err(made.err.into());
        }
        for list in fs::read_dir(dist.join("packages"))? {
            let text = fs::read_to_string(list?.path())?;
            for path in text.lines().filter_map(|line| line.strip_prefix("program ")) {
                let name = Path::new(path).file_name().ok_or("a program without a name")?;
                let target = self.dist().join(path.trim_start_matches('/'));
                fs::create_dir_all(target.parent().ok_or("no folder")?)?;
                let program = built_program(&name.to_string_lossy())?;
                // Large, and nobody writes to them.
                if fs::hard_link(&program, &target).is_err() {
                    fs::copy(&program, &target)?;
                }
            }
        }
        let done = run(script().arg("prepare").arg(self.root()).arg(self.dist()), DEADLINE)?;
        if done.ok() { Ok(()) } else { Err(done.err.into()) }
    }

    /// The root folder, as this machine sees it.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// What is installed below /usr, as this machine sees it.
    pub fn dist(&self) -> PathBuf {
        self.folder.join("dist/root")
    }

    /// While the host is off: these of our units start when it boots, and no other.
    pub fn enable_only(&self, names: &[String]) -> Outcome {
        // What `systemctl enable --root` would do, were the units not laid over this machine's.
        let wants = |target: &str| self.root().join(format!("etc/systemd/system/{target}.wants"));
        for target in ["multi-user.target", "sockets.target"] {
            // It is not there before the first boot.
            let _ = fs::remove_dir_all(wants(target));
        }
        let units = Path::new("usr/lib/systemd/system");
        for name in names {
            let text = fs::read_to_string(self.dist().join(units).join(name))?;
            let target = text.lines().find_map(|line| line.strip_prefix("WantedBy="));
            let wants = wants(target.ok_or("not to be enabled")?);
            fs::create_dir_all(&wants)?;
            symlink(Path::new("/").join(units).join(name), wants.join(name))?;
        }
        Ok(())
    }

    /// Switches it on, and waits until every unit has been started.
    ///
    /// # Errors
    /// It does not come up; the text ends with what its console said. [`Skip`] where not even systemd itself does.
    pub fn boot(&mut self) -> Outcome {
        let console = fs::File::create(self.folder.join("console"))?;
        let mut command = script();
        command.arg("boot").arg(&self.name).arg(self.root()).arg(&self.layers).arg(&self.seen);
        command.stdin(Stdio::piped()).stdout(console.try_clone()?).stderr(console);
        let container = command.spawn()?;
        let id = container.id();
        self.running = Some(Running { container, init: None });
        let came_up = wait_for("the host's systemd", 2 * DEADLINE, || {
            if ends_within(id, Duration::ZERO)? {
                return Err("the container ended".into());
            }
            let Some(init) = self.init() else { return Ok(false) };
            if let Some(running) = &mut self.running {
                running.init = Some(init);
            }
            let state = self.run("systemctl", &["is-system-running"])?.out;
            Ok(matches!(state.trim(), "running" | "degraded"))
        });
        let Err(error) = came_up else { return Ok(()) };
        let console = fs::read_to_string(self.folder.join("console")).unwrap_or_default();
        let text = format!("{error}; its console: {console}");
        match self.pid_of_init() {
            Ok(_) => Err(text.into()),
            Err(_) => Err(Skip(format!("no systemd runs here: {text}")).into()),
        }
    }

    fn pid_of_init(&self) -> Outcome<u32> {
        let running = self.running.as_ref().ok_or("the host is off")?;
        Ok(running.init.ok_or("no systemd runs on the host")?)
    }

    /// The process that is number 1 on the host, as soon as it is systemd.
    fn init(&self) -> Option<u32> {
        let entries = fs::read_dir("/proc").ok()?.flatten();
        let mut all = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        all.find(|number| {
            let read =
                |file| fs::read_to_string(format!("/proc/{number}/{file}")).unwrap_or_default();
            read("comm") == "systemd\n"
                && read("cgroup").contains(&format!("/{}/", self.name))
                && read("status")
                    .lines()
                    .any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
        })
    }

    /// Shuts it down as its administrator would, and waits until it is off.
    pub fn power_off(&mut self) -> Outcome {
        self.run("systemctl", &["poweroff"])?;
        let mut running = self.running.take().ok_or("the host is off")?;
        // Its guests may have to be shut down before.
        let off = ends_within(running.container.id(), 2 * DEADLINE)?;
        running.end();
        if off { Ok(()) } else { Err("the host does not switch off".into()) }
    }

    /// Where this machine finds what stands at `path` while the host runs, its memory's files among it.
    pub fn reach(&self, path: &str) -> Outcome<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/root{path}", self.pid_of_init()?)))
    }

    /// Runs a program on it, to its end.
    pub fn run(&self, program: &str, words: &[&str]) -> Outcome<Done> {
        self.run_within(DEADLINE, program, words)
    }

    fn run_within(&self, deadline: Duration, program: &str, words: &[&str]) -> Outcome<Done> {
        let init = self.pid_of_init()?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &init.to_string(), "--all", "--", "env", "-i"]);
        command.args([
            "PATH=/usr/sbin:/usr/bin",
            "HOME=/root",
            "LC_ALL=C",
            "SYSTEMD_COLORS=0",
            program,
        ]);
        run(command.args(words), deadline)
    }

    /// What a line of shell prints; its failure is an error.
    pub fn must(&self, line: &str) -> Outcome<String> {
        self.must_within(DEADLINE, line)
    }

    /// The same of what may take longer than anything ordinary.
    pub fn must_within(&self, deadline: Duration, line: &str) -> Outcome<String> {
        let done = self.run_within(deadline, "sh", &["-c", line])?;
        if done.ok() {
            return Ok(done.out.trim_end().to_owned());
        }
        Err(format!("{line}: exit {:?}\n{}{}{}", done.code, done.out, done.err, self.journal())
            .into())
    }

    /// The end of its journal.
    pub fn journal(&self) -> String {
        let lines = ["--no-pager", "--quiet", "-n", "60"];
        self.run("journalctl", &lines).map(|done| done.out).unwrap_or_default()
    }
}

impl Running {
    fn end(&mut self) {
        // It may have ended; the kernel ends what is in it.
        let _ = self.container.kill();
        let _ = self.container.wait();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.end();
        }
        let points = fs::read_to_string(self.folder.join("hierarchies")).unwrap_or_default();
        for point in points.lines().filter_map(|line| line.split(' ').nth(1)) {
            let place = Path::new(point).join(&self.name);
            // The kernel takes its time to end the last processes.
            let _ = wait_for("the end of the host's processes", DEADLINE, || {
                crate::space::remove_folders(&place);
                Ok(!place.exists())
            });
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("testbed/host.sh"))
}
