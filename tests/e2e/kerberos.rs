// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients of other hosts with Kerberos tickets: MIT's KDC for a realm of the test's own, stock virsh, SASL on plain TCP.

use std::fs;
use std::path::Path;

use virtus_tests::{DEADLINE, Done, Guest, Lines, Options, Outcome, Testbed, wait_for};

use crate::client::APPLICATION;
use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("tickets_let_in_and_encrypt", tickets),
    ("a_ticket_serves_on_a_unix_socket", unix_socket),
    ("our_own_client_has_tickets_too", own_client),
    ("without_keys_no_guarded_tcp_socket_is_served", no_keys),
];

/// The daemon's port, and that of the one who listens in.
const PORTS: [&str; 2] = ["16996", "16995"];

const KRB5_CONF: &str = r#"[libdefaults]
default_realm = TEST
dns_lookup_kdc = false
dns_canonicalize_hostname = false
rdns = false
qualify_shortname = ""
[realms]
TEST = {
    kdc = 127.0.0.1:16088
}
[logging]
kdc = FILE:kdc.log
"#;

const KDC_CONF: &str = "[kdcdefaults]
kdc_listen = 127.0.0.1:16088
kdc_tcp_listen = 127.0.0.1:16088
[realms]
TEST = {
    database_name = principal
    key_stash_file = stash
}
";

/// A daemon with keys in a realm that has the users `fred` and `wilma`, and the realm's running KDC.
struct Realm {
    bed: Testbed,
    _kdc: Lines,
}

impl Realm {
    fn new(conf: &str) -> Outcome<Self> {
        let mechanism =
            format!("/usr/lib/{}-linux-gnu/sasl2/libgssapiv2.so", std::env::consts::ARCH);
        let programs = ["/usr/sbin/krb5kdc", "/usr/sbin/kadmin.local", "/usr/bin/kinit"];
        if let Some(file) =
            programs.into_iter().chain([&*mechanism]).find(|f| !Path::new(f).exists())
        {
            return Err(Skip(format!("no {file}: run tests/install.sh")).into());
        }
        let mut bed = Testbed::without_daemon(&Options {
            daemon: Some("libvirtd"),
            daemon_conf: format!(
                "listen_tls = 0\nlisten_addr = \"127.0.0.1\"\ntcp_port = \"{}\"\n{conf}",
                PORTS[0]
            ),
            arguments: vec!["--listen".to_owned()],
            ..Options::default()
        })?;
        if !bed.is_ours() {
            let why = "stock libvirtd takes its keytab from the machine's /etc/sasl2";
            return Err(Skip(why.to_owned()).into());
        }
        bed.write("krb5.conf", KRB5_CONF)?;
        bed.write("kdc.conf", KDC_CONF)?;
        with_realm(&bed, &["kdb5_util", "create", "-s", "-r", "TEST", "-P", "master"])?;
        for (principal, keytab) in [
            ("libvirt/127.0.0.1", "etc/libvirt/krb5.tab"),
            // As clients call the host of a unix socket.
            ("libvirt/localhost", "etc/libvirt/krb5.tab"),
            ("fred", "users.keytab"),
            ("wilma", "users.keytab"),
        ] {
            with_realm(&bed, &["kadmin.local", "addprinc", "-randkey", principal])?;
            with_realm(&bed, &["kadmin.local", "ktadd", "-k", keytab, principal])?;
        }
        let kdc = bed.lines("sh", &in_realm(&["krb5kdc", "-n"]))?;
        let log = bed.path("kdc.log");
        wait_for("the KDC", DEADLINE, || {
            Ok(fs::read_to_string(&log).is_ok_and(|log| log.contains("commencing operation")))
        })?;
        for user in ["fred", "wilma"] {
            let cache = format!("FILE:{user}.tickets");
            with_realm(&bed, &["kinit", "-c", &cache, "-k", "-t", "users.keytab", user])?;
        }
        bed.start()?;
        Ok(Self { bed, _kdc: kdc })
    }

    /// An application of Rust at `uri` with the tickets in a file.
    fn application(&self, tickets: &str, uri: &str) -> Outcome<Done> {
        let cache = format!("KRB5CCNAME=FILE:{tickets}");
        let uri = format!("{APPLICATION}={uri}");
        let program = std::env::current_exe()?;
        let program = program.to_str().ok_or("the path is not text")?;
        self.bed.run("sh", &in_realm(&["env", &cache, &uri, program]))
    }

    /// `virsh` at `uri` with the tickets in a file.
    fn virsh(&self, tickets: &str, uri: &str, words: &[&str]) -> Outcome<Done> {
        let cache = format!("KRB5CCNAME=FILE:{tickets}");
        let virsh = [&["env", &cache, "virsh", "--connect", uri], words].concat();
        self.bed.run("sh", &in_realm(&virsh))
    }
}

/// The words with which a shell runs a program of Kerberos: all paths are relative to the testbed's folder.
fn in_realm<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let script = "cd \"$TEST_FOLDER\"
        export PATH=/usr/sbin:/usr/bin:/sbin:/bin KRB5_CONFIG=krb5.conf KRB5_KDC_PROFILE=kdc.conf
        exec \"$@\"";
    [&["-c", script, "sh"], words].concat()
}

