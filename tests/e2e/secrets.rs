// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Secrets: what is kept survives the daemon, what is private or ephemeral stays so.

use std::os::unix::fs::PermissionsExt;
use virtus_tests::{DEADLINE, Lines, Options, Outcome, Testbed};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_secret_and_its_value_survive_a_kill", survives),
    ("killed_while_it_defines_the_daemon_keeps_what_it_has_told", killed_while_defining),
    ("private_and_ephemeral_secrets_keep_to_themselves", keep_to_themselves),
    ("secrets_serve_beside_a_hypervisor", beside_a_hypervisor),
    ("what_happens_to_secrets_is_told", told),
];

const KEPT: &str = "7e57ab1e-0000-4000-8000-00000000005e";
const OTHER: &str = "7e57ab1e-0000-4000-8000-00000000006e";

/// A secret for a Ceph client; `attributes` of its element.
fn xml(uuid: &str, attributes: &str, client: &str) -> String {
    format!(
        "<secret {attributes}><uuid>{uuid}</uuid><usage type='ceph'><name>{client}</name></usage></secret>"
    )
}

/// The daemon of secrets, and how virsh reaches it.
fn secret_daemon() -> Outcome<(Testbed, String)> {
    let bed = Testbed::with(&Options { daemon: Some("virtsecretd"), ..Options::default() })?;
    let connect = format!("-c {}", bed.uri_of("secret", "/system"));
    Ok((bed, connect))
}

fn survives() -> Outcome {
    let (mut bed, secret) = secret_daemon()?;
    let file = bed.write("kept.xml", &xml(KEPT, "", "kept"))?;
    let virsh = |bed: &Testbed, line: &str| bed.virsh(&format!("{secret} {line}"));
    virsh(&bed, &format!("secret-define {file}"))?;
    virsh(&bed, &format!("secret-set-value {KEPT} --base64 aGVsbG8="))?;
    bed.kill9()?;
    bed.start()?;
    equal("value", virsh(&bed, &format!("secret-get-value {KEPT}"))?.as_str(), "aGVsbG8=")?;
    contains(&virsh(&bed, "secret-list")?, "ceph kept")?;
    let folder = bed.path("etc/libvirt/secrets");
    for name in [format!("{KEPT}.xml"), format!("{KEPT}.base64")] {
        let mode = folder.join(&name).metadata()?.permissions().mode() & 0o777;
        equal(&name, mode, 0o600)?;
    }

    // The name of its use, and its UUID, are its own.
    let clash = bed.write("clash.xml", &xml(OTHER, "", "kept"))?;
    let error = bed.virsh_fails(&format!("{secret} secret-define {clash}"))?;
    contains(&error, &format!("a secret with UUID {KEPT} already defined for use with kept"))?;

    virsh(&bed, &format!("secret-undefine {KEPT}"))?;
    equal("files", std::fs::read_dir(&folder)?.count(), 0)?;
    bed.restart()?;
    let error = bed.virsh_fails(&format!("{secret} secret-get-value {KEPT}"))?;
    contains(&error, &format!("Secret not found: no secret with matching uuid '{KEPT}'"))
}

fn killed_while_defining() -> Outcome {
    const ALL: usize = 200;
    const TOLD: usize = 20;
    let (mut bed, secret) = secret_daemon()?;
    let uuid = |number: usize| format!("7e57ab1e-0000-4000-8000-0000000{number:05}");
    let mut commands = Vec::new();
    for number in 0..ALL {
        let text = xml(&uuid(number), "", &format!("client{number}"));
        let file = bed.write(&format!("{number}.xml"), &text)?;
        commands.push(format!("secret-define {file}"));
    }
    let mut lines = bed.virsh_lines(&format!("{secret} '{}'", commands.join("; ")))?;
    for number in 0..TOLD {
        lines.expect(&format!("Secret {} created", uuid(number)), DEADLINE)?;
    }
    bed.kill9()?;
    drop(lines);
    bed.start()?;
    let listed = bed.virsh(&format!("{secret} secret-list"))?;
    for number in 0..TOLD {
        contains(&listed, &uuid(number))?;
    }
    // Nothing half written stands where definitions are looked for.
    let files = std::fs::read_dir(bed.path("etc/libvirt/secrets"))?.flatten();
    let whole = files.filter(|file| !file.file_name().to_string_lossy().starts_with('.')).count();
    equal("secrets and their files", listed.matches("ceph client").count(), whole)
}

