// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One daemon in a place of its own.
//!
//! The folder holds everything that the daemon believes to be under /etc/libvirt, /run/libvirt, /var/lib/libvirt and so
//! on; with the stock daemon the same paths are mounted there, so that a test finds things at one place for both.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::backend::multi_call_program;
use crate::run::{Done, ends_within, run};
use crate::{Backend, DEADLINE, Lines, Outcome, Process, Space, Terminal, wait_for};

/// What a test wants to be different from the ordinary testbed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Lines added to etc/libvirt/qemu.conf; the defaults run QEMU as root without security labels.
    pub qemu_conf: String,
    /// Lines of the daemon's own configuration file.
    pub daemon_conf: String,
    /// Words added to the daemon's command line.
    pub arguments: Vec<String>,
    /// Whether /dev/kvm is to be seen; trying what it can do takes a daemon seconds.
    pub kvm: bool,
    /// Which of our daemons is to run, if it is not `virtqemud`.
    pub daemon: Option<&'static str>,
}

/// A daemon, its folder and its namespaces. Everything ends when it is dropped.
pub struct Testbed {
    // Dropped in this order: the daemon's handle, the namespaces with all processes, the folder.
    daemon: Option<Child>,
    space: Space,
    folder: Folder,
    backend: Backend,
    daemon_name: &'static str,
    arguments: Vec<String>,
}

/// The program that leads into the namespaces stops when the daemon is stopped, and would outlive it so.
impl Drop for Testbed {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Testbed {
    /// A running daemon with nothing defined.
    pub fn new() -> Outcome<Self> {
        Self::with(&Options::default())
    }

    /// A running daemon as the options want it.
    pub fn with(options: &Options) -> Outcome<Self> {
        Self::on(Backend::chosen()?, options)
    }

    /// A running daemon of the given kind.
    pub fn on(backend: Backend, options: &Options) -> Outcome<Self> {
        let mut bed = Self::prepare(backend, options)?;
        bed.start()?;
        Ok(bed)
    }

    /// The place of a daemon that the test starts itself.
    pub fn without_daemon(options: &Options) -> Outcome<Self> {
        Self::prepare(Backend::chosen()?, options)
    }

    fn prepare(backend: Backend, options: &Options) -> Outcome<Self> {
        let folder = Folder::new()?;
        for place in [
            "etc/libvirt",
            "run/libvirt",
            "var/lib/libvirt",
            "var/log/libvirt",
            "var/cache/libvirt",
            "home",
        ] {
            std::fs::create_dir_all(folder.0.join(place))?;
        }
        let conf = folder.0.join("etc/libvirt");
        let defaults = "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\nstdio_handler = \"file\"\n";
        // A key may stand there once only: a test's own lines replace the default ones.
        let kept = defaults.lines().filter(|line| {
            let key = line.split(' ').next().unwrap_or_default();
            !options.qemu_conf.lines().any(|own| own.split(' ').next() == Some(key))
        });
        let text: String =
            kept.chain(options.qemu_conf.lines()).flat_map(|line| [line, "\n"]).collect();
        std::fs::write(conf.join("qemu.conf"), text)?;
        let (daemon_name, own_lines) = match backend {
            Backend::Ours => (options.daemon.unwrap_or("virtqemud"), ""),
            // polkit is not there to ask.
            Backend::Stock(_) => ("libvirtd", "auth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n"),
        };
        let own_file = format!("{daemon_name}.conf");
        std::fs::write(conf.join(own_file), own_lines.to_owned() + &options.daemon_conf)?;
        let space = Space::open(&folder.name(), &folder.0, &backend, options.kvm)?;
        let arguments = options.arguments.clone();
        Ok(Self { daemon: None, space, folder, backend, daemon_name, arguments })
    }

    /// A path of the daemon, such as `etc/libvirt/qemu`, or a file that a test makes in the folder.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.0.join(inside)
    }

