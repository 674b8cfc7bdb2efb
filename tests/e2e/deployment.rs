// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Modular and monolithic daemons on a host with systemd: never both, never broken.
//!
//! One host and few boots serve all claims, each of which is a row of docs/deployment.md.

use std::fs;
use std::time::Duration;

use virtus_tests::{DEADLINE, Guest, Host, Outcome, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[("one_deployment_runs_and_guests_live_on", deployments)];

/// A claim, and who shows that it holds.
type Claim = (&'static str, fn(&Host) -> Outcome);

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
    ("nobody needs a daemon: it ends, and the next client starts it again", idle),
    ("all sockets of a daemon are masked: it makes its own, and stays", traditional),
];

/// The daemons that run modular, with their units.
const MODULAR: [&str; 4] = ["virtqemud", "virtlxcd", "virtsecretd", "virtproxyd"];

fn deployments() -> Outcome {
    if let Some(reason) = Host::obstacle() {
        return Err(Skip(reason).into());
    }
    let mut host = Host::new()?;
    let conf =
        "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\nstdio_handler = \"file\"\n";
    fs::write(host.root().join("etc/libvirt/qemu.conf"), conf)?;
    fs::write(host.root().join("root/sturdy.xml"), Guest::linux("sturdy")?.xml())?;
    for daemon in MODULAR.iter().chain(&["libvirtd"]) {
        host.enable(&format!("{daemon}.service"))?;
    }
    host.boot().map_err(|error| Skip(format!("no host with systemd: {error}")))?;
    for (claim, show) in CLAIMS {
        show(&host).map_err(|error| format!("{claim}: {error}\n{}", host.journal()))?;
    }
    described()
}

fn document() -> Outcome<String> {
    Ok(fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deployment.md"))?)
}

/// The document has a row for each claim.
fn described() -> Outcome {
    let text = document()?;
    CLAIMS.iter().try_for_each(|(claim, _)| contains(&text, &format!("| {claim} |\n")))
}

fn verified(host: &Host) -> Outcome {
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
fn confined(host: &Host) -> Outcome {
    let text = document()?;
    for daemon in MODULAR.iter().chain(&["libvirtd"]) {
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

fn modular_wins(host: &Host) -> Outcome {
    for daemon in MODULAR {
        for unit in ["service", "socket"].map(|kind| format!("{daemon}.{kind}")) {
            equal(&unit, active(host, &unit)?, true)?;
        }
    }
    libvirtd_is_off(host)
}

fn libvirtd_is_off(host: &Host) -> Outcome {
    for unit in
        ["libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket"]
    {
        equal(unit, active(host, unit)?, false)?;
    }
    Ok(())
}

fn activated(host: &Host) -> Outcome {
    host.must("systemctl stop virtqemud.service")?;
    host.must("virsh -c qemu:///system define /root/sturdy.xml")?;
    host.must("virsh -c qemu:///system start sturdy")?;
    equal("virtqemud.service", active(host, "virtqemud.service")?, true)
}

fn proxied(host: &Host) -> Outcome {
    let listed = host.must("virsh -c qemu:///system?mode=legacy list --name")?;
    equal("guests", listed.as_str(), "sturdy")?;
    equal("virtproxyd.service", active(host, "virtproxyd.service")?, true)
}

fn main_pid(host: &Host, unit: &str) -> Outcome<String> {
    host.must(&format!("systemctl show --property=MainPID --value {unit}"))
}

fn reloaded(host: &Host) -> Outcome {
    let before = main_pid(host, "virtqemud.service")?;
    host.must("systemctl reload virtqemud.service")?;
    equal("process", main_pid(host, "virtqemud.service")?, before)?;
    equal("virtqemud.service", active(host, "virtqemud.service")?, true)
}

/// The QEMU process of the guest.
fn qemu(host: &Host) -> Outcome<String> {
    host.must("pgrep -f guest=sturdy,")
}

/// The guest runs in the same process, and whoever answers there knows it.
fn lives_on(host: &Host, process: &str, uri: &str) -> Outcome {
    equal("QEMU", qemu(host)?.as_str(), process)?;
    let state = host.must(&format!("virsh -c {uri} domstate sturdy"))?;
    equal("the guest", state.as_str(), "running")
}

fn killed(host: &Host) -> Outcome {
    let (before, guest) = (main_pid(host, "virtqemud.service")?, qemu(host)?);
    host.must(&format!("kill -9 {before}"))?;
    wait_for("the daemon's new start", DEADLINE, || {
        let now = main_pid(host, "virtqemud.service")?;
        Ok(now != before && now != "0" && active(host, "virtqemud.service")?)
    })?;
    lives_on(host, &guest, "qemu:///system")
}

fn monolithic(host: &Host) -> Outcome {
    let guest = qemu(host)?;
    host.must("systemctl start libvirtd.service")?;
    for daemon in MODULAR {
        for unit in ["service", "socket"].map(|kind| format!("{daemon}.{kind}")) {
            equal(&unit, active(host, &unit)?, false)?;
        }
    }
    came_before(host, "Stopped virtqemud.service", "Starting libvirtd.service")?;
    lives_on(host, &guest, "qemu:///system?mode=legacy")
}

fn modular_again(host: &Host) -> Outcome {
    let guest = qemu(host)?;
    host.must("systemctl start virtqemud.socket")?;
    libvirtd_is_off(host)?;
    lives_on(host, &guest, "qemu:///system")?;
    came_before(host, "Stopped libvirtd.service", "Starting virtqemud.service")?;
    host.must("systemctl start virtproxyd.socket virtsecretd.socket virtlxcd.socket")?;
    lives_on(host, &guest, "qemu:///system?mode=legacy")
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

fn idle(host: &Host) -> Outcome {
    set_options(host, "virtsecretd", "--timeout 1")?;
    host.must("systemctl stop virtsecretd.service")?;
    for _ in 0..2 {
        host.must(SECRETS)?;
        wait_for("the idle daemon's end", DEADLINE, || {
            let state = host.run("systemctl", &["is-active", "virtsecretd.service"])?;
            Ok(state.out.trim() == "inactive")
        })?;
    }
    host.must("systemctl is-active virtsecretd.socket").map(drop)
}

fn traditional(host: &Host) -> Outcome {
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
    host.must("systemctl start virtsecretd.socket").map(drop)
}