fn keep_to_themselves() -> Outcome {
    let (mut bed, secret) = secret_daemon()?;
    let virsh = |bed: &Testbed, line: &str| bed.virsh(&format!("{secret} {line}"));
    let private = bed.write("private.xml", &xml(KEPT, "private='yes'", "private"))?;
    let ephemeral = bed.write("ephemeral.xml", &xml(OTHER, "ephemeral='yes'", "ephemeral"))?;
    for (file, uuid) in [(private, KEPT), (ephemeral, OTHER)] {
        virsh(&bed, &format!("secret-define {file}"))?;
        virsh(&bed, &format!("secret-set-value {uuid} --base64 c2VjcmV0"))?;
    }
    let error = bed.virsh_fails(&format!("{secret} secret-get-value {KEPT}"))?;
    contains(&error, "Invalid secret: secret is private")?;
    let open = bed.write("open.xml", &xml(KEPT, "", "private"))?;
    let error = bed.virsh_fails(&format!("{secret} secret-define {open}"))?;
    contains(&error, "cannot change private flag on existing secret")?;
    equal("value", virsh(&bed, &format!("secret-get-value {OTHER}"))?.as_str(), "c2VjcmV0")?;
    contains(&virsh(&bed, "secret-list --ephemeral")?, OTHER)?;
    let names = |bed: &Testbed| -> Outcome<Vec<_>> {
        let folder = std::fs::read_dir(bed.path("etc/libvirt/secrets"))?;
        let mut names: Vec<_> = folder.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        Ok(names)
    };
    equal(
        "files",
        names(&bed)?,
        vec![format!("{KEPT}.base64").into(), format!("{KEPT}.xml").into()],
    )?;
    bed.restart()?;
    let error = bed.virsh_fails(&format!("{secret} secret-dumpxml {OTHER}"))?;
    contains(&error, "Secret not found")
}

fn beside_a_hypervisor() -> Outcome {
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let file = bed.write("beside.xml", &xml(KEPT, "", "beside"))?;
    bed.virsh(&format!("secret-define {file}"))?;
    contains(&bed.virsh("secret-list")?, "ceph beside")?;
    contains(&bed.virsh(&format!("secret-dumpxml {KEPT}"))?, "<name>beside</name>")?;
    let script = "import libvirt, sys; conn = libvirt.open(sys.argv[1]); \
                  secret = conn.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_CEPH, 'beside'); \
                  print(secret.UUIDString())";
    let found = bed.run("/usr/bin/python3", &["-c", script, &bed.uri()])?;
    equal(&found.err, found.out.trim(), KEPT)?;
    let read_only = format!("-r -c {}", bed.uri_read_only());
    contains(&bed.virsh(&format!("{read_only} secret-list"))?, "ceph beside")?;
    let error = bed.virsh_fails(&format!("{read_only} secret-get-value {KEPT}"))?;
    contains(&error, "read only access prevents virSecretGetValue")
}

fn told() -> Outcome {
    let (bed, secret) = secret_daemon()?;
    let file = bed.write("told.xml", &xml(KEPT, "", "told"))?;
    let listen =
        |event: &str| bed.virsh_lines(&format!("{secret} secret-event --event {event} --loop"));
    let (mut life, mut values) = (listen("lifecycle")?, listen("value-changed")?);
    let hears = |events: &mut Lines, command: &str, line: &str| {
        events.hears(line, || bed.virsh(&format!("{secret} {command}")).map(drop))
    };
    let defined = format!("event 'lifecycle' for secret {KEPT}: Defined");
    hears(&mut life, &format!("secret-define {file}"), &defined)?;
    let set = format!("secret-set-value {KEPT} --base64 dG9sZA==");
    hears(&mut values, &set, &format!("event 'value-changed' for secret {KEPT}"))?;
    bed.virsh(&format!("{secret} secret-undefine {KEPT}"))?;
    life.expect(&format!("event 'lifecycle' for secret {KEPT}: Undefined"), DEADLINE).map(drop)
}
