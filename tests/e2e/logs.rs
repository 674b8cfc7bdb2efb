// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guests whose logs virtlogd keeps: what they print, rotation, and what becomes of them when it is not there.

use virtus_tests::{Backend, DEADLINE, Options, Outcome, Testbed, counted, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("guests_print_through_virtlogd", printing),
    ("logs_are_set_aside_when_they_are_large", rotation),
    ("a_missing_virtlogd_is_named_with_its_unit", missing),
    ("a_virtlogd_that_is_stuck_costs_a_start_and_no_more", stuck),
    ("guests_outlive_virtlogd", outliving),
    ("virtlogd_becomes_its_successor_and_loses_nothing", succession),
];

/// A daemon that wants virtlogd, and `conf` for that.
fn bed(conf: &str) -> Outcome<Testbed> {
    if Backend::chosen()? != Backend::Ours {
        return Err(Skip("ours only".to_owned()).into());
    }
    let options =
        Options { qemu_conf: "stdio_handler = \"logd\"\n".to_owned(), ..Options::default() };
    let bed = Testbed::with(&options)?;
    bed.write("etc/libvirt/virtlogd.conf", conf)?;
    Ok(bed)
}

/// Defines a guest that counts into `serial.log`.
fn define(bed: &Testbed, name: &str, lines: u32) -> Outcome {
    let log = bed.path("serial.log");
    let serial =
        format!("<serial type='null'><log file='{}' append='on'/></serial>", log.display());
    bed.define(&bed.counter(name, lines, &serial)?).map(drop)
}

/// What is in a log and in what was set aside of it, the oldest first.
fn whole(bed: &Testbed, log: &str) -> String {
    let aside = (0..32).map(|number| bed.path(&format!("{log}.{number}")));
    let aside = aside.map_while(|file| std::fs::read(file).ok());
    let mut parts: Vec<Vec<u8>> =
        std::fs::read(bed.path(log)).ok().into_iter().chain(aside).collect();
    parts.reverse();
    String::from_utf8_lossy(&parts.concat()).into_owned()
}

/// Waits until the guest has said all its numbers; none may be lost, and none be there twice.
fn all_counted(bed: &Testbed, lines: u32) -> Outcome {
    let wanted = counted(lines);
    let last = &wanted[wanted.len() - 9..];
    wait_for("the last number", DEADLINE, || Ok(whole(bed, "serial.log").ends_with(last)))?;
    match whole(bed, "serial.log").ends_with(&wanted) {
        true => Ok(()),
        false => Err("numbers are missing".into()),
    }
}

fn printing() -> Outcome {
    let bed = bed("")?;
    let virtlogd = bed.start_beside("virtlogd")?;
    define(&bed, "talker", 1000)?;
    bed.virsh("start talker")?;
    let log = "var/log/libvirt/qemu/talker.log";
    contains(&whole(&bed, log), "starting up libvirt version")?;
    all_counted(&bed, 1000)?;
    bed.virsh("destroy talker")?;
    wait_for("the last line", DEADLINE, || {
        Ok(whole(&bed, log).contains("shutting down, reason=destroyed"))
    })?;
    // The log is free again.
    bed.virsh("start talker")?;
    equal("exit code", bed.end_beside(virtlogd, "TERM")?, Some(0))
}

fn rotation() -> Outcome {
    let bed = bed("max_size = 10000\nmax_backups = 20\n")?;
    let _virtlogd = bed.start_beside("virtlogd")?;
    define(&bed, "talker", 10_000)?;
    bed.virsh("start talker")?;
    all_counted(&bed, 10_000)?;
    let sizes = (0..9).map(|number| std::fs::metadata(bed.path(&format!("serial.log.{number}"))));
    for size in sizes {
        // A file ends with a line.
        let size = size?.len();
        if !(9_900..=10_000).contains(&size) {
            return Err(format!("a file of {size} bytes was set aside").into());
        }
    }
    Ok(())
}

fn missing() -> Outcome {
    let bed = bed("")?;
    define(&bed, "alone", 1)?;
    let said = bed.virsh_fails("start alone")?;
    contains(&said, "virtlogd-sock': No such file or directory")?;
    contains(&said, "systemctl start virtlogd.socket")
}

fn stuck() -> Outcome {
    let bed = bed("")?;
    let virtlogd = bed.start_beside("virtlogd")?;
    define(&bed, "talker", 1)?;
    bed.signal_beside(&virtlogd, "STOP")?;
    contains(&bed.virsh_fails("start talker")?, "virtlogd does not answer")?;
    equal("state", bed.virsh("domstate talker")?, "shut off".to_owned())?;
    bed.signal_beside(&virtlogd, "CONT")?;
    // It opens the log for the start that nobody waits for any more, and sees that only then.
    wait_for("the log to be free", DEADLINE, || Ok(bed.try_virsh("start talker")?.ok()))
}

fn outliving() -> Outcome {
    let bed = bed("")?;
    let virtlogd = bed.start_beside("virtlogd")?;
    define(&bed, "talker", 1000)?;
    bed.virsh("start talker")?;
    bed.end_beside(virtlogd, "KILL")?;
    equal("state", bed.virsh("domstate talker")?, "running".to_owned())?;
    let _again = bed.start_beside("virtlogd")?;
    bed.virsh("destroy talker")?;
    bed.virsh("start talker")?;
    all_counted(&bed, 1000)
}

fn succession() -> Outcome {
    let bed = bed("max_size = 500000\nmax_backups = 32\n")?;
    let virtlogd = bed.start_beside("virtlogd")?;
    define(&bed, "talker", 100_000)?;
    bed.virsh("start talker")?;
    for _ in 0..5 {
        bed.replace_beside(&virtlogd)?;
    }
    all_counted(&bed, 100_000)?;
    // The guest's own log is open as well, and goes on.
    bed.virsh("destroy talker")?;
    let log = "var/log/libvirt/qemu/talker.log";
    wait_for("the last line", DEADLINE, || {
        Ok(whole(&bed, log).contains("shutting down, reason=destroyed"))
    })?;
    contains(&whole(&bed, log), "terminating on signal 15")?;
    equal("exit code", bed.end_beside(virtlogd, "TERM")?, Some(0))?;
    equal("socket left", bed.socket_beside("virtlogd").exists(), false)
}
