// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Modular and monolithic daemons on a host with systemd: never both, never broken.
//!
//! One host and few boots serve all claims, each of which is a row of docs/deployment.md.

use std::fs;
use std::time::Duration;

use virtus_api::{LockOwner, LockRegister, LockRestrict, LogDomain, LogDomainAppendLogFile};
use virtus_tests::{DEADLINE, Guest, Host, Outcome, Raw, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[("one_deployment_runs_and_guests_live_on", deployments)];

/// A claim, and who shows that it holds.
type Claim = (&'static str, fn(&mut Host) -> Outcome);

/// What is shown, in the order in which it is: the claims build on each other.
const CLAIMS: &[Claim] = &[
    ("`systemd-analyze verify` has nothing to say about any unit", verified),
    ("`systemd-analyze security` finds no service more exposed than stated below", confined),
    (
        "both are enabled and the host boots: the modular daemons run, libvirtd does not",
        modular_wins,
    ),
    ("a client connects: systemd starts its daemon", activated),
    ("an old client connects to libvirtd's socket: virtproxyd leads it to its daemon", proxied),
    ("`systemctl reload`: the daemon stays, and clients with it", reloaded),
    ("the daemon is killed: systemd starts it again, the guest runs on and is found", killed),
    (
        "`systemctl start libvirtd`: the modular daemons end first, the guest runs on and is found",
        monolithic,
    ),
    (
        "`systemctl start virtqemud.socket`: libvirtd ends first, the guest runs on and is found",
        modular_again,
    ),
    (
        "a container starts: `machinectl` lists it, led by its first process; it ends, and nothing of it is left",
        registered,
    ),
    ("nobody needs a daemon: it ends, and the next client starts it again", idle),
    ("all sockets of a daemon are masked: it makes its own, and stays", traditional),
    (
        "`virtus doctor` names the deployment, what is wrong, and the command that mends it",
        diagnosed,
    ),
    (
        "only libvirtd is enabled and the host boots anew: it runs; libvirt-guests has shut the guest down and starts it",
        booted_anew,
    ),
    ("only the modular daemons are enabled and the host boots: they run", modular_alone),
    ("nothing is enabled and the host boots: nothing runs, and nothing listens", neither),
    (
        "libvirtd's sockets and the modular services are enabled and the host boots: the modular daemons run",
        modular_services,
    ),
    (
        "libvirtd's service and the modular sockets are enabled and the host boots: the modular daemons run",
        modular_sockets,
    ),
];

/// The daemons that run modular, with their units.
const MODULAR: [&str; 4] = ["virtqemud", "virtlxcd", "virtsecretd", "virtproxyd"];

/// The units of a daemon that administrators enable.
fn units(daemon: &str) -> Vec<String> {
    [".service", ".socket", "-ro.socket", "-admin.socket"]
        .map(|end| format!("{daemon}{end}"))
        .to_vec()
}

fn modular() -> Vec<String> {
    MODULAR.into_iter().flat_map(units).collect()
}

/// The guest's console, and where it goes instead: it says when the guest hears the power button.
const PTY: &str = "<serial type='pty'><target port='0'/></serial><console type='pty'/>";
const LOG: &str =
    "<serial type='file'><source path='/root/serial.log'/><target port='0'/></serial>";

fn deployments() -> Outcome {
    if let Some(reason) = Host::obstacle() {
        return Err(Skip(reason).into());
    }
    let mut host = Host::new()?;
    let conf =
        "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\nstdio_handler = \"file\"\n";
    fs::write(host.root().join("etc/libvirt/qemu.conf"), conf)?;
    let xml = Guest::linux("sturdy")?.xml().replace(PTY, LOG);
    fs::write(host.root().join("root/sturdy.xml"), xml)?;
    host.enable_only(&[modular(), units("libvirtd")].concat())?;
    host.boot()?;
    let mut skipped = Vec::new();
    for (claim, show) in CLAIMS {
        match show(&mut host) {
            Ok(()) => {}
            Err(error) if error.is::<Skip>() => skipped.push(format!("'{claim}': {error}")),
            Err(error) => return Err(format!("{claim}: {error}\n{}", host.journal()).into()),
        }
    }
    described()?;
    if skipped.is_empty() {
        return Ok(());
    }
    Err(Skip(format!("the rest holds; not shown: {}", skipped.join("; "))).into())
}

fn document() -> Outcome<String> {
    Ok(fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deployment.md"))?)
}

/// The document has a row for each claim.
fn described() -> Outcome {
    let text = document()?;
    CLAIMS.iter().try_for_each(|(claim, _)| contains(&text, &format!("| {claim} |\n")))
}

fn verified(host: &mut Host) -> Outcome {
    let mut words = vec!["verify".to_owned(), "--man=no".to_owned()];
    for entry in fs::read_dir(host.dist().join("usr/lib/systemd/system"))? {
        words.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = host.run("systemd-analyze", &words)?;
    let ours = done.err.lines().filter(|line| line.contains("virt"));
    equal("what it says", ours.collect::<Vec<_>>(), vec![])?;
    equal("its exit status", done.code, Some(0))
}

/// What the document states is the exposure that systemd 254 finds; other releases look for more or less.
fn confined(host: &mut Host) -> Outcome {
    let text = document()?;
    for daemon in MODULAR.iter().chain(&["libvirtd", "virtlogd", "virtlockd"]) {
        let stated = text.lines().find_map(|line| line.strip_prefix(&format!("| {daemon} | ")));
        let stated = stated
            .and_then(|rest| rest.split(' ').next())
            .ok_or(format!("{daemon} is not there"))?;
        let found = host
            .run("systemd-analyze", &["security", "--no-pager", &format!("{daemon}.service")])?
            .out;
        let level =
            found.rsplit("exposure level for ").next().and_then(|end| end.split(' ').nth(1));
        let level: f32 = level.ok_or_else(|| found.clone())?.parse()?;
        equal(&format!("{daemon}: {level}"), level <= stated.parse::<f32>()? + 0.5, true)?;
    }
    Ok(())
}

fn active(host: &Host, unit: &str) -> Outcome<bool> {
    Ok(host.run("systemctl", &["is-active", unit])?.out.trim() == "active")
}

fn modular_wins(host: &mut Host) -> Outcome {
    for unit in modular() {
        equal(&unit, active(host, &unit)?, true)?;
    }
    libvirtd_is_off(host)
}

fn libvirtd_is_off(host: &Host) -> Outcome {
    off(host, units("libvirtd"))
}

fn modular_is_off(host: &Host) -> Outcome {
    off(host, modular())
}

fn off(host: &Host, units: Vec<String>) -> Outcome {
    units.iter().try_for_each(|unit| equal(unit, active(host, unit)?, false))
}

fn activated(host: &mut Host) -> Outcome {
    host.must("systemctl stop virtqemud.service")?;
    host.must("virsh -c qemu:///system define /root/sturdy.xml")?;
    host.must("virsh -c qemu:///system start sturdy")?;
    equal("virtqemud.service", active(host, "virtqemud.service")?, true)
}

fn proxied(host: &mut Host) -> Outcome {
    let listed = host.must("virsh -c qemu:///system?mode=legacy list --name")?;
    equal("guests", listed.as_str(), "sturdy")?;
    equal("virtproxyd.service", active(host, "virtproxyd.service")?, true)
}

fn main_pid(host: &Host, unit: &str) -> Outcome<String> {
    host.must(&format!("systemctl show --property=MainPID --value {unit}"))
}

fn reload(host: &Host, unit: &str) -> Outcome {
    let before = main_pid(host, unit)?;
    host.must(&format!("systemctl reload {unit}"))?;
    equal("process", main_pid(host, unit)?, before)?;
    equal(unit, active(host, unit)?, true)
}

fn reloaded(host: &mut Host) -> Outcome {
    reload(host, "virtqemud.service")?;
    // These start their programs anew, and go on with the same connections.
    host.must("systemctl start virtlogd.service virtlockd.service")?;
    let mut log = Raw::connect(&host.reach("/run/libvirt/virtlogd-sock")?)?;
    let mut lock = Raw::connect(&host.reach("/run/libvirt/virtlockd-sock")?)?;
    let owner = LockOwner { uuid: Default::default(), name: "owner".into(), id: 1, pid: 1 };
    lock.ask(&LockRegister { owner, flags: 0 })?;
    let mut tell = |message: &str| {
        log.ask(&LogDomainAppendLogFile {
            driver: "qemu".to_owned(),
            dom: LogDomain { uuid: Default::default(), name: "owner".to_owned() },
            path: "/root/told.log".to_owned(),
            message: message.to_owned(),
            flags: 0,
        })
    };
    tell("before\n")?;
    reload(host, "virtlogd.service")?;
    reload(host, "virtlockd.service")?;
    tell("after\n")?;
    let told = fs::read_to_string(host.root().join("root/told.log"))?;
    equal("the log", told.as_str(), "before\nafter\n")?;
    // Only who has registered may ask for this.
    lock.ask(&LockRestrict { flags: 0 })
}

/// The QEMU process of the guest; the pattern does not match the shell that looks for it.
fn qemu(host: &Host) -> Outcome<String> {
    host.must("pgrep -f '[g]uest=sturdy,'")
}

/// The guest runs in the same process, and whoever answers there knows it.
fn lives_on(host: &Host, process: &str, uri: &str) -> Outcome {
    equal("QEMU", qemu(host)?.as_str(), process)?;
    let state = host.must(&format!("virsh -c {uri} domstate sturdy"))?;
    equal("the guest", state.as_str(), "running")
}

fn killed(host: &mut Host) -> Outcome {
    let (before, guest) = (main_pid(host, "virtqemud.service")?, qemu(host)?);
    host.must(&format!("kill -9 {before}"))?;
    wait_for("the daemon's new start", DEADLINE, || {
        let now = main_pid(host, "virtqemud.service")?;
        Ok(now != before && now != "0" && active(host, "virtqemud.service")?)
    })?;
    lives_on(host, &guest, "qemu:///system")
}

fn monolithic(host: &mut Host) -> Outcome {
    let guest = qemu(host)?;
    host.must("systemctl start libvirtd.service")?;
    modular_is_off(host)?;
    came_before(host, "Stopped virtqemud.service", "Starting libvirtd.service")?;
    lives_on(host, &guest, "qemu:///system?mode=legacy")
}

fn modular_again(host: &mut Host) -> Outcome {
    let guest = qemu(host)?;
    host.must("systemctl start virtqemud.socket")?;
    libvirtd_is_off(host)?;
    lives_on(host, &guest, "qemu:///system")?;
    came_before(host, "Stopped libvirtd.service", "Starting virtqemud.service")?;
    host.must("systemctl start virtproxyd.socket virtsecretd.socket virtlxcd.socket")?;
    lives_on(host, &guest, "qemu:///system?mode=legacy")
}

/// A container that sleeps.
const CONTAINER: &str = "<domain type='lxc'><name>box</name><memory unit='MiB'>64</memory>
    <os><type>exe</type><init>/bin/busybox</init><initarg>sleep</initarg><initarg>1000000</initarg></os>
    <devices><filesystem type='mount'><source dir='/root/box'/><target dir='/'/></filesystem></devices></domain>";

fn registered(host: &mut Host) -> Outcome {
    fs::create_dir_all(host.root().join("root/box/bin"))?;
    fs::copy("/bin/busybox", host.root().join("root/box/bin/busybox"))?;
    fs::write(host.root().join("root/box.xml"), CONTAINER)?;
    // The place of the host shows it the controllers of version 1, but not for writing.
    for controller in ["memory", "devices", "freezer"] {
        let point = format!("/sys/fs/cgroup/{controller}");
        let open = format!("! mountpoint -q {point} || mount -o remount,bind,rw {point}");
        let done = host.run("sh", &["-c", &open])?;
        if !done.ok() {
            return Err(Skip(format!("containers need it: {}", done.err.trim_end())).into());
        }
    }
    host.must("virsh -c lxc:///system define /root/box.xml")?;
    let started = host.run("virsh", &["-c", "lxc:///system", "start", "box"])?;
    if started.err.contains("controller is not mounted") {
        // A place to which no controller was delegated runs no containers.
        return Err(Skip(started.err.trim_end().to_owned()).into());
    }
    equal("the start", started.err.as_str(), "")?;
    let list = host.must("machinectl list --no-legend --no-pager")?;
    contains(&list, "container libvirt-lxc")?;
    let name = list.split(' ').next().unwrap_or_default().to_owned();
    equal("its name", name.starts_with("lxc-") && name.ends_with("-box"), true)?;
    let leader = host.must(&format!("machinectl show {name} --property=Leader --value"))?;
    equal("its number", host.must("virsh -c lxc:///system domid box")?, leader.clone())?;
    contains(&host.must(&format!("cat /proc/{leader}/cmdline"))?, "sleep")?;
    contains(&host.must(&format!("cat /proc/{leader}/cgroup"))?, "/machine.slice/machine-lxc")?;
    host.must("systemctl restart virtlxcd.service")?;
    equal("state", host.must("virsh -c lxc:///system domstate box")?, "running".to_owned())?;
    host.must("virsh -c lxc:///system destroy box")?;
    wait_for("the machine to be forgotten", DEADLINE, || {
        Ok(host.must("machinectl list --no-legend --no-pager")?.is_empty())
    })?;
    let left =
        || host.run("find", &["/sys/fs/cgroup", "-name", "*libvirt*", "-o", "-name", "*dbox*"]);
    wait_for("its control groups to go", DEADLINE, || {
        let left = left()?.out;
        Ok(!left.contains("dbox") && !left.contains("/libvirt\n"))
    })
}

/// The last time that the journal says each, it says `first` before `then`.
fn came_before(host: &Host, first: &str, then: &str) -> Outcome {
    let journal = host.must("journalctl --no-pager --quiet --output=cat _PID=1")?;
    let place = |text: &str| journal.rfind(text).ok_or(format!("no '{text}' in:\n{journal}"));
    equal(&format!("'{first}' before '{then}'"), place(first)? < place(then)?, true)
}

/// Options of a daemon, as its administrator sets them.
fn set_options(host: &Host, daemon: &str, options: &str) -> Outcome {
    let folder = host.root().join("etc/default");
    fs::create_dir_all(&folder)?;
    let variable = format!("{}_ARGS", daemon.to_uppercase());
    Ok(fs::write(folder.join(daemon), format!("{variable}=\"{options}\"\n"))?)
}

const SECRETS: &str = "virsh -c secret:///system secret-list";

fn idle(host: &mut Host) -> Outcome {
    set_options(host, "virtsecretd", "--timeout 1")?;
    host.must("systemctl stop virtsecretd.service")?;
    // Asked itself, and by the daemon of a hypervisor.
    for asked in [SECRETS, "virsh -c qemu:///system secret-list"] {
        host.must(asked)?;
        wait_for("the idle daemon's end", DEADLINE, || {
            let state = host.run("systemctl", &["is-active", "virtsecretd.service"])?;
            Ok(state.out.trim() == "inactive")
        })?;
    }
    host.must("systemctl is-active virtsecretd.socket").map(drop)
}

fn traditional(host: &mut Host) -> Outcome {
    host.must(
        "systemctl mask --now virtsecretd.socket virtsecretd-ro.socket virtsecretd-admin.socket",
    )?;
    // Its options say that it ends after a second.
    host.must("systemctl start virtsecretd.service")?;
    host.must(SECRETS)?;
    std::thread::sleep(Duration::from_secs(3));
    equal("virtsecretd.service", active(host, "virtsecretd.service")?, true)?;
    host.must("systemctl stop virtsecretd.service")?;
    host.must(
        "systemctl unmask virtsecretd.socket virtsecretd-ro.socket virtsecretd-admin.socket",
    )?;
    host.must("systemctl start virtsecretd.socket")?;
    // From here on it stays for as long as others do.
    host.must("rm /etc/default/virtsecretd").map(drop)
}

fn diagnosed(host: &mut Host) -> Outcome {
    let healthy = host.run("virtus", &["doctor", "--output", "json"])?;
    contains(&healthy.out, "\"deployment\": \"modular\"")?;
    contains(&healthy.out, "\"severity\": \"warning\"")?;
    contains(&healthy.out, "which win when the host boots")?;
    equal("its exit status", healthy.code, Some(1))?;
    host.must("chmod 0666 /run/libvirt/virtqemud-sock")?;
    let open = host.run("virtus", &["doctor"])?;
    contains(&open.out, "everybody on this host may do everything")?;
    contains(&open.out, "  mend: chmod 0660 /run/libvirt/virtqemud-sock")?;
    equal("its exit status", open.code, Some(2))?;
    host.must("chmod 0660 /run/libvirt/virtqemud-sock").map(drop)
}

fn booted_anew(host: &mut Host) -> Outcome {
    host.must(&format!("systemctl disable {}", modular().join(" ")))?;
    host.must("systemctl enable libvirtd.service")?;
    let settings = "ON_BOOT=start\nURIS=qemu:///system\nSHUTDOWN_TIMEOUT=60\n";
    fs::write(host.root().join("etc/default/libvirt-guests"), settings)?;
    host.must("systemctl enable --now libvirt-guests.service")?;
    let guest = qemu(host)?;
    let console = host.root().join("root/serial.log");
    let hears =
        || Ok(fs::read_to_string(&console).unwrap_or_default().contains("virtus-guest: up"));
    wait_for("the guest's boot", DEADLINE, hears)?;
    host.power_off()?;
    boot_again(host)?;
    modular_is_off(host)?;
    let journal =
        host.must("journalctl --no-pager --quiet --output=cat -u libvirt-guests.service")?;
    contains(&journal, "Guest sturdy: shut down")?;
    contains(&journal, "Guest sturdy: started")?;
    wait_for("the guest's start", DEADLINE, || {
        let state = host.run("virsh", &["-c", "qemu:///system", "domstate", "sturdy"])?;
        Ok(state.out.trim() == "running")
    })?;
    equal("a new QEMU", qemu(host)? == guest, false)?;
    // The host's next end is not held up by a guest that does not hear of it.
    wait_for("the guest's next boot", DEADLINE, hears)?;
    let doctor = host.run("virtus", &["doctor"])?;
    contains(&doctor.out, "deployment: monolithic\n")
}

fn boot_with(host: &mut Host, enabled: impl Iterator<Item = String>) -> Outcome {
    host.power_off()?;
    host.enable_only(&enabled.collect::<Vec<_>>())?;
    boot_again(host)
}

/// What has booted once has no reason to be skipped.
fn boot_again(host: &mut Host) -> Outcome {
    host.boot().map_err(|error| error.to_string().into())
}

fn modular_alone(host: &mut Host) -> Outcome {
    boot_with(host, modular().into_iter())?;
    modular_wins(host)
}

fn neither(host: &mut Host) -> Outcome {
    boot_with(host, std::iter::empty())?;
    modular_is_off(host)?;
    libvirtd_is_off(host)
}

fn modular_services(host: &mut Host) -> Outcome {
    let sockets = units("libvirtd").into_iter().filter(|unit| unit.ends_with("socket"));
    let services = modular().into_iter().filter(|unit| unit.ends_with("service"));
    boot_with(host, sockets.chain(services))?;
    modular_wins(host)
}

fn modular_sockets(host: &mut Host) -> Outcome {
    let service = units("libvirtd").into_iter().filter(|unit| unit.ends_with("service"));
    let sockets = modular().into_iter().filter(|unit| unit.ends_with("socket"));
    boot_with(host, service.chain(sockets))?;
    libvirtd_is_off(host)?;
    host.must("virsh -c qemu:///system list")?;
    equal("virtqemud.service", active(host, "virtqemud.service")?, true)?;
    libvirtd_is_off(host)
}
