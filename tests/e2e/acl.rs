// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Access control of each object (`access_drivers`): what a user may see and do, by a polkit of the test's own.

use virtus_tests::{DEADLINE, Done, Guest, Lines, Options, Outcome, Testbed, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("lists_and_lookups_show_what_a_user_may_see", sees),
    ("calls_are_refused_object_by_object", does),
    ("cve_2021_3667_cve_2023_3750_a_refused_lookup_leaves_nothing_locked", refused_lookups),
    ("events_tell_a_user_of_what_it_may_see", hears),
    ("an_authority_is_not_asked_twice_in_a_moment", asked_once),
    ("an_authority_that_does_not_answer_refuses_and_delays_nobody", silent),
    ("without_polkit_only_root_may_do_anything", absent),
    ("a_reload_puts_up_the_gate_and_takes_it_away", reloaded),
];

const REFUSED: &str = "access denied: 'QEMU' denied access";

/// A daemon at whose socket everybody may call and polkit decides about the rest by these words, with two guests.
fn guarded(words: &[&str]) -> Outcome<(Testbed, Lines)> {
    let mut bed = unstarted()?;
    let path = bed.path("bus");
    let path = path.to_str().ok_or("the path is not text")?;
    // The stock daemon looks for the bus once, when it starts.
    let mut polkit = bed.python("polkit.py", &[&[path], words].concat())?;
    polkit.expect("ready", DEADLINE)?;
    bed.start()?;
    for name in ["mine", "yours"] {
        bed.define(&Guest::firmware(name))?;
    }
    Ok((bed, polkit))
}

fn unstarted() -> Outcome<Testbed> {
    Testbed::without_daemon(&Options {
        daemon: Some("libvirtd"),
        daemon_conf: "unix_sock_rw_perms = \"0777\"\naccess_drivers = [ \"polkit\" ]\n".to_owned(),
        ..Options::default()
    })
}

/// A user who has all permissions on the connection, and on what is called `mine`.
const MINE: [&str; 2] = ["org.libvirt.api.connect.*=yes", "org.libvirt.api.*@mine=yes"];

fn as_nobody(bed: &Testbed, words: &[&str]) -> Outcome<Done> {
    bed.virsh_as_nobody(&bed.uri(), words)
}

fn succeeds(bed: &Testbed, words: &[&str]) -> Outcome<String> {
    let done = as_nobody(bed, words)?;
    if done.ok() { Ok(done.out) } else { Err(format!("{words:?}: {}", done.err).into()) }
}

fn refused(bed: &Testbed, words: &[&str]) -> Outcome {
    let done = as_nobody(bed, words)?;
    equal(&format!("success of {words:?}: {}", done.out), done.ok(), false)?;
    contains(&done.err, REFUSED)
}

fn sees() -> Outcome {
    let (bed, mut polkit) = guarded(&MINE)?;
    equal("root's guests", bed.virsh("list --all --name")?.lines().count(), 2)?;
    equal("guests", succeeds(&bed, &["list", "--all", "--name"])?.trim(), "mine")?;
    let uuid = bed.virsh("domuuid mine")?;
    polkit
        .expect(&format!("org.libvirt.api.domain.getattr 65534 True QEMU mine {uuid}"), DEADLINE)?;
    let stats = succeeds(&bed, &["domstats", "--state"])?;
    equal("statistics", stats.matches("Domain:").count(), 1)?;
    contains(&stats, "'mine'")?;
    contains(&succeeds(&bed, &["dominfo", "mine"])?, &uuid)?;
    for hidden in ["yours", &bed.virsh("domuuid yours")?] {
        let done = as_nobody(&bed, &["dominfo", hidden])?;
        equal(&done.out, done.ok(), false)?;
        contains(&done.err, &format!("failed to get domain '{hidden}'"))?;
    }
    // virsh does not say why, and knows the new calls.
    let script = bed.write("looks.py", include_str!("python/looks.py"))?;
    let words = [&script, &bed.uri(), "mine", "yours", "theirs"];
    let done = bed.run_as_nobody("/usr/bin/python3", &words)?;
    let lines: Vec<&str> = done.out.lines().collect();
    let [defined, active, mine, yours, theirs] = lines[..] else { return Err(done.err.into()) };
    equal("defined and active", (defined, active), ("1 ['mine']", "0 []"))?;
    equal("found", mine, uuid.as_str())?;
    contains(yours, &format!("88 55 {REFUSED}"))?;
    contains(theirs, "42 10 Domain not found")
}

