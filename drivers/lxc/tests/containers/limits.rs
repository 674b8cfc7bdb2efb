// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Limits that bite.

use rustix::process::Signal;
use virtus_lxc::blueprint::Capability;

use crate::bed::{Bed, run, until};
use crate::{Case, Outcome, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_memory_hog_is_killed_inside", a_memory_hog_is_killed_inside),
    ("meminfo_shows_the_limit", meminfo_shows_the_limit),
    ("processes_are_counted", processes_are_counted),
    ("a_frozen_container_stands_still", a_frozen_container_stands_still),
    ("devices_are_those_that_are_allowed", devices_are_those_that_are_allowed),
    ("its_root_cannot_lift_them", its_root_cannot_lift_them),
];

fn a_memory_hog_is_killed_inside() -> Outcome {
    let mut bed = Bed::new("(tail /dev/zero); echo hog: $? > /out; sleep 1000");
    bed.blueprint.limits.memory = Some(32 << 20);
    run(async {
        let process = bed.start().await?;
        bed.says("hog: 137").await?;
        process.signal(Signal::TERM).unwrap();
        bed.ended(&process).await?;
        bed.left_nothing()
    })
}

fn meminfo_shows_the_limit() -> Outcome {
    let mut bed = Bed::new("cat /proc/meminfo > /out");
    bed.blueprint.limits.memory = Some(64 << 20);
    contains(&run(bed.run())?, "MemTotal:          65536 kB")?;
    bed.map_ids();
    contains(&run(bed.run())?, "MemTotal:          65536 kB")
}

fn processes_are_counted() -> Outcome {
    let mut bed = Bed::new("for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo all > /out");
    bed.blueprint.limits.processes = Some(5);
    equal("it got on", run(bed.run())?.contains("all"), false)
}

fn a_frozen_container_stands_still() -> Outcome {
    let bed = Bed::new("i=0; while :; do i=$((i+1)); echo $i > /out; usleep 1000; done");
    run(async {
        let process = bed.start().await?;
        bed.says("20").await?;
        let group = bed.group();
        group.freeze().map_err(|error| error.to_string())?;
        until(|| group.is_frozen().unwrap()).await?;
        let then = bed.out();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        equal("the counter", bed.out(), then.clone())?;
        // The controller is not in it.
        let mut monitor = bed.monitor().await?;
        equal("its controller answers", Bed::next(&mut monitor).await?.is_some(), true)?;
        group.thaw().map_err(|error| error.to_string())?;
        until(|| bed.out() != then && !bed.out().is_empty()).await?;
        group.freeze().map_err(|error| error.to_string())?;
        // Even what is frozen can be ended.
        process.signal(Signal::TERM).unwrap();
        bed.ended(&process).await?;
        bed.left_nothing()
    })
}

const OPEN: &str = "mknod /tmp/disk b 7 0 2>&1; mknod /tmp/port c 1 4 2>&1; mknod /tmp/null c 1 3; \
                    (: < /tmp/disk) 2>&1; (: < /tmp/port) 2>&1; : > /tmp/null && echo null: yes";

fn devices_are_those_that_are_allowed() -> Outcome {
    let mut bed = Bed::new(&format!("exec > /out 2>&1; {OPEN}"));
    let refused = "Operation not permitted";
    let out = run(bed.run())?;
    equal("without the capability", out.matches(refused).count(), 3)?;
    bed.blueprint.capabilities.insert(Capability::Mknod);
    let out = run(bed.run())?;
    equal("with it", out.matches(refused).count(), 2)?;
    contains(&out, "null: yes")
}

fn its_root_cannot_lift_them() -> Outcome {
    let mut bed = Bed::new(
        "exec > /out 2>&1; for d in /sys/fs/cgroup /sys/fs/cgroup/*; do cd $d; \
         echo a > devices.allow; echo 1000000000 > memory.limit_in_bytes; echo max > memory.max; done 2>/dev/null; cd /; \
         mknod /tmp/disk b 7 0; (: < /tmp/disk); (tail /dev/zero); echo hog: $?",
    );
    bed.blueprint.capabilities.insert(Capability::Mknod);
    bed.blueprint.limits.memory = Some(32 << 20);
    let out = run(bed.run())?;
    contains(&out, "hog: 137")?;
    contains(&out, "Operation not permitted")
}
