// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Many containers: started at once, left by their daemon, found by the next.

use std::collections::BTreeSet;

use virtus_tests::{Container, DEADLINE, Outcome, Testbed, wait_for};

use crate::{Case, equal};

pub(crate) const CASES: &[Case] = &[("twenty_start_at_once_and_outlive_their_daemon", outlive)];

const FLEET: usize = 20;

/// Counts once a second, so that many of them do not keep the machine busy.
const INIT: &str = "<init>/bin/sh</init><initarg>-c</initarg><initarg>trap 'exit 0' TERM; i=0
    while :; do i=$((i+1)); echo $i >/count; sleep 1 &amp; wait $!; done</initarg>";

fn outlive() -> Outcome {
    let mut bed = Testbed::of_containers()?;
    let names: BTreeSet<String> = (0..FLEET).map(|number| format!("box{number}")).collect();
    for name in &names {
        bed.define_container(&Container::busybox(&bed, name)?.init(INIT))?;
    }
    at_once(&bed, "start", &names)?;
    equal("running", listed(&bed)?, names.clone())?;
    all_count_on(&bed, &names)?;
    let ids = ids(&bed, &names)?;

    bed.kill9()?;
    all_count_on(&bed, &names)?;
    bed.start()?;
    wait_for("all of them to be known again", DEADLINE, || Ok(listed(&bed)? == names))?;
    equal("ids", self::ids(&bed, &names)?, ids)?;
    all_count_on(&bed, &names)?;

    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    at_once(&bed, "shutdown", &names)?;
    let mut ended = BTreeSet::new();
    while ended.len() < FLEET {
        let line = events.expect(" stopped 0", DEADLINE)?;
        ended.extend(line.split(' ').nth(1).map(str::to_owned));
    }
    equal("told of", ended, names)?;
    equal("running at the end", listed(&bed)?, BTreeSet::new())
}

/// One client for each container, all at the same time.
fn at_once(bed: &Testbed, command: &str, names: &BTreeSet<String>) -> Outcome {
    let failures: Vec<String> = std::thread::scope(|scope| {
        let run = |name: &String| {
            let line = format!("{command} {name}");
            scope.spawn(move || bed.virsh(&line).err().map(|error| error.to_string()))
        };
        let clients: Vec<_> = names.iter().map(run).collect();
        let panicked = |_| Some(format!("a client panicked at '{command}'"));
        clients.into_iter().filter_map(|client| client.join().unwrap_or_else(panicked)).collect()
    });
    equal(command, failures, Vec::new())
}

fn listed(bed: &Testbed) -> Outcome<BTreeSet<String>> {
    let names = bed.virsh("list --name")?;
    Ok(names.lines().filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn ids(bed: &Testbed, names: &BTreeSet<String>) -> Outcome<Vec<String>> {
    names.iter().map(|name| bed.virsh(&format!("domid {name}"))).collect()
}

fn all_count_on(bed: &Testbed, names: &BTreeSet<String>) -> Outcome {
    let counts = || names.iter().map(|name| bed.count_of(name)).collect::<Outcome<Vec<_>>>();
    let before = counts()?;
    wait_for("all of them to count", DEADLINE, || {
        Ok(counts()?.iter().zip(&before).all(|(now, before)| now > before))
    })
}
