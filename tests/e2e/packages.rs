// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What packages do: real transactions of rpm, dpkg and apt on a Debian of their own, as transcripts.
//!
//! A file in `tests/packages/transcripts` is what a person would see: lines `$ command` and what follows from it. The
//! commands are read from it, so a new transcript is a file of commands; `UPDATE_EXPECT=1` fills in the answers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use virtus_tests::{
    Container, DEADLINE, Guest, Host, Outcome, Testbed, debian_folder, from_archive, target_folder,
};

use crate::systemd::log_in;
use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("lintian_finds_nothing", lintian),
    ("a_service_is_restarted_once_and_a_keeper_reloaded", restarts),
    ("guests_live_on_when_packages_change_whose_libvirt_it_is", handed_over),
];

/// How long packages may take to be installed on a small, loaded machine.
const TRANSACTION: Duration = Duration::from_secs(600);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packages")
}

/// The names of all transcripts, sorted.
pub(crate) fn names() -> Vec<String> {
    crate::names_in(&folder().join("transcripts"), ".txt")
}

/// Replays one transcript; what differs from it is the error.
pub(crate) fn replay(name: &str) -> Outcome {
    let file = folder().join(format!("transcripts/{name}.txt"));
    let transcript = std::fs::read_to_string(&file)?;
    let host = host(transcript.starts_with("# With libvirt"))?;
    let replay = folder().join("replay.sh");
    let found = output(Command::new(replay).arg(host).arg(packages()?).arg(&file))?;
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return Ok(std::fs::write(&file, found)?);
    }
    if found != transcript {
        return Err(format!("the transcript reads now:\n{found}").into());
    }
    Ok(())
}

fn lintian() -> Outcome {
    let changes = crate::names_in(&packages()?.join("deb"), ".changes");
    let changes = changes.first().ok_or("no .changes beside the packages")?;
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on=error,warning"]);
    // Only for the tests, which have no time for it.
    let tags = "uses-no-compression-for-data-tarball,uses-no-compression-for-control-tarball";
    lintian.args(["--suppress-tags", tags]);
    output(lintian.arg(packages()?.join(format!("deb/{changes}.changes")))).map(drop)
}

/// On a host that runs: packages are upgraded at once, and virtproxyd's units move from one of them to another.
fn restarts() -> Outcome {
    let tree = debian_folder()?;
    let bed = Testbed::of_containers()?;
    let container = Container::debian(&bed, "debian", &tree)?;
    let stand_ins = packages()?.join("RPMS").display().to_string();
    let place = bed.path("trees/debian/rpms").display().to_string();
    equal("copying", bed.run("cp", &["-r", &stand_ins, &place])?.err.as_str(), "")?;
    bed.define_container(&container)?;
    bed.virsh("start debian")?;
    let mut console = bed.terminal("console debian")?;
    log_in(&mut console)?;
    for (command, answer) in [
        ("rpm -i --nodeps /rpms/units-{daemon,driver,log}-1.rpm; echo $?-in", "0-in"),
        ("systemctl start virtqemud virtlogd virtproxyd libvirt-guests; echo $?-on", "0-on"),
        ("rpm -U --nodeps /rpms/units-{daemon,driver,log,proxy}-2.rpm; echo $?-up", "0-up"),
        ("echo was $(cat /run/virtqemud.told)-qemu", "was start start-qemu"),
        ("echo was $(cat /run/virtproxyd.told)-proxy", "was start start-proxy"),
        ("echo was $(cat /run/virtlogd.told)-log", "was start reload-log"),
        // A restart of that would stop the guests of the host.
        ("echo was $(cat /run/libvirt-guests.told)-guests", "was start-guests"),
        ("rpm -e --nodeps units-driver; echo $(systemctl is-active virtqemud)-out", "inactive-out"),
    ] {
        console.ask(command, answer, DEADLINE)?;
    }
    Ok(())
}

