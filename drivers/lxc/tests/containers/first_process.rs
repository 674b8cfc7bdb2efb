// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a container's first process finds around it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;
use virtus_lxc::blueprint::{Account, Namespace};

use crate::bed::{Bed, run, until, write};
use crate::{Case, Outcome, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("is_process_1_of_its_own_host", is_process_1_of_its_own_host),
    ("finds_the_documented_devices", finds_the_documented_devices),
    ("cannot_change_the_host_through_proc_and_sys", cannot_change_the_host_through_proc_and_sys),
    ("inherits_what_it_is_given_and_nothing_else", inherits_what_it_is_given_and_nothing_else),
    ("is_the_user_that_was_asked_for", is_the_user_that_was_asked_for),
    ("with_an_id_map_its_root_is_nobody_outside", with_an_id_map_its_root_is_nobody_outside),
    ("sees_its_own_group_only", sees_its_own_group_only),
    ("can_share_the_hosts_network_under_an_id_map", can_share_the_hosts_network_under_an_id_map),
];

fn is_process_1_of_its_own_host() -> Outcome {
    let bed = Bed::new(
        "echo $$ $(hostname) $container $(ls /proc | grep -c '^[0-9]') > /out; ip link > /links",
    );
    equal("the container", run(bed.run())?.trim(), "1 box lxc-libvirt 4")?;
    let links = std::fs::read_to_string(bed.root("links")).unwrap();
    contains(&links, "lo: <LOOPBACK,UP")?;
    equal("its network devices", links.lines().count(), 2)
}

fn finds_the_documented_devices() -> Outcome {
    let bed =
        Bed::new("ls -l /dev | tail -n +2 | sed 's/ [A-Z][a-z][a-z] .*[0-9] / /;s/  */ /g' > /out");
    let wanted = "\
lrwxrwxrwx 1 0 0 13 fd -> /proc/self/fd
crw-rw-rw- 1 0 0 1, 7 full
crw-rw-rw- 1 0 0 10, 229 fuse
drwxrwxrwt 2 0 0 40 mqueue
crw-rw-rw- 1 0 0 1, 3 null
lrwxrwxrwx 1 0 0 8 ptmx -> pts/ptmx
drwxr-xr-x 2 0 0 0 pts
crw-rw-rw- 1 0 0 1, 8 random
drwxrwxrwt 2 0 0 40 shm
lrwxrwxrwx 1 0 0 15 stderr -> /proc/self/fd/2
lrwxrwxrwx 1 0 0 15 stdin -> /proc/self/fd/0
lrwxrwxrwx 1 0 0 15 stdout -> /proc/self/fd/1
crw-rw-rw- 1 0 0 5, 0 tty
crw-rw-rw- 1 0 0 1, 9 urandom
crw-rw-rw- 1 0 0 1, 5 zero
";
    equal("/dev", run(bed.run())?.as_str(), wanted)
}

fn cannot_change_the_host_through_proc_and_sys() -> Outcome {
    let bed = Bed::new(
        "for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/uevent_helper /sys/power/state \
         /proc/sys/kernel/modprobe; do [ -e $f ] && (echo x > $f) 2>&1 | sed 's/.*: //'; done | sort -u > /out; \
         echo 1 > /proc/sys/net/ipv4/ip_forward && echo own network: yes >> /out",
    );
    equal("answers", run(bed.run())?.as_str(), "Read-only file system\nown network: yes\n")
}

fn inherits_what_it_is_given_and_nothing_else() -> Outcome {
    let mut bed = Bed::new("cat <&3 > /out; exec sleep 1000");
    let given = bed.beside("given");
    write(&given, "a gift\n");
    run(async {
        let mut spawn = bed.spawn();
        let number = spawn.inherit(std::fs::File::open(&given).unwrap());
        spawn.inherit(std::fs::File::open("/etc/passwd").unwrap());
        bed.blueprint.init.descriptors = vec![number];
        let process = bed.start_with(spawn).await?;
        let init = bed.init().await?;
        until(|| std::fs::read(format!("/proc/{init}/cmdline")).unwrap().starts_with(b"sleep"))
            .await?;
        equal("the gift", bed.out().as_str(), "a gift\n")?;
        let entries = std::fs::read_dir(format!("/proc/{init}/fd")).unwrap().flatten();
        let names: BTreeSet<_> = entries.map(|entry| entry.file_name()).collect();
        equal("descriptors", names, ["0", "1", "2", "3"].map(Into::into).into())?;
        process.signal(Signal::TERM).unwrap();
        bed.ended(&process).await
    })
}

fn is_the_user_that_was_asked_for() -> Outcome {
    let mut bed = Bed::new("id > /tmp/out; grep -i capeff /proc/self/status >> /tmp/out");
    write(&bed.root("etc/passwd"), "root:x:0:0::/:\nalice:x:1000:1000::/:\n");
    bed.blueprint.init.user = Some(Account::Name("alice".into()));
    bed.blueprint.init.group = Some(Account::Id(1001));
    bed.blueprint.init.args =
        vec!["-c".into(), "PATH=/bin; busybox id; exec busybox id > /tmp/out".into()];
    open_to_all(&bed.root("tmp"));
    run(bed.run())?;
    contains(&std::fs::read_to_string(bed.root("tmp/out")).unwrap(), "uid=1000")?;
    contains(&std::fs::read_to_string(bed.root("tmp/out")).unwrap(), "gid=1001")?;
    bed.blueprint.init.user = Some(Account::Name("bob".into()));
    contains(&run(bed.run()).unwrap_err(), "the container has no user 'bob'")
}

fn with_an_id_map_its_root_is_nobody_outside() -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let mut bed = Bed::new(
        "id -u > /out; cat /proc/1/uid_map | tr -s ' ' >> /out; ls -ln /dev/null | cut -c1-20 >> /out; sleep 1000",
    );
    bed.map_ids();
    // Nor may it come here.
    std::fs::set_permissions(bed.beside(""), std::fs::Permissions::from_mode(0o700)).unwrap();
    run(async {
        let process = bed.start().await?;
        bed.says("crw-rw-rw-").await?;
        equal("the container", bed.out().as_str(), "0\n 0 100000 65536\ncrw-rw-rw-    1 0   \n")?;
        // Id-mapped: on the disk it is root's.
        equal("its file", std::fs::metadata(bed.root("out")).unwrap().uid(), 0)?;
        let pid = bed.init().await?;
        let outside = std::fs::metadata(format!("/proc/{pid}")).unwrap().uid();
        equal("its user outside", outside, 100_000)?;
        process.signal(Signal::TERM).unwrap();
        bed.ended(&process).await?;
        bed.left_nothing()
    })
}

fn can_share_the_hosts_network_under_an_id_map() -> Outcome {
    let mut bed =
        Bed::new("readlink /proc/self/ns/net > /out; (: > /sys/x) 2>&1 | sed 's/.*: //' >> /out");
    bed.map_ids();
    bed.blueprint.network = Namespace::Host;
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    equal("the container", run(bed.run())?, format!("{}\nRead-only file system\n", own.display()))
}

fn sees_its_own_group_only() -> Outcome {
    let bed = Bed::new(
        "cut -d: -f3 /proc/self/cgroup | sort -u > /out; ls -d /sys/fs/cgroup/* | wc -l >> /out",
    );
    let out = run(bed.run())?;
    equal("its groups", out.lines().next(), Some("/"))
}

/// Anybody may write there.
fn open_to_all(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}
