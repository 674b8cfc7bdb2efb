// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events reach clients once, in order, and only those who asked.

use virtus_tests::{DEADLINE, Guest, Lines, Options, Outcome, Testbed};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_life_is_told_in_order", told_in_order),
    ("a_guests_own_shutdown_and_reboot_are_told", guests_own_doing),
    ("a_registration_for_one_domain_hears_of_no_other", one_domain_only),
    ("virsh_event_prints_what_happens", virsh_event),
    ("each_registration_hears_its_own", each_its_own),
    ("networks_tell_of_their_metadata", network_metadata),
    ("the_bindings_calls_agree_with_each_other", calls_agree),
];

/// The next lifecycle event must be this one: `event` as events.py prints it, for instance `started 0`.
pub(crate) fn next(events: &mut Lines, guest: &str, event: &str) -> Outcome {
    let line = events.expect("lifecycle ", DEADLINE)?;
    equal("next event", line, format!("lifecycle {guest} {event}"))
}

fn told_in_order() -> Outcome {
    let bed = Testbed::new()?;
    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    bed.define(&Guest::firmware("told"))?;
    next(&mut events, "told", "defined 0")?;
    bed.define(&Guest::firmware("told").head("<uuid>7e57ab1e-0000-4000-8000-000000000001</uuid>"))
        .err()
        .ok_or("a second UUID for one name was taken")?;
    bed.virsh("start told")?;
    next(&mut events, "told", "resumed 0")?;
    next(&mut events, "told", "started 0")?;
    bed.virsh("suspend told")?;
    next(&mut events, "told", "suspended 0")?;
    bed.virsh("resume told")?;
    next(&mut events, "told", "resumed 0")?;
    bed.virsh("destroy told")?;
    // QEMU may tell of its own end first (shutdown, by the host).
    events.expect("lifecycle told stopped 1", DEADLINE)?;
    bed.virsh("undefine told")?;
    next(&mut events, "told", "undefined 0")?;
    events.say("")?;
    equal("close", events.expect("closed", DEADLINE)?, "closed 0".to_owned())
}

fn guests_own_doing() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::linux("doer")?)?;
    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    bed.virsh("start doer")?;
    let mut console = bed.terminal("console doer")?;
    console.expect("guest# ", DEADLINE)?;
    console.keys("reboot -f\n")?;
    events.expect("reboot doer", DEADLINE)?;
    console.expect("virtus-guest: up", DEADLINE)?;
    console.expect("guest# ", DEADLINE)?;
    console.keys("poweroff -f\n")?;
    events.expect("lifecycle doer shutdown 1", DEADLINE)?;
    next(&mut events, "doer", "stopped 0")
}

fn one_domain_only() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("watched"))?;
    bed.define(&Guest::firmware("other"))?;
    contains(&bed.python_done("one_domain_events.py", &["watched", "other"])?, "only its own")
}

fn virsh_event() -> Outcome {
    let bed = Testbed::new()?;
    let guest = Guest::firmware("heard").head("<uuid>7e57ab1e-0000-4000-8000-000000000003</uuid>");
    bed.define(&guest)?;
    let mut events = bed.virsh_lines("event --all --loop")?;
    let updated = "event 'lifecycle' for domain 'heard': Defined Updated";
    events.hears(updated, || bed.define(&guest).map(drop))?;
    bed.virsh("start heard")?;
    events.expect("event 'lifecycle' for domain 'heard': Started Booted", DEADLINE)?;
    bed.virsh("destroy heard")?;
    events.expect("event 'lifecycle' for domain 'heard': Stopped Destroyed", DEADLINE).map(drop)
}

/// The daemon with the test driver, and the driver's URI.
fn world() -> Outcome<(Testbed, String)> {
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    let uri = bed.uri_of("test", "/default");
    Ok((bed, uri))
}

fn each_its_own() -> Outcome {
    let (bed, uri) = world()?;
    let who = if bed.is_ours() { "ours" } else { "stock" };
    contains(&bed.python_done("registrations.py", &[&uri, who])?, "each heard its own")
}

/// The bindings know only one kind of event of networks; virsh knows both.
fn network_metadata() -> Outcome {
    let (bed, uri) = world()?;
    let mut events =
        bed.virsh_lines(&format!("-c {uri} net-event --event metadata-change --loop"))?;
    let mut rounds = 0..;
    events.hears("event 'metadata-change' for network default: type title", || {
        let round = rounds.next().unwrap_or(0);
        bed.virsh(&format!("-c {uri} net-desc default --title 'a{round}'")).map(drop)
    })
}

fn calls_agree() -> Outcome {
    let bed = Testbed::new()?;
    bed.define(&Guest::firmware("walked"))?;
    contains(&bed.python_done("calls.py", &["walked"])?, "all calls agree")
}
