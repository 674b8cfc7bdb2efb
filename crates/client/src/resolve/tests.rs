// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which URI means what, on hosts of every kind.
#![expect(clippy::disallowed_methods, reason = "a test starts a shell; no daemon is near")]

use std::path::{Path, PathBuf};

use virtus_api::{AuthType, ErrorCode};
use virtus_core::conf::Conf;
use virtus_core::{Paths, Uri};

use super::{Surroundings, Target, Way, meant, target};

fn on<T>(uid: u32, sockets: &[&str], ask: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let present: Vec<PathBuf> = sockets.iter().map(PathBuf::from).collect();
    let mut session = Paths::system_below(Path::new("/u"));
    session.run = "/run/user/7/libvirt".into();
    ask(&Surroundings {
        uid,
        system: Paths::system_below(Path::new("/")),
        session,
        default_uri: None,
        conf: None,
        autostart: true,
        exists: &|path| present.iter().any(|known| known == path),
    })
}

fn reached(uri: &str, uid: u32, sockets: &[&str], read_only: bool) -> Target {
    let uri = Uri::parse(uri).unwrap();
    on(uid, sockets, |around| target(Some(&uri), read_only, around)).unwrap()
}

fn socket(uri: &str, uid: u32, sockets: &[&str], read_only: bool) -> String {
    match reached(uri, uid, sockets, read_only).way {
        Way::Unix(path) => path.display().to_string(),
        other => panic!("{other:?}"),
    }
}

const DIRECT: &str = "/run/libvirt/virtqemud-sock";
const ALL: &str = "/run/libvirt/libvirt-sock";

#[test]
fn the_daemon_of_the_hypervisor_is_preferred_to_that_of_all() {
    let system = "qemu:///system";
    assert_eq!(socket(system, 0, &[DIRECT, ALL], false), DIRECT);
    assert_eq!(socket(system, 0, &[ALL], false), ALL);
    assert_eq!(socket(system, 0, &[], false), DIRECT, "the error should name it");
    assert_eq!(socket("qemu:///system?mode=legacy", 0, &[DIRECT], false), ALL);
    assert_eq!(socket("qemu:///system?mode=direct", 0, &[ALL], false), DIRECT);
    assert_eq!(socket("test+unix:///default", 0, &[], false), ALL);
    assert_eq!(socket("qemu+unix:///system?socket=/x/y", 0, &[DIRECT], true), "/x/y");
}

#[test]
fn read_only_and_session_sockets() {
    assert_eq!(socket("qemu:///system", 7, &[], true), "/run/libvirt/virtqemud-sock-ro");
    let session = "/run/user/7/libvirt/virtqemud-sock";
    assert_eq!(socket("qemu:///session", 7, &[], true), session);
    assert_eq!(socket("qemu:///session", 0, &[], false), DIRECT, "root has no session daemon");
}

#[test]
fn only_a_users_own_daemon_is_started() {
    for (uri, uid, daemon) in [
        ("qemu:///session", 7, Some("virtqemud")),
        ("qemu:///session?mode=legacy", 7, Some("libvirtd")),
        ("test+unix:///default", 7, Some("libvirtd")),
        ("qemu:///system", 7, None),
        ("qemu:///session", 0, None),
        ("qemu+unix:///session?socket=/x/virtqemud-sock", 7, None),
        ("qemu+ssh://host/session", 7, None),
    ] {
        assert_eq!(reached(uri, uid, &[], false).daemon.as_deref(), daemon, "{uri}");
    }
    let none = on(7, &[], |around| target(None, false, around)).unwrap();
    assert_eq!(
        (none.name.as_str(), none.daemon.as_deref()),
        ("qemu:///session", Some("virtqemud"))
    );
    let asked = |around: &Surroundings<'_>| {
        let around = Surroundings { autostart: false, ..surroundings(around) };
        target(None, false, &around)
    };
    assert_eq!(on(7, &[], asked).unwrap().daemon, None);
}

#[test]
fn without_a_uri_whatever_is_there_answers() {
    let any =
        |uid, sockets: &[&str]| on(uid, sockets, |around| target(None, false, around)).unwrap();
    let choose = any(0, &[ALL, DIRECT]);
    assert_eq!((choose.name.as_str(), choose.way), ("", Way::Unix(ALL.into())));
    let found = any(0, &["/run/libvirt/virtlxcd-sock", DIRECT]);
    assert_eq!((found.name.as_str(), found.way), ("qemu:///system", Way::Unix(DIRECT.into())));
    let own = "/run/user/7/libvirt/virtqemud-sock";
    let found = any(7, &[own, DIRECT]);
    assert_eq!((found.name.as_str(), found.way), ("qemu:///session", Way::Unix(own.into())));
}