    pub fn is_ours(&self) -> bool {
        self.backend == Backend::Ours
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&mut self) -> Outcome {
        let log = File::options().create(true).append(true).open(self.path("daemon.log"))?;
        let mut command = self.space.command("sh");
        // The shell tells the daemon's number inside the namespaces, then becomes the daemon.
        command.args(["-c", "echo $$ >\"$0\"; exec \"$@\""]).arg(self.path("daemon.pid"));
        command.arg(self.backend.program(self.daemon_name)?).args(&self.arguments);
        if self.is_ours() {
            command.env("VIRTUS_ROOT", &self.folder.0).env("RUST_BACKTRACE", "1");
        }
        self.surroundings(&mut command);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let id = child.id();
        self.daemon = Some(child);
        let socket = self.socket();
        let answers = wait_for("the daemon's socket", DEADLINE, || {
            if ends_within(id, Duration::ZERO)? {
                return Err("the daemon ended".into());
            }
            Ok(UnixStream::connect(&socket).is_ok())
        });
        answers.map_err(|error| format!("{error}; its log:\n{}", self.log()).into())
    }

    /// What the daemon wrote to its standard output and error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.socket_of("sock")
    }

    /// A socket of the daemon by the end of its name: `sock`, `sock-ro`, `admin-sock`.
    fn socket_of(&self, end: &str) -> PathBuf {
        let base = match self.daemon_name {
            "libvirtd" | "virtproxyd" => "libvirt",
            name => name,
        };
        self.path("run/libvirt").join(format!("{base}-{end}"))
    }

    /// The daemon's number in its namespaces.
    pub fn daemon_pid(&self) -> Outcome<u32> {
        Ok(std::fs::read_to_string(self.path("daemon.pid"))?.trim().parse()?)
    }

    /// Kills the daemon as no daemon likes it, and waits for its end.
    pub fn kill9(&mut self) -> Outcome {
        self.end_daemon("KILL").map(drop)
    }

    /// Ends the daemon politely; answers its exit code.
    pub fn stop(&mut self) -> Outcome<Option<i32>> {
        self.end_daemon("TERM")
    }

    /// A polite end and a new start.
    pub fn restart(&mut self) -> Outcome {
        self.stop()?;
        self.start()
    }

    fn end_daemon(&mut self, signal: &str) -> Outcome<Option<i32>> {
        let pid = self.daemon_pid()?;
        let mut child = self.daemon.take().ok_or("the daemon is not running")?;
        self.signal(signal, pid)?;
        if !ends_within(child.id(), DEADLINE)? {
            return Err(
                format!("the daemon did not end on SIG{signal}; its log:\n{}", self.log()).into()
            );
        }
        Ok(child.wait()?.code())
    }

    /// Sends a signal to a process by its number in the namespaces.
    pub fn signal(&self, signal: &str, pid: u32) -> Outcome {
        let done = self.run("kill", &[&format!("-{signal}"), &pid.to_string()])?;
        if done.ok() { Ok(()) } else { Err(done.err.into()) }
    }

    /// Ends every `virsh`: one whose [`Lines`] was dropped may have just begun.
    pub fn end_clients(&self) -> Outcome {
        wait_for("the clients' end", DEADLINE, || {
            let mut clients = self.processes()?;
            clients.retain(|process| process.words.iter().any(|word| word == "virsh"));
            for client in &clients {
                // It may have ended by itself.
                let _ = self.signal("KILL", client.pid);
            }
            Ok(clients.is_empty())
        })
    }

    /// The number, in the namespaces, of the QEMU process of a guest.
    pub fn qemu_pid(&self, guest: &str) -> Outcome<u32> {
        let all = self.space.processes()?;
        let found = all.iter().find(|process| process.is_qemu(Some(guest)));
        found
            .map(|process| process.pid)
            .ok_or_else(|| format!("no QEMU of '{guest}' among {all:#?}").into())
    }

    /// All processes in the namespaces.
    pub fn processes(&self) -> Outcome<Vec<Process>> {
        self.space.processes()
    }

    /// The URI at which clients find the daemon.
    pub fn uri(&self) -> String {
        let scheme = if self.daemon_name == "virtlxcd" { "lxc" } else { "qemu" };
        self.uri_of(scheme, "/system")
    }

    /// The URI at which clients find another driver of the daemon.
    pub fn uri_of(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}+unix://{path}?socket={}", self.socket().display())
    }

    /// The URI of the read-only socket.
    pub fn uri_read_only(&self) -> String {
        format!("qemu+unix:///system?socket={}", self.socket_of("sock-ro").display())
    }

    /// A program in the namespaces, run to its end.
    pub fn run(&self, program: &str, words: &[&str]) -> Outcome<Done> {
        let mut command = self.space.command(program);
        command.args(words);
        self.surroundings(&mut command);
        run(&mut command, DEADLINE)
    }

    /// A program outside the place and its control groups, which only has the place's host name, run to its end.
    pub fn run_outside(&self, program: &str, words: &[&str]) -> Outcome<Done> {
        let mut command = Command::new("unshare");
        command.args(["--uts", "sh", "-c", "hostname virtus-test; exec \"$@\"", "sh", program]);
        command.args(words);
        self.surroundings(&mut command);
        run(&mut command, DEADLINE)
    }

    /// The stock `virsh`, with words that are split at blanks; a word in `'…'` keeps its blanks.
    pub fn try_virsh(&self, line: &str) -> Outcome<Done> {
        self.virsh_words(&words(line))
    }

    /// The stock `virsh` with exactly these words.
    pub fn virsh_words(&self, words: &[String]) -> Outcome<Done> {
        let mut command = self.virsh_command();
        command.args(words);
        run(&mut command, DEADLINE)
    }

    /// Our multi-call program, run to its end on the testbed's folder.
    pub fn virtus(&self, arguments: &[&str]) -> Outcome<Done> {
        let mut command = self.space.command(multi_call_program()?);
        command.args(arguments).env("VIRTUS_ROOT", &self.folder.0);
        self.surroundings(&mut command);
        run(&mut command, DEADLINE)
    }

    /// The same with a text on its standard input.
    pub fn virtus_with_input(&self, arguments: &[&str], input: &str) -> Outcome<Done> {
        let mut command = self.space.command("sh");
        command.args(["-c", "printf %s \"$0\" | \"$@\"", input]);
        command.arg(multi_call_program()?).args(arguments).env("VIRTUS_ROOT", &self.folder.0);
        self.surroundings(&mut command);
        run(&mut command, DEADLINE)
    }

    /// What `virsh` prints; its failure is an error.
    pub fn virsh(&self, line: &str) -> Outcome<String> {
        let done = self.try_virsh(line)?;
        if done.ok() {
            return Ok(done.out.trim_end().to_owned());
        }
        Err(format!("virsh {line}: exit {:?}\n{}{}", done.code, done.out, done.err).into())
    }

    /// The error text of a `virsh` that must fail.
    pub fn virsh_fails(&self, line: &str) -> Outcome<String> {
        let done = self.try_virsh(line)?;
        if done.ok() {
            return Err(format!("virsh {line} should have failed, but said:\n{}", done.out).into());
        }
        Ok(done.err.trim_end().to_owned())
    }

    /// `virsh` with the guest's shell or another interactive command, on a terminal.
    pub fn terminal(&self, line: &str) -> Outcome<Terminal> {
        let mut command = self.virsh_command();
        command.args(words(line));
        Terminal::start(&mut command)
    }

    /// Another program, on a terminal.
    pub fn terminal_with(&self, program: &str, words: &[&str]) -> Outcome<Terminal> {
        Terminal::start(self.client_command(program).args(words))
    }

    /// `virsh` with a command that goes on printing, such as `event --loop`.
    pub fn virsh_lines(&self, line: &str) -> Outcome<Lines> {
        let mut command = self.virsh_command();
        // It may be about to lose its daemon, and what it says to that is no part of the test.
        command.args(words(line)).stderr(Stdio::null());
        Lines::start(&mut command)
    }

    /// A program in the namespaces that goes on printing.
    pub fn lines(&self, program: &str, words: &[&str]) -> Outcome<Lines> {
        Lines::start(self.client_command(program).args(words))
    }

    /// A script of tests/e2e/python, run with `python3-libvirt`; its first argument is the URI.
    pub fn python(&self, script: &str, arguments: &[&str]) -> Outcome<Lines> {
        Lines::start(&mut self.python_command(script, arguments))
    }

    /// The same, run to its end; its failure is an error.
    pub fn python_done(&self, script: &str, arguments: &[&str]) -> Outcome<String> {
        let done = run(&mut self.python_command(script, arguments), DEADLINE)?;
        if done.ok() {
            return Ok(done.out);
        }
        Err(format!("{script}: exit {:?}\n{}{}", done.code, done.out, done.err).into())
    }

    /// Writes a file into the folder; answers its path.
    pub fn write(&self, name: &str, text: &str) -> Outcome<String> {
        let path = self.path(name);
        std::fs::write(&path, text)?;
        Ok(path.to_str().ok_or("the path is not text")?.to_owned())
    }

    /// Writes a shell script into the folder, by another process: this one may start programs at any moment, which would
    /// have the script open for writing. Those in `stand-ins` are found before all other programs.
    pub fn install(&self, name: &str, script: &str) -> Outcome {
        let source = self.write("script", &format!("#!/bin/sh\n{script}\n"))?;
        let target = self.path(name);
        let target = target.to_str().ok_or("the path is not text")?;
        let done = self.run("install", &["-D", "-m", "755", &source, target])?;
        if done.ok() { Ok(()) } else { Err(done.err.into()) }
    }

    /// Defines a guest by `virsh define`.
    pub fn define(&self, guest: &crate::Guest) -> Outcome<String> {
        let file = self.write(&format!("{}.xml", guest.name()), &guest.xml())?;
        self.virsh(&format!("define {file}"))
    }

    fn virsh_command(&self) -> Command {
        let mut command = self.client_command("virsh");
        command.args(["--connect", &self.uri()]);
        command
    }

    /// A program that talks to the daemon.
    pub(crate) fn client_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.space.command(program);
        self.surroundings(&mut command);
        command
    }

    fn python_command(&self, script: &str, arguments: &[&str]) -> Command {
        let script = crate::script("python").join(script);
        // Debian's own interpreter: the bindings are installed for it.
        let mut command = self.space.command("/usr/bin/python3");
        command.env("VIRTUS_ROOT", &self.folder.0);
        command.args(["-B", "-u"]).arg(script).arg(self.uri()).args(arguments);
        self.surroundings(&mut command);
        command
    }

    /// Nothing of the user who runs the tests reaches the programs.
    fn surroundings(&self, command: &mut Command) {
        command.env("HOME", self.path("home")).current_dir(&self.folder.0);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.path("stand-ins").display()));
        // No test asks the machine's own polkit.
        let bus = format!("unix:path={}", self.path("bus").display());
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bus);
        // Nor its switch.
        command.env("OVS_RUNDIR", self.path("ovs"));
        for variable in
            ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "LIBVIRT_DEFAULT_URI"]
        {
            command.env_remove(variable);
        }
    }
}

/// Splits at blanks, but not inside single quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// A folder under /tmp that QEMU may enter as any user; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Outcome<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, because socket paths in it may have 107 bytes at most.
        let path = PathBuf::from(format!("/tmp/virtus-{}-{number}", std::process::id()));
        std::fs::create_dir(&path)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
        Ok(Self(path))
    }

    fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::env::var_os("VIRTUS_TEST_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quotes_keep_blanks() {
        assert_eq!(words("list --all"), ["list", "--all"]);
        assert_eq!(words("desc a --title 'A title' "), ["desc", "a", "--title", "A title"]);
    }
}