fn with_realm(bed: &Testbed, words: &[&str]) -> Outcome {
    let done = bed.run("sh", &in_realm(words))?;
    if done.ok() { Ok(()) } else { Err(format!("{words:?}: {}{}", done.out, done.err).into()) }
}

fn at(port: &str) -> String {
    format!("qemu+tcp://127.0.0.1:{port}/system")
}

fn tickets() -> Outcome {
    let realm =
        Realm::new("listen_tcp = 1\nlog_level = 2\nsasl_allowed_username_list = [\"fred@*\"]\n")?;
    let bed = &realm.bed;
    let record = bed.path("record");
    let record_text = record.to_str().ok_or("the path is not text")?;
    let mut tap = bed.python("wiretap.py", &[PORTS[1], PORTS[0], record_text])?;
    tap.expect("ready", DEADLINE)?;

    // More than goes into one token, both ways.
    let description = "nobody else reads this. ".repeat(10_000);
    let guest = format!(
        "<domain type='qemu'><name>sealed</name><memory>65536</memory><os><type>hvm</type></os>\
         <description>{description}</description></domain>"
    );
    let file = bed.write("sealed.xml", &guest)?;
    let done = realm.virsh("fred.tickets", &at(PORTS[1]), &["define", &file])?;
    equal(&done.err, done.ok(), true)?;
    let done = realm.virsh("fred.tickets", &at(PORTS[1]), &["dumpxml", "sealed"])?;
    equal(&done.err, done.out.contains(description.trim()), true)?;
    let uri = at(PORTS[1]);
    let watch = ["virsh", "--connect", &uri, "event", "--event", "lifecycle", "--loop"];
    let watch = [&["env", "KRB5CCNAME=FILE:fred.tickets"], &watch[..]].concat();
    let mut events = bed.lines("sh", &in_realm(&watch))?;
    events.hears("'sealed'", || {
        bed.virsh("undefine sealed")?;
        bed.virsh(&format!("define {file}")).map(drop)
    })?;
    let passed = fs::read(&record)?;
    let has = |text: &str| passed.windows(text.len()).any(|part| part == text.as_bytes());
    equal("the mechanism passed by in the clear", has("GSSAPI"), true)?;
    equal("size of what passed by", passed.len() > 2 * description.len(), true)?;
    equal("the description can be read on the way", has("nobody else"), false)?;

    let done = realm.virsh("no.tickets", &at(PORTS[0]), &["list"])?;
    equal("success without a ticket", done.ok(), false)?;
    contains(&done.err, "authentication failed")?;
    let done = realm.virsh("wilma.tickets", &at(PORTS[0]), &["list"])?;
    equal("success of another user", done.ok(), false)?;
    contains(&done.err, "authentication failed")?;
    contains(&bed.log(), "'wilma@TEST' is not in sasl_allowed_username_list")
}

fn unix_socket() -> Outcome {
    let realm = Realm::new("auth_unix_rw = \"sasl\"\n")?;
    let done = realm.virsh("fred.tickets", &realm.bed.uri(), &["list"])?;
    equal(&done.err, done.ok(), true)?;
    let done = realm.virsh("no.tickets", &realm.bed.uri(), &["list"])?;
    equal("success without a ticket", done.ok(), false)
}

fn own_client() -> Outcome {
    let realm = Realm::new("listen_tcp = 1\nauth_unix_rw = \"sasl\"\n")?;
    let bed = &realm.bed;
    let file = bed.write("sealed.xml", &Guest::firmware("sealed").xml())?;
    let done = realm.virsh("fred.tickets", &bed.uri(), &["define", &file])?;
    equal(&done.err, done.ok(), true)?;
    let record = bed.path("record");
    let record_text = record.to_str().ok_or("the path is not text")?;
    let mut tap = bed.python("wiretap.py", &[PORTS[1], PORTS[0], record_text])?;
    tap.expect("ready", DEADLINE)?;
    for uri in [at(PORTS[1]), bed.uri()] {
        let done = realm.application("fred.tickets", &uri)?;
        equal(&done.err, done.out.trim(), "domains: sealed")?;
        let done = realm.application("no.tickets", &uri)?;
        equal("success without a ticket", done.ok(), false)?;
        contains(&done.err, "there is no ticket for the service")?;
    }
    let passed = fs::read(&record)?;
    let has = |text: &str| passed.windows(text.len()).any(|part| part == text.as_bytes());
    equal("the mechanism passed by in the clear", has("GSSAPI"), true)?;
    equal("the guest's name can be read on the way", has("sealed"), false)
}

fn no_keys() -> Outcome {
    let mut realm = Realm::new("listen_tcp = 1\n")?;
    realm.bed.stop()?;
    fs::remove_file(realm.bed.path("etc/libvirt/krb5.tab"))?;
    let Err(error) = realm.bed.start() else {
        return Err("a TCP socket is served that nobody can use".into());
    };
    contains(&error.to_string(), "no keys of the service 'libvirt' can be had from")
}
