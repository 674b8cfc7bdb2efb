// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hosts that have version 2 of control groups and nothing else. This machine may be no such host, so a guest is one,
//! with our daemon of containers in it; `tests/guest/cgroup2.sh` is what happens there.

use std::process::Command;

use virtus_tests::{DEADLINE, Guest, Outcome, Testbed, built_program};

use crate::{Case, equal};

pub(crate) const CASES: &[Case] = &[("limits_of_containers_hold", limits_hold)];

fn limits_hold() -> Outcome {
    let bed = Testbed::new()?;
    let archive = bed.path("host.tar");
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pack = Command::new(tests.join("guest/pack.sh"));
    pack.arg(&archive).arg(format!("{}=/check", tests.join("guest/cgroup2.sh").display()));
    for name in ["virtlxcd", "libvirt_lxc"] {
        pack.arg(format!("{}=/bin/{name}", built_program(name)?.display()));
    }
    let packed = pack.arg("/usr/bin/virsh=/bin/virsh").output()?;
    equal("packing", String::from_utf8_lossy(&packed.stderr).as_ref(), "")?;
    let disk = format!(
        "<disk type='file'><driver name='qemu' type='raw'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/><readonly/></disk>",
        archive.display()
    );
    bed.define(&Guest::linux("host")?.memory(512).device(&disk))?;
    bed.virsh("start host")?;
    let mut console = bed.terminal("console host")?;
    console.expect("guest# ", DEADLINE)?;
    console.keys(
        "mkdir host; mount -t tmpfs host host; tar -x -f /dev/vda -C host; sh host/check\n",
    )?;
    // Every step has a deadline of its own there.
    console.expect("all limits hold", 3 * DEADLINE).map(drop)
}