#[test]
fn defaults_and_aliases_come_from_the_surroundings() {
    let conf =
        "uri_default = 'lxc:///system'\nuri_aliases = [ 'hail=qemu+ssh://root@hail/system' ]";
    let conf = Conf::parse(Path::new("libvirt.conf"), conf).unwrap();
    on(0, &[], |around| {
        let around = Surroundings { conf: Some(conf.clone()), ..surroundings(around) };
        let meant = |asked| meant(asked, &around).unwrap().unwrap().to_string();
        assert_eq!(meant(None), "lxc:///system");
        assert_eq!(meant(Some("")), "lxc:///system");
        assert_eq!(meant(Some("hail")), "qemu+ssh://root@hail/system");
        assert_eq!(meant(Some("test:///default")), "test:///default");
        let variable = Some("test:///x".to_owned());
        let around = Surroundings { default_uri: variable, ..surroundings(&around) };
        assert_eq!(super::meant(None, &around).unwrap().unwrap().to_string(), "test:///x");
        assert!(super::meant(Some("nobody"), &around).is_err());
    });
}

fn surroundings<'a>(of: &Surroundings<'a>) -> Surroundings<'a> {
    Surroundings {
        uid: of.uid,
        system: of.system.clone(),
        session: of.session.clone(),
        default_uri: of.default_uri.clone(),
        conf: of.conf.clone(),
        autostart: of.autostart,
        exists: of.exists,
    }
}

#[test]
fn hosts_ports_and_what_the_daemon_is_asked_for() {
    let tls = reached("qemu://host/system?no_verify=1&pkipath=/p&foo=bar", 0, &[], false);
    assert_eq!(tls.name, "qemu:///system?foo=bar");
    let way = Way::Tls { host: "host".into(), port: 16514, verify: false, pki: Some("/p".into()) };
    assert_eq!(tls.way, way);
    let tcp = reached("test+tcp://[::1]:99/default?auth=sasl", 0, &[], false);
    assert_eq!(tcp.way, Way::Tcp { host: "::1".into(), port: 99 });
    assert_eq!((tcp.name.as_str(), tcp.auth), ("test:///default", Some(AuthType::Sasl)));
    let named = reached("x+tcp://h/?name=qemu:///session", 0, &[], false);
    assert_eq!(named.name, "qemu:///session");
    let ext = reached("qemu+ext:///system?command=/bin/tunnel", 0, &[], false);
    let way = Way::Command { program: "/bin/tunnel".into(), arguments: Vec::new() };
    assert_eq!(ext.way, way);
}

fn ssh(uri: &str, read_only: bool) -> Vec<String> {
    match reached(uri, 0, &[], read_only).way {
        Way::Command { program, arguments } => [vec![program], arguments].concat(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ssh_is_told_who_and_how() {
    let words =
        ssh("qemu+ssh://me@host:22/system?keyfile=/k&no_tty=1&no_verify=1&proxy=native", true);
    let wanted = [
        "ssh",
        "-p",
        "22",
        "-l",
        "me",
        "-i",
        "/k",
        "-T",
        "-o",
        "BatchMode=yes",
        "-e",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "--",
        "host",
        "sh -c 'exec virt-ssh-helper -r qemu:///system'",
    ];
    assert_eq!(words, wanted);
    let last = |uri| ssh(uri, false).pop().unwrap();
    let netcat = last("qemu+libssh2://h/system?netcat=/opt/n c&mode=direct");
    assert!(
        netcat.contains("-U /var/run/libvirt/virtqemud-sock") && !netcat.contains("helper"),
        "{netcat}"
    );
    let auto = last("qemu+libssh://h/system?socket=/s");
    assert!(
        auto.contains("virt-ssh-helper 'qemu:///system?socket=/s'") || auto.contains("-U /s"),
        "{auto}"
    );
    assert_eq!(ssh("qemu+ssh://h/system?command=/bin/myssh", false)[0], "/bin/myssh");
}

/// What the far side is told survives its shells, whatever is in it.
#[test]
fn quotes_reach_the_far_side() {
    let words = ssh("qemu+ssh://h/system?proxy=netcat&netcat=echo&socket=/a'b c", false);
    let run =
        std::process::Command::new("sh").arg("-c").arg(words.last().unwrap()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), "-U /a'b c");
}

#[test]
fn what_is_wrong_is_named() {
    for (uri, part) in [
        ("qemu+smoke://h/system", "smoke"),
        ("qemu+unix://h/system", "'h'"),
        ("qemu+tcp:///system", "host"),
        ("qemu+ext:///system", "command"),
        ("qemu:///system?mode=odd", "odd"),
        ("qemu+tls://h/system?no_verify=x", "no_verify"),
        ("qemu+ssh://h/system?proxy=x", "proxy"),
        ("qemu+ssh://h/system?sshauth=magic", "magic"),
        ("qemu+tcp://h/system?auth=x", "authentication"),
    ] {
        let parsed = Uri::parse(uri).unwrap();
        let error = on(0, &[], |around| target(Some(&parsed), false, around)).unwrap_err();
        assert!(error.text().contains(part), "{uri}: {error}");
        assert_eq!(error.code(), ErrorCode::InvalidArg);
    }
}