fn does() -> Outcome {
    let rules = ["org.libvirt.api.domain.delete=no", "org.libvirt.api.domain.read-secure=no"];
    let (bed, _polkit) = guarded(&[&rules[..], &MINE].concat())?;
    succeeds(&bed, &["start", "mine"])?;
    succeeds(&bed, &["setmem", "mine", "--config", "16384"])?;
    succeeds(&bed, &["dumpxml", "mine"])?;
    refused(&bed, &["dumpxml", "mine", "--security-info"])?;
    refused(&bed, &["undefine", "mine"])?;
    succeeds(&bed, &["destroy", "mine"])?;
    // Documents: the name in them counts.
    let define = |name: &str| {
        let document = bed.virsh("dumpxml mine").map(|xml| {
            let kept = xml.lines().filter(|line| !line.contains("<uuid>"));
            kept.collect::<String>().replace("<name>mine</name>", &format!("<name>{name}</name>"))
        });
        bed.write("new.xml", &document?)
    };
    refused(&bed, &["define", &define("theirs")?])?;
    equal("guests", bed.virsh("list --all --name")?.lines().count(), 2)?;
    let mine = bed.virsh("dumpxml mine")?;
    succeeds(&bed, &["define", &bed.write("mine.xml", &mine)?])?;
    if !bed.is_ours() {
        // That daemon has no other driver here.
        return Ok(());
    }
    // No driver repeats the gate: secrets of the same daemon are behind it too.
    let secret = "<secret><usage type='ceph'><name>mine</name></usage></secret>";
    succeeds(&bed, &["secret-define", &bed.write("secret.xml", secret)?])?;
    let secret = secret.replace("mine", "yours");
    let secret = bed.write("secret.xml", &secret)?;
    refused(&bed, &["secret-define", &secret])?;
    bed.virsh(&format!("secret-define {secret}"))?;
    let list = succeeds(&bed, &["secret-list"])?;
    equal("secrets", (list.contains("mine"), list.contains("yours")), (true, false))
}

/// CVE-2021-3667, CVE-2023-3750: a lookup that was refused, of a pool by its path, or one among many that were searched,
/// kept the pool locked for ever.
fn refused_lookups() -> Outcome {
    let (bed, _polkit) = guarded(&["org.libvirt.api.connect.*=yes"])?;
    if !bed.is_ours() {
        return Err(
            Skip("stock libvirtd has no access control in its test driver".to_owned()).into()
        );
    }
    let uri = bed.uri_of("test", "/default");
    let script = bed.write("lookups.py", include_str!("python/refused_lookups.py"))?;
    let mut stranger = bed.lines_as_nobody("/usr/bin/python3", &[&script, &uri])?;
    stranger.expect("ready", DEADLINE)?;
    let world = |line: &str| bed.virsh_words(&["-c", &uri, line].map(str::to_owned));
    world("vol-create-as default-pool mine 4096")?;
    let uuids = world("domuuid test; net-uuid default; pool-uuid default-pool")?.out;
    stranger.say(&uuids.split_whitespace().collect::<Vec<_>>().join(" "))?;
    equal("lookups", stranger.expect("refused", DEADLINE)?.as_str(), "refused 42")?;
    for line in [
        "pool-refresh default-pool; vol-delete --pool default-pool mine",
        "pool-destroy default-pool; pool-undefine default-pool",
        "net-destroy default; net-undefine default",
        "iface-destroy eth1; iface-undefine eth1",
        "nodedev-dumpxml scsi_host1",
        "suspend test; destroy test; undefine test",
    ] {
        let done = world(line)?;
        equal(&format!("{line}: {}", done.err), done.err.as_str(), "")?;
    }
    Ok(())
}