/// On a Debian that runs, with the distribution's libvirt and a guest: one command of apt makes it ours, and one goes back.
fn handed_over() -> Outcome {
    if let Some(reason) = Host::obstacle() {
        return Err(Skip(reason).into());
    }
    let mut host = Host::debian(host(true)?, packages()?.join("deb"))?;
    host.boot()?;
    // The old libvirt would create cgroups in hierarchies that are read-only here.
    let conf = r#"cgroup_controllers = []\nsecurity_driver = "none"\n"#;
    host.must(&format!("printf '{conf}' >>/etc/libvirt/qemu.conf; systemctl restart libvirtd"))?;
    // As docs/deployment.md says.
    let spare = "/run/systemd/system/libvirt-guests.service.d";
    host.must(&format!(r"mkdir -p {spare}; printf '[Service]\nExecStop=\n' >{spare}/spare.conf"))?;
    host.must("systemctl daemon-reload")?;
    let xml = Guest::firmware("sturdy").xml();
    host.must(&format!("cat >/root/sturdy.xml <<'XML'\n{xml}\nXML"))?;
    host.must("virsh define /root/sturdy.xml && virsh start sturdy")?;
    let guest = "cat /run/libvirt/qemu/sturdy.pid";
    let process = host.must(guest)?;

    let serves = |version: &str| -> Outcome {
        contains(&host.must("virsh version --daemon")?, &format!("daemon: {version}"))?;
        equal("the guest", host.must("virsh domstate sturdy")?.as_str(), "running")?;
        equal("its process", host.must(guest)?, process.clone())?;
        equal(
            "QEMU",
            host.must(&format!("cat /proc/{process}/comm"))?.as_str(),
            "qemu-system-x86",
        )?;
        // It obeys.
        host.must("virsh suspend sturdy && virsh resume sturdy")?;
        let units = "libvirtd.service libvirtd.socket virtlogd.socket libvirt-guests.service";
        host.must(&format!("systemctl is-active {units}")).map(drop)
    };
    serves("9.0.0")?;
    let apt = "apt-get install -y --no-install-recommends -o APT::Sandbox::User=root";
    let seen = packages()?.join("deb");
    let ours = ["", "-common", "-lock", "-log", "-plugin-lockd", "-proxy"]
        .map(|name| format!("{}/virtus-daemon{name}_*.deb", seen.display()));
    host.must_within(TRANSACTION, &format!("{apt} {}", ours.join(" ")))?;
    serves("11.3.0")?;
    host.must("systemctl reload libvirtd")?;
    serves("11.3.0")?;
    let back = "--no-download libvirt-daemon-system libvirt-daemon-system-systemd";
    host.must_within(TRANSACTION, &format!("{apt} {back}"))?;
    serves("9.0.0")
}

/// The folders of the host's root, the topmost first.
fn host(with_libvirt: bool) -> Outcome<String> {
    let debian = debian_folder()?;
    let debian = debian.display().to_string();
    if !with_libvirt {
        return Ok(debian);
    }
    let release = std::fs::read_to_string("/etc/os-release")?;
    if !release.contains("VERSION_CODENAME=bookworm") {
        return Err(Skip("it tells of libvirt as Debian 12 has it".to_owned()).into());
    }
    let libvirt = target_folder().join("tree-libvirt");
    let script = folder().join("libvirt.sh");
    from_archive(Command::new(script).arg(&debian).arg(&libvirt))?;
    Ok(format!("{}:{debian}", libvirt.join("changes").display()))
}

/// The folder of all packages, which are made once.
fn packages() -> Outcome<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let target = target_folder();
        let packages = target.join("packages");
        let mut build = Command::new(folder().join("build.sh"));
        build.arg(&target).arg(if cfg!(debug_assertions) { "debug" } else { "release" });
        output(build.arg(&packages)).map_err(|error| error.to_string())?;
        Ok(packages)
    });
    Ok(built.clone()?)
}

fn output(command: &mut Command) -> Outcome<String> {
    let done = command.output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if !done.status.success() {
        let (out, err) = (text(&done.stdout), text(&done.stderr));
        let lines: Vec<&str> = out.lines().chain(err.lines()).collect();
        let last = lines.len().saturating_sub(20);
        return Err(format!("{:?}: {}", command.get_program(), lines[last..].join("\n")).into());
    }
    Ok(text(&done.stdout))
}
