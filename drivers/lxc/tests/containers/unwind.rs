// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A start that fails, at each of its steps, says so and leaves nothing.

use virtus_lxc::blueprint::{Account, DeviceNode, IdRange, Link, Mount, Namespace, Source};

use crate::bed::{Bed, run, until, write};
use crate::{Case, Outcome, contains, equal};

pub(crate) const CASES: &[Case] = &[(
    "each_step_says_what_failed_and_leaves_nothing",
    each_step_says_what_failed_and_leaves_nothing,
)];

/// What is wrong, and what is said of it.
type Fault = (fn(&mut Bed), &'static str);

const FAULTS: &[Fault] = &[
    (|bed| bed.blueprint.socket = "/nowhere/socket".into(), "cannot listen at '/nowhere/socket'"),
    (|bed| bed.blueprint.staging = "/nowhere".into(), "mount the root file system on '/nowhere'"),
    (|bed| bed.blueprint.root.source = folder("/nowhere"), "cannot bind '/nowhere': No such file"),
    (|bed| bed.blueprint.root.source = folder("/etc/passwd"), "mount the root file system"),
    (
        |bed| bed.blueprint.root.source = Source::Block("/nowhere".into()),
        "open the disk '/nowhere'",
    ),
    (|bed| bed.blueprint.mounts.push(mount("/nowhere", "/data")), "cannot bind '/nowhere'"),
    (|bed| bed.blueprint.mounts.push(mount("/etc", "/bin/busybox/x")), "put a folder in its place"),
    (|bed| bed.blueprint.mounts.push(mount("/etc", "/proc/x")), "'/proc/x' is the container's own"),
    (|bed| bed.blueprint.devices.push(null("null")), "make the device file '/dev/null'"),
    (|bed| bed.blueprint.limits.cpus = Some("nonsense".into()), "'nonsense'"),
    (|bed| bed.blueprint.limits.memory_nodes = Some("99".into()), "cpuset.mems"),
    (|bed| bed.blueprint.links.push(link()), "move network device 'nosuchlink'"),
    (|bed| bed.blueprint.network = Namespace::Shared(999), "enter the shared namespace 'net'"),
    (|bed| bed.blueprint.consoles.push(999), "the host's end of a console"),
    (|bed| bed.blueprint.hostname = Some("x".repeat(65)), "set the host name"),
    (
        |bed| bed.blueprint.init.program = "/bin/nothing".into(),
        "run the container's '/bin/nothing'",
    ),
    (|bed| bed.blueprint.init.program = "/etc".into(), "run the container's '/etc'"),
    (|bed| bed.blueprint.init.program = "/etc/text".into(), "run the container's '/etc/text'"),
    (
        |bed| bed.blueprint.init.folder = Some("/none".into()),
        "enter the container's folder '/none'",
    ),
    (
        |bed| bed.blueprint.init.user = Some(Account::Name("bob".into())),
        "the container's '/etc/passwd'",
    ),
    (|bed| bed.blueprint.label = Some("no label".into()), "set the security label 'no label'"),
    (
        |bed| {
            bed.map_ids();
            let map = bed.blueprint.id_map.as_mut().unwrap();
            map.users.push(IdRange { inside: 5, outside: 7, count: 1 });
        },
        "write the container's id map",
    ),
];

fn each_step_says_what_failed_and_leaves_nothing() -> Outcome {
    for (number, (fault, said)) in FAULTS.iter().enumerate() {
        let mut bed = Bed::new("echo ran > /out");
        write(&bed.root("etc/text"), "no program");
        make_executable(&bed.root("etc/text"));
        fault(&mut bed);
        let error = match run(bed.run()) {
            Ok(_) => return Err(format!("fault {number} ({said}) was not noticed")),
            Err(error) => error,
        };
        contains(&error, said)?;
        run(until(|| bed.log().contains(said) && bed.left_nothing().is_ok()))?;
        equal("what ran", bed.out().as_str(), "")?;
    }
    Ok(())
}

fn folder(path: &str) -> Source {
    Source::Bind { path: path.into(), recursive: false }
}

fn mount(source: &str, target: &str) -> Mount {
    Mount { source: folder(source), target: target.into(), read_only: false, id_mapped: false }
}

fn null(path: &str) -> DeviceNode {
    DeviceNode {
        path: path.into(),
        block: false,
        major: 1,
        minor: 3,
        mode: 0o666,
        read_only: false,
        held: None,
    }
}

fn link() -> Link {
    Link {
        host_name: "nosuchlink".into(),
        of_host: false,
        name: "eth0".into(),
        mac: None,
        addresses: Vec::new(),
        routes: Vec::new(),
        up: true,
    }
}

fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
