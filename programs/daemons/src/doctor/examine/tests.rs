// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Each finding, on a host that is healthy but for one thing.

use super::*;
use crate::doctor::facts::Unit;
use crate::table::{Daemon, LIBVIRTD, VIRTLXCD, VIRTQEMUD};

fn unit(name: &str, load: &str, active: &str, file: &str) -> Unit {
    let [name, load, active, file] = [name, load, active, file].map(str::to_owned);
    Unit { name, load, active, file }
}

/// A daemon whose socket systemd holds.
fn healthy(daemon: &'static Daemon, active: &str) -> DaemonFacts {
    let name = daemon.name;
    DaemonFacts {
        daemon,
        service: unit(&format!("{name}.service"), "loaded", "inactive", "enabled"),
        sockets: vec![unit(&format!("{name}.socket"), "loaded", active, "enabled")],
        main: SocketFile { mode: Some(0o660), ..SocketFile::default() },
        admin: SocketFile::default(),
        asks_nothing: true,
        closed: false,
        mistake: None,
        process: false,
    }
}

fn facts(daemons: Vec<DaemonFacts>) -> Facts {
    Facts { systemd: true, daemons, default_uri: None, client_mistake: None }
}

#[test]
fn a_healthy_host_has_nothing_to_mend() {
    let facts = facts(vec![healthy(&VIRTQEMUD, "active")]);
    assert_eq!((deployment(&facts), examine(&facts)), ("modular", vec![]));
}

#[test]
fn both_deployments_are_an_error_that_names_its_cure() {
    let facts = facts(vec![healthy(&VIRTQEMUD, "active"), healthy(&LIBVIRTD, "active")]);
    let found = examine(&facts);
    assert_eq!((deployment(&facts), found[0].severity), ("both", Severity::Error));
    assert!(found[0].mend.as_ref().is_some_and(|mend| mend.contains("disable --now libvirtd")));
}

#[test]
fn an_open_socket_a_masked_one_and_a_missing_one_are_found() {
    let mut open = healthy(&VIRTQEMUD, "active");
    open.main.mode = Some(0o666);
    let mut masked = healthy(&LIBVIRTD, "inactive");
    masked.sockets[0].load = "masked".to_owned();
    let mut found = examine(&facts(vec![open, masked]));
    assert!(found.remove(0).text.starts_with("everybody on this host"));
    assert!(found.iter().any(|one| one.text == "masked: no client starts the daemon"), "{found:?}");
    let mut missing = healthy(&VIRTQEMUD, "active");
    missing.main.mode = None;
    assert_eq!(examine(&facts(vec![missing]))[0].severity, Severity::Error);
}

/// What is found where one thing of a healthy host is changed.
fn with(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = facts(vec![healthy(&VIRTQEMUD, "active"), healthy(&VIRTLXCD, "inactive")]);
    facts.daemons[1].service.file = "disabled".to_owned();
    facts.daemons[1].sockets[0].file = "disabled".to_owned();
    facts.daemons[0].main.path = "/run/libvirt/virtqemud-sock".into();
    facts.daemons[1].main.path = "/run/libvirt/virtlxcd-sock".into();
    assert_eq!(examine(&facts), vec![]);
    change(&mut facts);
    examine(&facts)
}

#[test]
fn every_finding_says_what_is_wrong_and_what_mends_it() {
    use Severity::{Error, Note, Warning};
    type Change = fn(&mut Facts);
    fn uri(facts: &mut Facts, uri: &str) {
        facts.default_uri = Some(("/etc/libvirt/libvirt.conf".into(), uri.to_owned()));
    }
    let cases: [(Change, Severity, &str, &str); 17] = [
        (
            |facts| facts.daemons[0].sockets[0].active = "inactive".to_owned(),
            Error,
            "no daemon runs",
            "systemctl enable --now virtqemud.socket",
        ),
        (
            |facts| facts.daemons.push(healthy(&LIBVIRTD, "inactive")),
            Warning,
            "is enabled beside the modular daemons",
            "systemctl disable libvirtd.service",
        ),
        (
            |facts| facts.daemons[1].service.active = "failed".to_owned(),
            Error,
            "has failed",
            "systemctl reset-failed virtlxcd.service",
        ),
        (
            |facts| facts.daemons[0].service.load = "masked".to_owned(),
            Warning,
            "is masked",
            "systemctl unmask virtqemud.service",
        ),
        (
            |facts| {
                facts.daemons[0].service.active = "active".to_owned();
                facts.daemons[0].sockets[0].load = "masked".to_owned();
            },
            Note,
            "makes its own sockets",
            "systemctl unmask virtqemud.socket",
        ),
        (
            |facts| {
                facts.daemons[0].service.file = "disabled".to_owned();
                facts.daemons[0].sockets[0].file = "disabled".to_owned();
            },
            Warning,
            "will not after the next boot",
            "systemctl enable virtqemud.service",
        ),
        (
            |facts| facts.daemons[0].main.answers = Some(Err(ErrorKind::PermissionDenied)),
            Warning,
            "does not let you in",
            "usermod -aG libvirt",
        ),
        (
            |facts| facts.daemons[0].main.answers = Some(Err(ErrorKind::ConnectionRefused)),
            Error,
            "nobody answers",
            "systemctl restart virtqemud.socket",
        ),
        (
            |facts| facts.daemons[0].main.answers = Some(Err(ErrorKind::WouldBlock)),
            Error,
            "is stuck",
            "systemctl restart virtqemud.service",
        ),
        (
            |facts| facts.daemons[1].main.answers = Some(Err(ErrorKind::ConnectionRefused)),
            Warning,
            "is left over",
            "rm /run/libvirt/virtlxcd-sock",
        ),
        (
            |facts| facts.daemons[0].main.owner = 1000,
            Error,
            "belongs to the user with number 1000",
            "chown root /run/libvirt/virtqemud-sock",
        ),
        (
            |facts| facts.daemons[0].admin.mode = Some(0o666),
            Warning,
            "is open to others (mode 0666)",
            "chmod 0600",
        ),
        (|facts| facts.daemons[0].closed = true, Note, "was not looked at", "sudo virtus doctor"),
        (
            |facts| facts.daemons[0].mistake = Some("virtqemud.conf:7: no".to_owned()),
            Error,
            "virtqemud.conf:7: no",
            "$EDITOR /etc/libvirt/virtqemud.conf",
        ),
        (
            |facts| facts.client_mistake = Some("libvirt.conf:1: no".to_owned()),
            Error,
            "libvirt.conf:1: no",
            "$EDITOR /etc/libvirt/libvirt.conf",
        ),
        (
            |facts| uri(facts, "lxc:///system"),
            Warning,
            "for which no daemon listens",
            "systemctl enable --now virtlxcd.socket",
        ),
        (
            |facts| uri(facts, "qmeu:///system"),
            Error,
            "for which there is no driver",
            "$EDITOR /etc/libvirt/libvirt.conf",
        ),
    ];
    for (change, severity, text, mend) in cases {
        let found = with(change);
        let right = |one: &Finding| {
            one.severity == severity
                && one.text.contains(text)
                && one.mend.as_ref().is_some_and(|command| command.contains(mend))
        };
        assert!(found.iter().any(right), "no '{text}' in {found:#?}");
    }
}

#[test]
fn a_default_that_is_served_or_elsewhere_is_no_mistake() {
    for uri in ["qemu:///system", "test:///default", "qemu+ssh://far/system", "esx://far/"] {
        let set = |facts: &mut Facts| facts.default_uri = Some(("f".into(), uri.to_owned()));
        assert_eq!(with(set), vec![], "{uri}");
    }
}
