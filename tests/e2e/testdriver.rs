// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The test driver through a daemon's socket: the worlds, and the lives of their guests.

use virtus_tests::{DEADLINE, Done, Lines, Options, Outcome, Testbed};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("the_default_world_is_libvirts", default_world),
    ("sessions_share_the_default_world_until_the_last_ends", shared_world),
    ("a_files_world_is_one_sessions_own", worlds_of_files),
    ("a_guests_life_is_told_as_by_libvirt", life_is_told),
    ("saved_guests_come_back", saved_guests),
    ("a_file_may_be_anything", odd_files),
    ("refusals_name_what_is_wrong", refusals),
    ("snapshots_fan_out_and_are_returned_to", snapshots),
    ("a_world_leaves_nothing_on_disk", nothing_on_disk),
];

/// A daemon that serves worlds.
struct Worlds(Testbed);

impl Worlds {
    fn new() -> Outcome<Self> {
        Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() }).map(Self)
    }

    /// `virsh` in one session of the shared world: commands with semicolons between them.
    fn session(&self, commands: &str) -> Outcome<Done> {
        self.session_at("/default", commands)
    }

    fn session_at(&self, path: &str, commands: &str) -> Outcome<Done> {
        let words = ["--connect", &self.0.uri_of("test", path), commands];
        self.0.virsh_words(&words.map(str::to_owned))
    }

    /// What a session prints; its failure is an error.
    fn said(&self, commands: &str) -> Outcome<String> {
        let done = self.session(commands)?;
        if done.ok() { Ok(done.out) } else { Err(format!("{commands}: {}", done.err).into()) }
    }

    /// A session that lives on and prints events.
    fn events(&self) -> Outcome<Lines> {
        let uri = self.0.uri_of("test", "/default");
        let mut lines =
            self.0.virsh_lines(&format!("--connect {uri} event --event lifecycle --loop"))?;
        lines.hears("Resumed", || self.session("suspend test; resume test").map(drop))?;
        Ok(lines)
    }
}

fn default_world() -> Outcome {
    let worlds = Worlds::new()?;
    contains(&worlds.said("list --all")?, " 1    test   running")?;
    let info = worlds.said("dominfo test")?;
    for line in [
        "UUID:           6695eb01-f6a4-8304-79aa-97f2502e193f",
        "OS Type:        linux",
        "CPU(s):         2",
        "Max memory:     8388608 KiB",
        "Used memory:    2097152 KiB",
        "Security label: libvirt-test (enforcing)",
    ] {
        contains(&info, line)?;
    }
    contains(&worlds.said("dumpxml test")?, "<target dev='testnet0'/>")?;
    let node = worlds.said("nodeinfo")?;
    contains(&node, "CPU model:           i686")?;
    contains(&node, "CPU(s):              16")?;
    contains(&worlds.said("capabilities")?, "<emulator>/usr/bin/test-hv</emulator>")?;
    let refused = worlds.session_at("/", "list")?;
    contains(&refused.err, "supply a path or use test:///default")
}

fn shared_world() -> Outcome {
    let worlds = Worlds::new()?;
    let events = worlds.events()?;
    worlds.said("destroy test")?;
    contains(&worlds.said("domstate test --reason")?, "shut off (destroyed)")?;
    drop(events);
    worlds.0.end_clients()?;
    virtus_tests::wait_for("a world that is new again", DEADLINE, || {
        Ok(worlds.said("domstate test")?.contains("running"))
    })?;
    // A session that was told that it is closed is gone: the next one begins with a new world.
    (0..20).try_for_each(|_| worlds.said("destroy test").map(drop))
}

fn worlds_of_files() -> Outcome {
    let worlds = Worlds::new()?;
    let folder = worlds.0.path("home");
    let domain = |name: &str, more: &str| {
        format!(
            "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>\
             <name>{name}</name><memory>1024</memory><os><type>hvm</type></os>{more}</domain>"
        )
    };
    std::fs::write(folder.join("b.xml"), domain("b", "<test:runstate>5</test:runstate>"))?;
    let paused = "<test:runstate>3</test:runstate><test:transient/>";
    let saved = "<test:runstate>5</test:runstate><test:hasmanagedsave/>";
    let node = format!(
        "<node><cpu><nodes>1</nodes><sockets>1</sockets><cores>2</cores><threads>1</threads>\
         <mhz>6000</mhz><model>i986</model></cpu><memory>5000</memory>{}<domain file='b.xml'/>{}</node>",
        domain("a", paused),
        domain("c", saved)
    );
    let file = folder.join("node.xml");
    std::fs::write(&file, node)?;
    let path = file.display().to_string();
    let list = worlds.session_at(&path, "list --all")?;
    for line in [" 1    a      paused", " -    b      shut off", " -    c      shut off"] {
        contains(&list.out, line)?;
    }
    let info = worlds.session_at(&path, "nodeinfo; dominfo a; start b; domstate b")?.out;
    for line in ["CPU model:           i986", "CPU(s):              2", "Persistent:     no"] {
        contains(&info, line)?;
    }
    contains(&info, "running")?;
    contains(&worlds.session_at(&path, "dominfo c")?.out, "Managed save:   yes")?;
    let other = worlds.session_at(&path, "domstate b")?.out;
    contains(&other, "shut off")?;
    let missing = worlds.session_at("/nowhere.xml", "list")?;
    contains(&missing.err, "/nowhere.xml")
}

