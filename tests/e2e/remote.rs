// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients of other hosts, and who they are: TCP, TLS, SASL.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use virtus_tests::{
    Authority, DEADLINE, Done, Options, Outcome, Testbed, built_program, promptly, wait_for,
    write_client,
};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("tcp_serves_whom_the_configuration_lets_in", tcp),
    ("tls_asks_for_certificates_and_looks_at_the_names_in_them", certificates),
    ("tls_serves_anyone_if_it_is_told_not_to_verify", without_certificates),
    ("a_reload_brings_revocations_and_disturbs_nobody_with_a_mistake", revocation),
    ("certificates_change_at_the_administrators_word", administration),
    ("half_open_handshakes_keep_nobody_out", half_open),
    ("a_missing_certificate_stops_the_start_by_name", missing_certificates),
    ("ssh_reaches_the_daemon_by_the_helper", ssh),
    ("sasl_lets_in_who_knows_the_password", passwords),
];

/// A daemon that listens, with these lines of configuration.
fn listening(conf: &str) -> Options {
    listening_as("libvirtd", conf)
}

fn listening_as(daemon: &'static str, conf: &str) -> Options {
    Options {
        daemon_conf: format!("listen_addr = \"127.0.0.1\"\n{conf}"),
        // A proxy does so without being told.
        arguments: (daemon == "libvirtd").then(|| "--listen".to_owned()).into_iter().collect(),
        daemon: Some(daemon),
        ..Options::default()
    }
}

fn tcp() -> Outcome {
    let conf = "listen_tls = 0\nlisten_tcp = 1\nauth_tcp = \"none\"\ntcp_port = \"16999\"\n";
    let mut bed = Testbed::with(&listening(conf))?;
    let ask = |bed: &Testbed, words: &[&str]| {
        bed.run("virsh", &[&["--connect", "qemu+tcp://127.0.0.1:16999/system"], words].concat())
    };
    let done = ask(&bed, &["uri"])?;
    equal(&done.err, done.out.trim(), "qemu+tcp://127.0.0.1:16999/system")?;
    let done = ask(&bed, &["list", "--all"])?;
    equal(&done.err, done.ok(), true)?;
    // Nobody is let in by an oversight.
    if bed.is_ours() {
        bed.stop()?;
        fs::write(bed.path("etc/libvirt/libvirtd.conf"), "listen_tls = 0\nlisten_tcp = 1\n")?;
        let Err(error) = bed.start() else {
            return Err("an unguarded TCP socket is served".into());
        };
        contains(
            &error.to_string(),
            "auth_tcp: SASL on a TCP socket must encrypt, which GSSAPI alone does",
        )?;
    }
    Ok(())
}

/// The port of TLS in these tests.
pub(crate) const TLS: &str = "16998";

/// A daemon that serves TLS with the certificates at libvirt's places, and one client named `good`.
fn with_tls(conf: &str) -> Outcome<(Testbed, Authority)> {
    tls_of("libvirtd", conf)
}

pub(crate) fn tls_of(daemon: &'static str, conf: &str) -> Outcome<(Testbed, Authority)> {
    let mut bed = Testbed::without_daemon(&listening_as(daemon, ""))?;
    let authority = Authority::new("Test CA")?;
    let server = authority.server("127.0.0.1")?;
    let mut lines = format!("listen_addr = \"127.0.0.1\"\ntls_port = \"{TLS}\"\n{conf}");
    for (key, file, text) in [
        ("ca_file", "etc/pki/CA/cacert.pem", authority.certificate()),
        ("cert_file", "etc/pki/libvirt/servercert.pem", server.certificate),
        ("key_file", "etc/pki/libvirt/private/serverkey.pem", server.key),
    ] {
        let path = bed.path(file);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::write(&path, text)?;
        if !bed.is_ours() {
            lines += &format!("{key} = \"{}\"\nauth_unix_rw = \"none\"\n", path.display());
        }
    }
    fs::write(bed.path(&format!("etc/libvirt/{daemon}.conf")), lines)?;
    write_client(&bed.path("good"), &authority, Some(&authority.client("good", 7)?))?;
    bed.start()?;
    Ok((bed, authority))
}

/// `virsh` through TLS with the certificates in `folder`.
fn through_tls(bed: &Testbed, folder: &str, words: &[&str]) -> Outcome<Done> {
    let pki = bed.path(folder);
    let uri = format!("qemu+tls://127.0.0.1:{TLS}/system?pkipath={}", pki.display());
    bed.run("virsh", &[&["--connect", &uri], words].concat())
}

