// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Many guests: the daemon stays quick and forgets none.

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed, promptly, wait_for};

use crate::{Case, equal};

pub(crate) const CASES: &[Case] = &[("two_hundred_defined_and_twenty_running", many)];

const DEFINED: usize = 200;
const RUNNING: usize = 20;

fn many() -> Outcome {
    let mut bed = Testbed::new()?;
    let mut script = String::new();
    for number in 0..DEFINED {
        let guest = Guest::firmware(&format!("many-{number}"));
        let file = bed.write(&format!("many-{number}.xml"), &guest.xml())?;
        script += &format!("define {file}; ");
    }
    bed.virsh_words(&[script])?;
    equal("defined", count(&bed, "list --all --name")?, DEFINED)?;
    let starts: String =
        (0..RUNNING).map(|number| format!("start many-{number} --paused; ")).collect();
    bed.virsh_words(&[starts])?;
    equal("running", count(&bed, "list --name")?, RUNNING)?;

    promptly(|| bed.try_virsh("list --all"))?;
    equal("with statistics", bed.virsh("domstats --state")?.matches("Domain: ").count(), DEFINED)?;

    bed.kill9()?;
    bed.start()?;
    equal("defined after a kill", count(&bed, "list --all --name")?, DEFINED)?;
    wait_for("all guests to be taken over", DEADLINE, || {
        Ok(count(&bed, "list --name")? == RUNNING)
    })?;
    let resumes: String = (0..RUNNING)
        .map(|number| format!("resume many-{number}; destroy many-{number}; "))
        .collect();
    bed.virsh_words(&[resumes])?;
    equal("running at the end", count(&bed, "list --name")?, 0)?;
    equal("defined at the end", count(&bed, "list --inactive --name")?, DEFINED)
}

fn count(bed: &Testbed, line: &str) -> Outcome<usize> {
    Ok(bed.virsh(line)?.lines().filter(|line| !line.is_empty()).count())
}