fn life_is_told() -> Outcome {
    let worlds = Worlds::new()?;
    let mut events = worlds.events()?;
    let mut tells = |commands: &str, told: &[&str]| -> Outcome {
        worlds.said(commands)?;
        for one in told {
            events.expect(one, DEADLINE)?;
        }
        Ok(())
    };
    tells("suspend test", &["Suspended Paused"])?;
    tells("resume test", &["Resumed Unpaused"])?;
    tells("shutdown test", &["Stopped Shutdown"])?;
    tells("start test", &["Started Booted"])?;
    tells("managedsave test; start test", &["Stopped Saved", "Started Booted"])?;
    tells(
        "snapshot-create-as test s; snapshot-revert test s --paused",
        &["Stopped Snapshot", "Started Snapshot", "Suspended Snapshot"],
    )?;
    tells("destroy test; domrename test new", &["Stopped Destroyed", "Renamed", "Renamed"])?;
    tells("undefine new --snapshots-metadata", &["Undefined Removed"])
}

fn saved_guests() -> Outcome {
    let worlds = Worlds::new()?;
    let file = worlds.0.path("home/saved").display().to_string();
    let said = worlds.said(&format!(
        "save test {file}; domstate test --reason; restore {file}; domstate test --reason; \
         save-image-dumpxml {file}"
    ))?;
    contains(&said, "shut off (saved)")?;
    contains(&said, "running (restored)")?;
    contains(&said, "<name>test</name>")?;
    let again = worlds.session(&format!("restore {file}"))?;
    contains(&again.err, "domain 'test' is already active")?;
    let said = worlds.said("managedsave test; dominfo test; start test; dominfo test")?;
    contains(&said, "Managed save:   yes")?;
    contains(&said, "Managed save:   no")?;
    std::fs::write(&file, "no guest is in here")?;
    let refused = worlds.session(&format!("restore {file}"))?;
    contains(&refused.err, "mismatched header magic")
}

/// What stands where a client says that a file is: nobody waits for it, and it stays what it is.
fn odd_files() -> Outcome {
    let worlds = Worlds::new()?;
    let folder = worlds.0.path("home");
    let [file, link, pipe] = ["file", "link", "pipe"].map(|name| folder.join(name));
    std::os::unix::fs::symlink(&file, &link)?;
    let made = std::process::Command::new("mkfifo").arg(&pipe).status()?;
    equal("mkfifo", made.success(), true)?;

    let world = folder.join("node.xml");
    std::fs::write(&world, format!("<node><domain file='{}'/></node>", pipe.display()))?;
    for path in [&pipe, &world] {
        let refused = worlds.session_at(&path.display().to_string(), "list")?;
        contains(&refused.err, "pipe': it is not a regular file")?;
    }
    let pipe = pipe.display();
    for command in ["restore", "save-image-dumpxml"] {
        let refused = worlds.session(&format!("{command} {pipe}"))?;
        contains(&refused.err, "pipe': it is not a regular file")?;
    }
    contains(&worlds.session(&format!("save test {pipe}"))?.err, "open failed")?;

    let link = link.display();
    worlds.said(&format!("dump test {link}; save test {link}; restore {link}"))?;
    equal("the link", std::fs::read_link(folder.join("link"))?, file.clone())?;
    equal("a file behind it", std::fs::metadata(file)?.is_file(), true)
}

fn refusals() -> Outcome {
    let worlds = Worlds::new()?;
    let file = worlds.0.path("home/many.xml");
    let many = "<domain type='test'><name>many</name><memory>1024</memory>\
        <iothreads>40000000</iothreads><os><type>hvm</type></os></domain>";
    std::fs::write(&file, many)?;
    for (command, refusal) in [
        (&*format!("define {}", file.display()), "Too many IOThreads: 40000000 for limit 16384"),
        ("numatune test --mode 99", "unsupported numatune mode: '99'"),
        ("iothreadset test 5 --thread-pool-min 4", "cannot find IOThread '5' in iothreadids"),
    ] {
        contains(&worlds.session(command)?.err, refusal)?;
    }
    Ok(())
}

fn snapshots() -> Outcome {
    let worlds = Worlds::new()?;
    let said = worlds.said(
        "snapshot-create-as test a; snapshot-create-as test b; snapshot-revert test a; \
         snapshot-create-as test c; snapshot-list test --tree; domstate test --reason; \
         snapshot-delete test a; snapshot-list test --roots --name",
    )?;
    contains(&said, "a\n  |\n  +- b\n  +- c")?;
    contains(&said, "running (from snapshot)")?;
    contains(&said, "deleted\n\nb\nc")?;
    let refused = worlds.session("snapshot-create-as test x; checkpoint-create-as test y")?;
    contains(&refused.err, "cannot create checkpoint while snapshot exists")?;
    let refused = worlds.session("snapshot-create-as test x; snapshot-create-as test x")?;
    contains(&refused.err, "domain moment x already exists")?;
    let refused = worlds.session("snapshot-create-as test ../x")?;
    contains(&refused.err, "name can't contain '/'")
}

fn nothing_on_disk() -> Outcome {
    let worlds = Worlds::new()?;
    let held = worlds.events()?;
    worlds.said("autostart test; snapshot-create-as test s; managedsave test; desc test note")?;
    for folder in ["etc/libvirt/test", "run/libvirt/test", "var/lib/libvirt/test"] {
        equal(folder, worlds.0.path(folder).exists(), false)?;
    }
    drop(held);
    Ok(())
}