fn certificates() -> Outcome {
    let (bed, authority) = with_tls("tls_allowed_dn_list = [\"O=Virtus,CN=go?d\"]\n")?;
    let done = through_tls(&bed, "good", &["list", "--all"])?;
    equal(&done.err, done.ok(), true)?;
    // Long enough for many records.
    let done = through_tls(&bed, "good", &["capabilities"])?;
    equal(&done.err, done.out.contains("</capabilities>"), true)?;

    write_client(&bed.path("other"), &authority, Some(&authority.client("other", 8)?))?;
    write_client(&bed.path("nameless"), &authority, None)?;
    let stranger = Authority::new("Test CA")?.client("good", 7)?;
    write_client(&bed.path("stranger"), &authority, Some(&stranger))?;
    for folder in ["other", "nameless", "stranger"] {
        let done = through_tls(&bed, folder, &["list"])?;
        equal(&format!("success of the client '{folder}'"), done.ok(), false)?;
    }
    if bed.is_ours() {
        contains(&bed.log(), "'O=Virtus,CN=other' is not in tls_allowed_dn_list")?;
    }
    // A client of the plain protocol is no client of TLS.
    let plain = format!("qemu+tcp://127.0.0.1:{TLS}/system");
    let done = bed.run("virsh", &["--connect", &plain, "list"])?;
    equal("success in clear text", done.ok(), false)
}

fn without_certificates() -> Outcome {
    let (bed, authority) = with_tls("tls_no_verify_certificate = 1\n")?;
    write_client(&bed.path("nameless"), &authority, None)?;
    let done = through_tls(&bed, "nameless", &["list"])?;
    equal(&done.err, done.ok(), true)
}

fn revocation() -> Outcome {
    let (bed, authority) = with_tls("")?;
    if !bed.is_ours() {
        return Err(Skip(
            "stock libvirtd reads its certificates anew on virt-admin's word only".to_owned(),
        )
        .into());
    }
    equal("success before", through_tls(&bed, "good", &["list"])?.ok(), true)?;
    fs::write(bed.path("etc/pki/CA/cacrl.pem"), authority.revoke(7)?)?;
    bed.signal("HUP", bed.daemon_pid()?)?;
    wait_for("the revocation", DEADLINE, || Ok(!through_tls(&bed, "good", &["list"])?.ok()))?;
    write_client(&bed.path("next"), &authority, Some(&authority.client("next", 8)?))?;
    let done = through_tls(&bed, "next", &["list"])?;
    equal(&done.err, done.ok(), true)?;
    // A mistake leaves everything as it was.
    fs::write(bed.path("etc/pki/CA/cacert.pem"), "nonsense")?;
    bed.signal("HUP", bed.daemon_pid()?)?;
    wait_for("the complaint", DEADLINE, || {
        Ok(bed.log().contains("the certificates stay as they were"))
    })?;
    contains(&bed.log(), "etc/pki/CA/cacert.pem' cannot be used: ")?;
    let done = through_tls(&bed, "next", &["list"])?;
    equal(&done.err, done.ok(), true)
}

fn administration() -> Outcome {
    let (bed, _authority) = with_tls("")?;
    let pki = bed.path("good");
    let uri = format!("qemu+tls://127.0.0.1:{TLS}/system?pkipath={}", pki.display());
    let _client = bed.virsh_lines(&format!("--connect {uri} event --all --loop"))?;
    let mut info = String::new();
    wait_for("the client in the list", DEADLINE, || {
        let list = bed.admin("client-list libvirtd")?;
        let Some(row) = list.lines().find(|line| line.contains(" tls ")) else { return Ok(false) };
        let id = row.split_whitespace().next().unwrap_or_default();
        info = bed.admin(&format!("client-info libvirtd {id}"))?;
        Ok(true)
    })?;
    contains(&info, "sock_addr      : 127.0.0.1:")?;
    contains(&info, "O=Virtus,CN=good")?;
    if !bed.is_ours() {
        let text = "stock libvirtd looks for changed certificates at its usual places only";
        return Err(Skip(text.to_owned()).into());
    }
    // Another authority takes over.
    let other = Authority::new("Other CA")?;
    write_client(&bed.path("new"), &other, Some(&other.client("new", 9)?))?;
    let server = other.server("127.0.0.1")?;
    fs::write(bed.path("etc/pki/CA/cacert.pem"), other.certificate())?;
    fs::write(bed.path("etc/pki/libvirt/servercert.pem"), server.certificate)?;
    fs::write(bed.path("etc/pki/libvirt/private/serverkey.pem"), server.key)?;
    equal("success before", through_tls(&bed, "good", &["list"])?.ok(), true)?;
    bed.admin("server-update-tls libvirtd")?;
    equal("the old client's success", through_tls(&bed, "good", &["list"])?.ok(), false)?;
    // A mistake leaves everything as it was.
    fs::write(bed.path("etc/pki/CA/cacert.pem"), "nonsense")?;
    bed.admin_fails("server-update-tls libvirtd")?;
    let done = through_tls(&bed, "new", &["list"])?;
    equal(&done.err, done.ok(), true)
}

