// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Known ways out of a container, each tried for real.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat};
use virtus_host::process::Spawn;
use virtus_lxc::launch::Starting;

use crate::bed::{Bed, run, until, write};
use crate::{Case, Outcome, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("the_controllers_program_cannot_be_written", the_controllers_program_cannot_be_written),
    ("the_controller_cannot_be_init", the_controller_cannot_be_init),
    ("release_agents_are_out_of_reach", release_agents_are_out_of_reach),
    ("the_hosts_files_are_out_of_reach", the_hosts_files_are_out_of_reach),
    ("calls_that_change_the_kernel_are_refused", calls_that_change_the_kernel_are_refused),
    ("nothing_of_the_host_is_open_in_it", nothing_of_the_host_is_open_in_it),
    ("devices_of_the_host_are_out_of_reach", devices_of_the_host_are_out_of_reach),
    ("knobs_of_the_kernel_cannot_be_turned", knobs_of_the_kernel_cannot_be_turned),
];

fn the_controllers_program_cannot_be_written() -> Outcome {
    let bed = Bed::new("");
    let program = bed.beside("controller");
    std::fs::copy(env!("CARGO_BIN_EXE_libvirt_lxc"), &program).unwrap();
    run(async {
        let starting = Starting::begin(Spawn::new(&program), &bed.blueprint).await;
        let starting = starting.map_err(|error| error.to_string())?;
        // Init is still a copy of the controller: what runs in the container could get hold of this.
        let path = format!("/proc/{}/exe", starting.init);
        let held = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        drop(starting);
        until(|| !bed.group().exists()).await?;
        // While somebody runs it the answer is another one.
        let written =
            || OpenOptions::new().write(true).open(format!("/proc/self/fd/{}", held.as_raw_fd()));
        let busy = ErrorKind::ExecutableFileBusy;
        until(|| !written().is_err_and(|error| error.kind() == busy)).await?;
        equal(
            "the answer",
            written().map_err(|e| e.kind()).err(),
            Some(ErrorKind::ReadOnlyFilesystem),
        )?;
        equal("on the host", OpenOptions::new().write(true).open(&program).is_ok(), true)
    })
}

fn the_controller_cannot_be_init() -> Outcome {
    let mut bed = Bed::new("");
    symlink("/proc/self/exe", bed.root("bin/init")).unwrap();
    bed.blueprint.init.program = "/bin/init".into();
    contains(&run(bed.run()).unwrap_err(), "run the container's '/bin/init'")?;
    bed.left_nothing()
}

fn release_agents_are_out_of_reach() -> Outcome {
    let mut bed = Bed::new(
        "exec > /out 2>&1; mkdir /tmp/g; for c in memory cpu pids freezer; do mount -t cgroup -o $c x /tmp/g && \
         { mkdir -p /tmp/g/sub; echo 1 > /tmp/g/sub/notify_on_release; ls /tmp/g/release_agent; echo /cmd > /tmp/g/release_agent; \
           rmdir /tmp/g/sub; umount /tmp/g; }; done; mount -t cgroup -o none,name=evil x /tmp/g && echo evil; \
         find /sys/fs/cgroup -name release_agent | sed 's/.*/found/'; echo end",
    );
    let out = run(bed.run())?;
    contains(&out, "end\n")?;
    equal("a new hierarchy", out.contains("evil\n"), false)?;
    equal(
        "an agent that exists",
        out.contains("found") || out.contains("\n/tmp/g/release_agent"),
        false,
    )?;
    bed.map_ids();
    let out = run(bed.run())?;
    equal("with an id map", out.contains("found"), false)
}

