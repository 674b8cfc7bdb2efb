// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `libvirt-guests` at the shutdown and boot of a host, setting by setting, on guests of a daemon.

use std::time::{Duration, Instant};

use virtus_tests::{Backend, Done, Guest, Lines, Options, Outcome, Testbed, built_program};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("guests_are_suspended_and_started_again", suspended),
    ("guests_are_shut_down_together_and_stay_off", shut_down),
    ("guests_without_a_definition_are_suspended_if_that_is_wanted", transient),
    ("guests_that_cannot_be_suspended_are_shut_down", unable),
    ("a_wrong_setting_is_named_with_its_line", mistaken),
];

/// A daemon whose world of the test driver lasts as long as somebody looks at it.
struct Host {
    bed: Testbed,
    uri: String,
    _look: Lines,
}

impl Host {
    /// With these running guests beside the one that the world has, `test`.
    fn new(guests: &[&str]) -> Outcome<Self> {
        let bed = bed()?;
        let uri = bed.uri_of("test", "/default");
        let mut look = bed.virsh_lines(&format!("-c {uri} event --all --loop"))?;
        // From the first event on, all see the same world.
        look.hears("for domain 'test'", || {
            bed.virsh(&format!("-c {uri} 'suspend test; resume test'")).map(drop)
        })?;
        let host = Self { bed, uri, _look: look };
        for name in guests {
            let file = host.document(name)?;
            host.virsh(&format!("define {file}"))?;
            host.virsh(&format!("start {name}"))?;
        }
        Ok(host)
    }

    fn document(&self, name: &str) -> Outcome<String> {
        let text = format!(
            "<domain type='test'><name>{name}</name><memory>8192</memory><os><type>hvm</type></os></domain>"
        );
        self.bed.write(&format!("{name}.xml"), &text)
    }

    fn virsh(&self, line: &str) -> Outcome<String> {
        self.bed.virsh(&format!("-c {} {line}", self.uri))
    }

    /// The tool with these settings.
    fn guests(&self, settings: &str, verb: &str) -> Outcome<Done> {
        guests(&self.bed, &format!("URIS='{}'\n{settings}", self.uri), verb)
    }
}

fn bed() -> Outcome<Testbed> {
    if Backend::chosen()? != Backend::Ours {
        return Err(Skip("ours only".to_owned()).into());
    }
    Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })
}

fn guests(bed: &Testbed, settings: &str, verb: &str) -> Outcome<Done> {
    std::fs::create_dir_all(bed.path("etc/default"))?;
    bed.write("etc/default/libvirt-guests", settings)?;
    let root = format!("VIRTUS_ROOT={}", bed.path("").display());
    let program = built_program("libvirt-guests")?;
    bed.run("env", &[&root, program.to_str().unwrap_or_default(), verb])
}

fn suspended() -> Outcome {
    let host = Host::new(&["two"])?;
    let file = host.document("passing")?;
    host.virsh(&format!("create {file}"))?;
    let settings =
        "ON_SHUTDOWN=suspend\nON_BOOT=start\nSTART_DELAY=1\nBYPASS_CACHE=1\nSYNC_TIME=1\n";
    let listed = host.guests(settings, "gueststatus")?;
    for name in ["test", "two", "passing"] {
        contains(&listed.out, &format!(" - {name}\n"))?;
    }
    let stopped = host.guests(settings, "stop")?;
    for name in ["test", "two"] {
        contains(&stopped.out, &format!("Guest {name}: suspended"))?;
        contains(&host.virsh(&format!("dominfo {name}"))?, "Managed save:   yes")?;
    }
    // One without a definition cannot come back.
    equal("state", host.virsh("domstate passing")?, "running".to_owned())?;
    equal("status", host.guests(settings, "status")?.code, Some(3))?;

    let begin = Instant::now();
    let started = host.guests(settings, "start")?;
    for name in ["test", "two"] {
        contains(&started.out, &format!("Guest {name}: started"))?;
        equal(name, host.virsh(&format!("domstate {name}"))?, "running".to_owned())?;
    }
    equal("a delay between two starts", begin.elapsed() >= Duration::from_secs(1), true)?;
    equal("status", host.guests(settings, "status")?.code, Some(0))
}

fn shut_down() -> Outcome {
    let host = Host::new(&["two", "three"])?;
    let settings =
        "ON_SHUTDOWN=shutdown\nPARALLEL_SHUTDOWN=3\nSHUTDOWN_TIMEOUT=60\nON_BOOT=ignore\n";
    let stopped = host.guests(settings, "stop")?;
    equal(&stopped.out, stopped.ok(), true)?;
    // All are told before anybody waits for one.
    let last = stopped.out.rfind(": shutting down").ok_or("nobody was told")?;
    equal(&stopped.out, stopped.out.find(": shut down").is_some_and(|first| first > last), true)?;
    let started = host.guests(settings, "start")?;
    contains(&started.out, "No guest is started")?;
    for name in ["test", "two", "three"] {
        equal(name, host.virsh(&format!("domstate {name}"))?, "shut off".to_owned())?;
    }
    Ok(())
}

fn transient() -> Outcome {
    let host = Host::new(&[])?;
    let file = host.document("passing")?;
    host.virsh(&format!("create {file}"))?;
    let stopped = host.guests("ON_SHUTDOWN=suspend\nPERSISTENT_ONLY=false\n", "stop")?;
    contains(&stopped.out, "Guest test: suspended")?;
    // It is tried, and said that it did not work.
    contains(&stopped.out, "Guest passing: ")?;
    equal(&stopped.out, stopped.code, Some(1))
}

fn unable() -> Outcome {
    let bed = bed()?;
    // It has no system that would hear of a shutdown.
    bed.define(&Guest::firmware("deaf"))?;
    bed.virsh("start deaf")?;
    let settings =
        |how: &str| format!("URIS='{}'\nON_SHUTDOWN={how}\nSHUTDOWN_TIMEOUT=1\n", bed.uri());
    let stopped = guests(&bed, &settings("suspend"), "stop")?;
    contains(&stopped.out, "guests that cannot be suspended are shut down")?;
    contains(&stopped.out, "Guest deaf: did not shut down in time")?;
    equal(&stopped.out, stopped.code, Some(1))?;
    guests(&bed, &settings("suspend"), "start")?;
    let stopped = guests(&bed, &settings("shutdown-suspend"), "stop")?;
    contains(&stopped.out, "Guest deaf: did not shut down in time")?;
    contains(&stopped.out, "Guest deaf: cannot be suspended here, and ends with the host")?;
    // A host whose daemon is not there shuts down all the same.
    guests(&bed, "URIS='qemu+unix:///system?socket=/nowhere'\n", "start")?;
    let stopped = guests(&bed, "URIS='qemu+unix:///system?socket=/nowhere'\n", "stop")?;
    contains(&stopped.out, "which is left out")?;
    equal(&stopped.out, stopped.ok(), true)
}

fn mistaken() -> Outcome {
    let bed = bed()?;
    let said = guests(&bed, "URIS=default\nON_SHUTDOWN=sleep\n", "stop")?;
    contains(
        &said.out,
        "etc/default/libvirt-guests: line 2: ON_SHUTDOWN='sleep' should be suspend, shutdown",
    )?;
    equal("status", said.code, Some(6))
}