fn hears() -> Outcome {
    let (bed, mut polkit) = guarded(&MINE)?;
    let uri = bed.uri();
    let words = ["--connect", &uri, "event", "--event", "lifecycle", "--loop"];
    let mut heard = bed.lines_as_nobody("virsh", &words)?;
    // Registered: what it takes has been asked.
    polkit.expect("org.libvirt.api.connect.search-domains 65534 True", DEADLINE)?;
    for name in ["yours", "mine"] {
        bed.virsh(&format!("start {name}"))?;
    }
    let line = heard.expect("Started", DEADLINE)?;
    contains(&line, "'mine'")?;
    bed.virsh("undefine yours")?;
    bed.virsh("destroy mine")?;
    contains(&heard.expect("Stopped", DEADLINE)?, "'mine'")?;
    let all = heard.seen().join("\n");
    equal(&format!("events of another's guest: {all}"), all.contains("yours"), false)
}

fn asked_once() -> Outcome {
    let (bed, mut polkit) = guarded(&MINE)?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd asks for each call".to_owned()).into());
    }
    succeeds(&bed, &["dominfo mine; dominfo mine; domstate mine; list --all; list --all"])?;
    polkit.expect("domain.getattr 65534 True QEMU yours", DEADLINE)?;
    let looks = |name: &str, lines: &[String]| {
        let asked = format!("domain.getattr 65534 True QEMU {name} ");
        lines.iter().filter(|line| line.contains(&asked)).count()
    };
    let lines = polkit.seen();
    equal("questions", (looks("mine", lines), looks("yours", lines)), (1, 1))
}

fn silent() -> Outcome {
    let rules = ["org.libvirt.api.domain.*=silence", "org.libvirt.api.connect.*=yes"];
    let (bed, mut polkit) = guarded(&rules)?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd waits for 25 s, with a worker each".to_owned()).into());
    }
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| as_nobody(&bed, &["list", "--all"]).map_err(|e| e.to_string()));
        polkit.expect("org.libvirt.api.domain.getattr 65534 True", DEADLINE)?;
        let done = bed.try_virsh("list --all")?;
        equal(&done.err, done.ok(), true)?;
        equal("served while the other waits", waiting.is_finished(), false)?;
        let waited = waiting.join().map_err(|_| "the waiting client's thread failed")??;
        equal("success of who was not answered", waited.ok(), false)?;
        contains(&waited.err, REFUSED)
    })
}

fn absent() -> Outcome {
    let mut bed = unstarted()?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd refuses root too".to_owned()).into());
    }
    bed.start()?;
    bed.virsh("list --all")?;
    refused(&bed, &["list", "--all"])?;
    contains(&bed.log(), "polkit does not answer")
}

fn reloaded() -> Outcome {
    let open = "unix_sock_rw_perms = \"0777\"\n";
    let bed = Testbed::with(&Options { daemon_conf: open.to_owned(), ..Options::default() })?;
    if !bed.is_ours() {
        return Err(Skip("stock libvirtd reads its configuration once".to_owned()).into());
    }
    let list = || as_nobody(&bed, &["list", "--all"]);
    equal("success before", list()?.ok(), true)?;
    let reload = |conf: &str| {
        bed.write("etc/libvirt/virtqemud.conf", conf)?;
        bed.signal("HUP", bed.daemon_pid()?)
    };
    reload(&format!("{open}access_drivers = [ \"polkit\" ]\n"))?;
    wait_for("the gate", DEADLINE, || Ok(list()?.err.contains(REFUSED)))?;
    equal("a word about sockets", bed.log().contains("next start"), false)?;
    reload("unix_sock_rw_perms = \"0700\"\n")?;
    wait_for("the gate's end", DEADLINE, || Ok(list()?.ok()))?;
    contains(
        &bed.log(),
        "virtqemud.conf: what it says now of sockets waits for virtqemud's next start",
    )
}