fn the_hosts_files_are_out_of_reach() -> Outcome {
    let mut bed = Bed::new(
        "exec > /out 2>&1; find / -xdev -name secret; top=/proc/1/root; ls $top/../../secret /proc/1/cwd/../../../secret; \
         cat /proc/mounts | grep -c virtus-lxc; mount --bind / /tmp; ls /tmp/..; ls /tmp/../secret; \
         chroot $top/.. /bin/ls /",
    );
    write(&bed.beside("secret"), "");
    let out = run(bed.run())?;
    equal("a secret", out.lines().any(|line| line.ends_with("secret")), false)?;
    equal("the staging folder", out.contains("staging"), false)?;
    bed.map_ids();
    let out = run(bed.run())?;
    equal("a secret with an id map", out.lines().any(|line| line.ends_with("secret")), false)
}

fn calls_that_change_the_kernel_are_refused() -> Outcome {
    let mut bed = Bed::new(
        "grep Seccomp: /proc/self/status; swapoff /tmp/none; rmmod nothing; insmod /tmp/none.ko",
    );
    bed.blueprint.init.args[1].insert_str(0, "exec > /out 2>&1\n: > /tmp/none; : > /tmp/none.ko;");
    let out = run(bed.run())?;
    contains(&out, "Seccomp:\t2")?;
    contains(&out, "swapoff: /tmp/none: Operation not permitted")?;
    bed.blueprint.call_filter = false;
    let out = run(bed.run())?;
    contains(&out, "Seccomp:\t0")?;
    contains(&out, "swapoff: /tmp/none: Invalid argument")
}

fn nothing_of_the_host_is_open_in_it() -> Outcome {
    // Descriptors that the controller and the daemon keep open must not come along.
    let bed = Bed::new("exec > /out 2>&1; ls /proc/1/fd | tr '\\n' ' '; readlink /proc/1/cwd");
    equal("descriptors and folder of init", run(bed.run())?.trim(), "0 1 2 /")
}

fn devices_of_the_host_are_out_of_reach() -> Outcome {
    let mut bed = Bed::new(
        "exec > /out 2>&1; mknod /tmp/disk b 7 0 && echo broke-disk; mknod /tmp/log c 1 11 && echo broke-log; \
         (: < /log) && echo broke-open; mount -o remount,dev /; (: < /log) && echo broke-remounted; \
         (: < /dev/zero) && echo fine; echo end",
    );
    // The kernel's log, in the root before: the host can open it.
    let (log, number) = (bed.root("log"), makedev(1, 11));
    mknodat(CWD, &log, FileType::CharacterDevice, Mode::RUSR | Mode::ROTH, number).unwrap();
    equal("on the host", File::open(&log).is_ok(), true)?;
    let refused = |out: String| {
        contains(&out, "fine\nend\n")?;
        equal(&format!("a device in:\n{out}"), out.contains("broke-"), false)
    };
    refused(run(bed.run())?)?;
    bed.map_ids();
    refused(run(bed.run())?)
}

fn knobs_of_the_kernel_cannot_be_turned() -> Outcome {
    // Each value is the one that it has, so that nothing would happen.
    let turns = "for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/swappiness \
                 /sys/kernel/uevent_helper /sys/kernel/mm/ksm/run; do [ -e $file ] || continue; \
                 value=$(cat $file); (echo \"$value\" > $file) && echo turned-$file; done;";
    let mut bed = Bed::new(&format!("exec > /out 2>&1; {turns} echo end"));
    let out = run(bed.run())?;
    contains(&out, "end\n")?;
    equal(&format!("turned in:\n{out}"), out.contains("turned-"), false)?;
    // Who is root on the host could lift what is mounted read-only; who is not has nothing to lift it with.
    bed.blueprint.init.args[1] = format!(
        "exec > /out 2>&1; mount -o remount,rw /proc/sys; mount -o remount,rw /sys; umount /proc/sys; {turns} \
         mkdir /tmp/proc; mount -t proc proc /tmp/proc; cd /tmp/proc/sys && \
         (cat kernel/core_pattern > kernel/core_pattern) && echo turned-new; echo end"
    );
    bed.map_ids();
    let out = run(bed.run())?;
    contains(&out, "end\n")?;
    equal(&format!("turned with an id map in:\n{out}"), out.contains("turned-"), false)
}
