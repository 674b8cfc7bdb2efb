// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cgroups of hosts on paper, and of this one.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::process::Spawn;

const HYBRID_MOUNTS: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/mem\\040ory rw - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:39 / /tmp rw - tmpfs tmpfs rw";

#[test]
fn hybrid_hosts_are_understood() {
    let cgroups = Cgroups::from_mounts(HYBRID_MOUNTS, |_| "hugetlb".to_owned());
    let tops: Vec<&Path> = cgroups.hierarchies.iter().map(|h| h.top.as_path()).collect();
    let expected = ["cpu", "mem ory", "systemd", "unified"];
    assert_eq!(tops, expected.map(|name| Path::new("/sys/fs/cgroup").join(name)));
    assert!(cgroups.has(Controller::Cpu) && cgroups.has(Controller::Memory));
    assert!(!cgroups.has(Controller::Blkio));
    let error = cgroups.group("x").part(Controller::Blkio).unwrap_err();
    assert_eq!(error.text(), "cgroup blkio controller is not mounted");
}

#[test]
fn pure_version_2_and_containers_are_understood() {
    let mounts = "30 23 0:26 /svc /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
    let cgroups = Cgroups::from_mounts(mounts, |top| {
        assert_eq!(top, Path::new("/sys/fs/cgroup"));
        "cpuset cpu io memory pids".to_owned()
    });
    for controller in [Controller::Cpu, Controller::Cpuacct, Controller::Blkio] {
        assert!(cgroups.has(controller), "{controller:?}");
    }
    assert!(!cgroups.has(Controller::Devices));
}

#[test]
fn names_of_groups_are_short_and_plain() {
    assert_eq!(machine_group("qemu", 3, "vm1"), "machine/qemu-3-vm1.libvirt-qemu");
    assert_eq!(machine_group("qemu", 3, "a/b ü"), "machine/qemu-3-a-b--.libvirt-qemu");
}

#[tokio::test]
async fn a_process_is_put_limited_counted_and_let_go() {
    let cgroups = Cgroups::detect();
    let name = format!("virtus-test-{}/machine", std::process::id());
    let group = cgroups.group(&name);
    let Ok(group) = group.make() else {
        eprintln!("skipped: cgroups cannot be made here");
        return;
    };
    let mut spawn = Spawn::new("sleep").arg("60");
    for file in group.procs_files() {
        spawn = spawn.cgroup(file);
    }
    let process = spawn.start().await.unwrap();
    let own = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid())).unwrap();
    assert!(own.contains(&name), "{own}");
    let thread = group.child("vcpu0").make_for_threads().unwrap();
    thread.put_thread(process.pid()).unwrap();
    if group.has(Controller::Cpu) {
        group.set_cpu_shares(512).unwrap();
        assert_eq!(group.cpu_shares().unwrap(), 512);
        let limit = CpuQuota { period: 50_000, quota: Some(25_000) };
        group.set_cpu_quota(limit).unwrap();
        assert_eq!(group.cpu_quota().unwrap(), limit);
        group.set_cpu_quota(CpuQuota { period: 50_000, quota: None }).unwrap();
        assert_eq!(group.cpu_quota().unwrap().quota, None);
    }
    if group.has(Controller::Memory) {
        assert_eq!(group.memory_limit().unwrap(), UNLIMITED);
        group.set_memory_limit(64 << 20).unwrap();
        assert_eq!(group.memory_limit().unwrap(), 64 << 20);
        group.memory_usage().unwrap();
    }
    if group.has(Controller::Cpuacct) {
        assert!(group.cpu_usage().unwrap().total < Duration::from_secs(60));
    }
    assert!(group.exists());
    process.signal(rustix::process::Signal::KILL).unwrap();
    process.exited().await;
    group.remove().unwrap();
    cgroups.group(&format!("virtus-test-{}", std::process::id())).remove().unwrap();
    assert!(!group.exists());
}
