// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Users of this host whom polkit lets in, or not: with a polkit of the test's own.

use std::os::unix::fs::PermissionsExt;

use virtus_tests::{DEADLINE, Done, Lines, Options, Outcome, Testbed, promptly};

use crate::client::APPLICATION;
use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("polkit_decides_who_may_use_a_socket", decides),
    ("an_application_has_the_user_asked_on_its_terminal", agent),
    ("without_polkit_only_root_is_let_in", absent),
    ("a_polkit_that_does_not_answer_holds_up_nobody_else", silent),
];

const MANAGE: &str = "org.libvirt.unix.manage";
const MONITOR: &str = "org.libvirt.unix.monitor";

/// A daemon whose sockets are open to all users and ask polkit.
fn guarded() -> Outcome<Testbed> {
    let mut bed =
        Testbed::without_daemon(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let rules =
        "unix_sock_rw_perms = \"0777\"\nauth_unix_rw = \"polkit\"\nauth_unix_ro = \"polkit\"\n";
    bed.write("etc/libvirt/libvirtd.conf", rules)?;
    bed.start()?;
    Ok(bed)
}

/// A bus with a polkit that answers so.
fn policy(bed: &Testbed, words: &[&str]) -> Outcome<Lines> {
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd looks for the bus once, when it starts".to_owned()).into());
    }
    let path = bed.path("bus");
    let path = path.to_str().ok_or("the path is not text")?;
    let mut polkit = bed.python("polkit.py", &[&[path], words].concat())?;
    polkit.expect("ready", DEADLINE)?;
    Ok(polkit)
}

fn as_nobody(bed: &Testbed, uri: &str) -> Outcome<Done> {
    bed.virsh_as_nobody(uri, &["list"])
}

fn decides() -> Outcome {
    let bed = guarded()?;
    let (rw, ro) = (bed.uri(), bed.uri_read_only());
    let manage = |word: &str| format!("{MANAGE}={word}");
    let mut polkit = policy(&bed, &[&manage("yes"), &format!("{MONITOR}=no")])?;
    let done = as_nobody(&bed, &rw)?;
    equal(&done.err, done.ok(), true)?;
    polkit.expect(&format!("{MANAGE} 65534 True"), DEADLINE)?;
    let done = as_nobody(&bed, &ro)?;
    equal("success without permission", done.ok(), false)?;
    contains(&done.err, "access denied by policy")?;
    polkit.expect(&format!("{MONITOR} 65534 True"), DEADLINE)?;
    // Root is not asked about, by whichever socket.
    bed.virsh("list")?;
    let done = bed.run("virsh", &["--connect", &ro, "list"])?;
    equal(&done.err, done.ok(), true)?;
    equal("about root", polkit.seen().iter().any(|line| line.contains(" 0 ")), false)?;
    drop(polkit);
    for (word, text) in [
        ("challenge", format!("no polkit agent available to authenticate action '{MANAGE}'")),
        ("dismissed", "user cancelled authentication process".to_owned()),
    ] {
        std::fs::remove_file(bed.path("bus"))?;
        let _polkit = policy(&bed, &[&manage(word)])?;
        let done = as_nobody(&bed, &rw)?;
        equal(&format!("success with '{word}'"), done.ok(), false)?;
        contains(&done.err, &text)?;
    }
    Ok(())
}

/// The agent is a stand-in that, as polkit's own, closes the descriptor that it was given when it is known, and then asks on
/// the terminal, the next time when the last answer was taken; first it looks whether the process that it is to speak for
/// is the application.
const AGENT: &str = r#"#!/bin/sh
started=$(sed 's/.*) //' /proc/$PPID/stat | cut -d' ' -f20)
[ "$*" = "--process $PPID,$started --notify-fd 1 --fallback" ] || { echo "bad: $*" >&2; exit 1; }
cd "${0%/*}"
touch agent
exec >&-
while printf 'Password: ' >&2 && read word; do
    echo "$word" >new; mv new answer
    while [ -e answer ]; do sleep 0.05; done
done
"#;

fn agent() -> Outcome {
    let bed = guarded()?;
    let place = bed.path("place");
    std::fs::create_dir(&place)?;
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o777))?;
    let program = place.join("pkttyagent");
    std::fs::write(&program, AGENT)?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    std::fs::copy(std::env::current_exe()?, place.join("application"))?;
    let place = place.to_str().ok_or("the path is not text")?;
    let mut polkit = policy(&bed, &[&format!("{MANAGE}=agent={place}")])?;
    let path = format!("PATH={place}:/usr/bin:/bin");
    let uri = format!("{APPLICATION}={}", bed.uri());
    let words = [&path, &uri, "application"];
    let done = bed.run_as_nobody("env", &words)?;
    equal("success without a terminal", done.ok(), false)?;
    contains(&done.err, "no polkit agent available to authenticate action")?;
    let mut terminal = bed.terminal_as_nobody("env", &words)?;
    for word in ["wrong", "right"] {
        terminal.expect("Password: ", DEADLINE)?;
        terminal.keys(&format!("{word}\n"))?;
        polkit.expect(&format!("typed {word}"), DEADLINE)?;
    }
    terminal.expect("domains:", DEADLINE)?;
    equal("the application's end", terminal.end(DEADLINE)?, Some(0))
}

fn absent() -> Outcome {
    let bed = guarded()?;
    bed.virsh("list")?;
    let done = as_nobody(&bed, &bed.uri())?;
    equal("success without polkit", done.ok(), false)?;
    if bed.is_ours() {
        contains(&done.err, "authentication unavailable: polkit does not answer")?;
    }
    Ok(())
}

fn silent() -> Outcome {
    let bed = guarded()?;
    let words = [format!("{MANAGE}=silence"), format!("{MONITOR}=yes")];
    let mut polkit = policy(&bed, &words.each_ref().map(String::as_str))?;
    let mut waiting = bed.lines_as_nobody("virsh", &["--connect", &bed.uri(), "list"])?;
    polkit.expect(&format!("{MANAGE} 65534 True"), DEADLINE)?;
    let done = promptly(|| as_nobody(&bed, &bed.uri_read_only()))?;
    equal(&done.err, done.ok(), true)?;
    equal("what is told to who was not answered", waiting.seen().join("\n"), String::new())
}