fn half_open() -> Outcome {
    let (bed, _authority) = with_tls("")?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd serves nobody beside 20 silent clients".to_owned()).into());
    }
    equal("success before", through_tls(&bed, "good", &["list"])?.ok(), true)?;
    let mut silent = bed.python("half_open.py", &[TLS, "40"])?;
    silent.expect("ready", DEADLINE)?;
    for _ in 0..3 {
        let done = promptly(|| through_tls(&bed, "good", &["list"]))?;
        equal(&done.err, done.ok(), true)?;
    }
    Ok(())
}

fn missing_certificates() -> Outcome {
    let mut bed = Testbed::without_daemon(&listening(""))?;
    let Err(error) = bed.start() else { return Err("TLS is served without certificates".into()) };
    contains(&error.to_string(), "Cannot read CA certificate '")?;
    contains(&error.to_string(), "etc/pki/CA/cacert.pem': No such file or directory")
}

/// A daemon whose sockets ask for SASL, with the user `fred`; for virsh an `auth` file for each password.
pub(crate) fn sasl_of(daemon: &'static str, conf: &str) -> Outcome<(Testbed, Authority)> {
    let (bed, authority) = tls_of(daemon, conf)?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd keeps users in a database of Cyrus'".to_owned()).into());
    }
    let added = bed.virtus_with_input(&["sasl-user", "fred"], "the secret\n")?;
    equal(&added.err, added.ok(), true)?;
    for (file, password) in [("right", "the secret"), ("wrong", "a guess")] {
        let credentials = format!("[credentials-one]\nauthname=fred\npassword={password}\n");
        bed.write(file, &format!("{credentials}\n[auth-libvirt-default]\ncredentials=one\n"))?;
    }
    Ok((bed, authority))
}

fn passwords() -> Outcome {
    let conf =
        "auth_tls = \"sasl\"\nauth_unix_rw = \"sasl\"\nsasl_allowed_username_list = [\"f*\"]\n";
    let (bed, _authority) = sasl_of("libvirtd", conf)?;
    let pki = bed.path("good");
    let uris = [
        format!("qemu+tls://127.0.0.1:{TLS}/system?pkipath={}&", pki.display()),
        format!("{}&", bed.uri()),
    ];
    for uri in &uris {
        let ask = |file: &str| {
            let uri = format!("{uri}authfile={}", bed.path(file).display());
            bed.run("virsh", &["--connect", &uri, "list"])
        };
        let done = ask("right")?;
        equal(&done.err, done.ok(), true)?;
        let done = ask("wrong")?;
        equal(&format!("success of a guess at {uri}"), done.ok(), false)?;
        contains(&done.err, "authentication failed")?;
    }
    // The read-only socket was left open.
    let done = bed.run("virsh", &["--connect", &bed.uri_read_only(), "--readonly", "list"])?;
    equal(&done.err, done.ok(), true)?;
    let deleted = bed.virtus(&["sasl-user", "--delete", "fred"])?;
    equal(&deleted.err, deleted.ok(), true)?;
    let uri = format!("{}authfile={}", uris[1], bed.path("right").display());
    let done = bed.run("virsh", &["--connect", &uri, "list"])?;
    equal("success of a user who was deleted", done.ok(), false)
}

/// What stands in for ssh runs the command here. Everything else is as on a far host.
fn ssh() -> Outcome {
    let bed = Testbed::new()?;
    let helper = built_program("virt-ssh-helper")?;
    let programs = helper.parent().ok_or("the helper lies in no folder")?;
    let root = if bed.is_ours() {
        format!("export VIRTUS_ROOT={}\n", bed.path("").display())
    } else {
        String::new()
    };
    let script = format!(
        "#!/bin/bash\necho \"$@\" >>{}\n{root}export PATH={}:$PATH\nexec sh -c \"${{!#}}\"\n",
        bed.path("ssh.log").display(),
        programs.display(),
    );
    let ssh = bed.write("ssh", &script)?;
    fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755))?;
    let uri = format!("qemu+ssh://elsewhere/system?proxy=native&command={ssh}");
    let done = bed.run("virsh", &["--connect", &uri, "list", "--all"])?;
    equal(&done.err, done.ok(), true)?;
    contains(&fs::read_to_string(bed.path("ssh.log"))?, "virt-ssh-helper")?;
    let done = bed.run("virsh", &["--connect", &uri, "capabilities"])?;
    equal(&done.err, done.out.contains("</capabilities>"), true)?;
    let done = bed.run("virsh", &["--connect", &uri, "--readonly", "net-destroy", "x"])?;
    equal("success of a change through a read-only connection", done.ok(), false)?;
    let done = bed.run("virsh", &["--connect", &uri.replace("/system", "/nowhere"), "list"])?;
    equal("success with a wrong URI", done.ok(), false)
}
