// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The administrator's hook scripts: when they run, what they are told, and what they can refuse.

use virtus_tests::{Container, DEADLINE, Guest, Outcome, Testbed, wait_for};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("hooks_follow_a_container", follow_container),
    ("hooks_follow_a_guest", follow_guest),
    ("hooks_refuse_a_start", refuse),
    ("hooks_are_told_of_the_daemon", daemon),
];

/// Puts a script into the folder of hooks.
fn install(bed: &Testbed, name: &str, script: &str) -> Outcome {
    bed.install(&format!("etc/libvirt/hooks/{name}"), script)
}

/// A script that writes down how it is called, and by what name its input calls the domain.
fn install_notebook(bed: &Testbed, name: &str) -> Outcome {
    let notes = bed.path("notes");
    let note = "echo \"$* $(sed -n 's,.*<name>\\(.*\\)</name>,\\1,p')\"";
    install(bed, name, &format!("{note} >>{}", notes.display()))
}

/// All that scripts have to write down so far.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    /// Waits until there are as many notes as expected, these after all before; there may be no others.
    fn follow(&mut self, bed: &Testbed, what: &str, expected: Vec<String>) -> Outcome {
        self.0.extend(expected);
        let mut notes: Vec<String> = Vec::new();
        // Fewer are told below.
        let _in_time = wait_for("the notes", DEADLINE, || {
            let text = std::fs::read_to_string(bed.path("notes")).unwrap_or_default();
            notes = text.lines().map(str::to_owned).collect();
            Ok(notes.len() >= self.0.len() && (text.ends_with('\n') || text.is_empty()))
        });
        equal(what, &notes, &self.0)
    }
}

/// The notes on operations with the domain `name`.
fn expected<const N: usize>(name: &str, operations: [&str; N]) -> Vec<String> {
    operations.iter().map(|operation| format!("{name} {operation} {name}")).collect()
}

const START: [&str; 3] = ["prepare begin -", "start begin -", "started begin -"];

fn follow_container() -> Outcome {
    let mut bed = Testbed::of_containers()?;
    bed.define_container(&Container::busybox(&bed, "told")?)?;
    let mut notes = Notes::default();
    install_notebook(&bed, "lxc")?;
    bed.virsh("start told")?;
    notes.follow(&bed, "a start", expected("told", START))?;
    bed.restart()?;
    notes.follow(&bed, "a new daemon", expected("told", ["reconnect begin -"]))?;
    bed.virsh("destroy told")?;
    let end = ["stopped end -", "release end destroyed"];
    notes.follow(&bed, "the end", expected("told", end))?;

    // A hook that refuses the container when it is taken over ends it.
    bed.virsh("start told")?;
    install(&bed, "lxc.d/50-refuse", "[ $2 != reconnect ]")?;
    bed.restart()?;
    wait_for("the container to be ended", DEADLINE, || {
        Ok(bed.virsh("domstate told")? == "shut off")
    })?;
    let end = ["reconnect begin -", "stopped end -", "release end failed"];
    let all = START.into_iter().chain(end);
    notes.follow(&bed, "a refusal", all.map(|what| format!("told {what} told")).collect())
}

fn follow_guest() -> Outcome {
    let mut bed = Testbed::new()?;
    bed.define(&Guest::firmware("told"))?;
    let mut notes = Notes::default();
    install_notebook(&bed, "qemu")?;
    bed.virsh("start told")?;
    notes.follow(&bed, "a start", expected("told", START))?;
    // A hook that dies refuses nothing; libvirt ends the guest.
    if bed.is_ours() {
        install(&bed, "qemu.d/50-dies", "[ $2 != reconnect ] || kill -KILL $$")?;
    }
    bed.restart()?;
    notes.follow(&bed, "a new daemon", expected("told", ["reconnect begin -"]))?;
    if bed.is_ours() {
        wait_for("the guest to be taken over", DEADLINE, || {
            Ok(bed.log().contains("domain 'told' is taken over all the same"))
        })?;
    }
    wait_for("the guest", DEADLINE, || Ok(bed.virsh("domstate told")? == "running"))?;
    bed.virsh("destroy told")?;
    let end = ["stopped end -", "release end destroyed"];
    notes.follow(&bed, "the end", expected("told", end))
}

fn refuse() -> Outcome {
    let bed = Testbed::of_containers()?;
    bed.define_container(&Container::busybox(&bed, "picky")?)?;
    let mut notes = Notes::default();
    install_notebook(&bed, "lxc")?;
    for operation in ["prepare", "start", "started"] {
        let script = format!("[ $2 != {operation} ] || {{ echo no room for it >&2; exit 7; }}");
        install(&bed, "lxc.d/refuse", &script)?;
        let said = bed.virsh_fails("start picky")?;
        contains(&said, "Hook script execution failed")?;
        contains(&said, "(exit status 7): no room for it")?;
        equal("state", bed.virsh("domstate picky")?, "shut off".to_owned())?;
        let asked =
            START.into_iter().take_while(|asked| !asked.starts_with(&format!("{operation} ")));
        let end = ["stopped end -", "release end failed"];
        let refused = format!("{operation} begin -");
        let all = asked.chain([refused.as_str()]).chain(end);
        notes.follow(&bed, operation, all.map(|what| format!("picky {what} picky")).collect())?;
        let left = bed.run("find", &["/sys/fs/cgroup", "-name", "*picky*"])?.out;
        equal("control groups", left.as_str(), "")?;
    }
    install(&bed, "lxc.d/refuse", "sleep 600 </dev/null >/dev/null 2>&1 &")?;
    bed.virsh("start picky").map(drop)
}

fn daemon() -> Outcome {
    let mut bed = Testbed::of_containers()?;
    let mut notes = Notes::default();
    install_notebook(&bed, "daemon")?;
    // A daemon that has nothing but its sockets does not hear it yet.
    bed.virsh("list")?;
    bed.signal("HUP", bed.daemon_pid()?)?;
    notes.follow(&bed, "a reload", vec!["- reload begin SIGHUP ".to_owned()])?;
    bed.restart()?;
    let around = ["- shutdown - shutdown ", "- start - start "];
    notes.follow(&bed, "a restart", around.map(str::to_owned).to_vec())?;

    // One that hangs does not keep the daemon from its end, and ends with what it waits for.
    let hangs =
        format!("[ $2 != reload ] || {{ echo >>{}; sleep 600; }}", bed.path("notes").display());
    install(&bed, "daemon", &hangs)?;
    bed.virsh("list")?;
    bed.signal("HUP", bed.daemon_pid()?)?;
    notes.follow(&bed, "a script that hangs", vec![String::new()])?;
    bed.stop()?;
    wait_for("the script's end", DEADLINE, || {
        Ok(!bed.processes()?.iter().any(|process| process.words == ["sleep", "600"]))
    })
}
