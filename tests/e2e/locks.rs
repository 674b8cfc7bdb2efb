// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guests whose disks virtlockd locks: who is kept out, when a lock goes, and what becomes of it when a daemon is gone.

use virtus_api::{
    LockAcquireResource, LockCreateLockspace, LockOwner, LockRegister, LockReleaseResource,
};
use virtus_tests::{Backend, DEADLINE, Guest, Options, Outcome, Raw, Testbed, wait_for};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("a_disk_that_another_has_locked_is_refused", refused),
    ("a_lock_goes_when_the_guest_is_paused_and_comes_back", paused),
    ("a_lock_goes_with_its_guest", ended),
    ("locks_outlive_the_daemon_that_took_them", restarted),
    ("disks_are_locked_by_files_that_stand_for_them", indirect),
    ("a_lease_is_locked", lease),
    ("a_missing_virtlockd_is_named_with_its_unit", missing),
    ("virtlockd_becomes_its_successor_and_keeps_its_locks", succession),
    ("a_virtlockd_that_was_killed_has_its_locks_again", killed),
];

/// A daemon that locks, with these lines in qemu-lockd.conf.
fn bed(conf: &str) -> Outcome<Testbed> {
    if Backend::chosen()? != Backend::Ours {
        return Err(Skip("ours only".to_owned()).into());
    }
    let options =
        Options { qemu_conf: "lock_manager = \"lockd\"\n".to_owned(), ..Options::default() };
    let mut bed = Testbed::without_daemon(&options)?;
    let conf = conf.replace("FOLDER", &bed.path("").display().to_string());
    bed.write("etc/libvirt/qemu-lockd.conf", &conf)?;
    bed.start()?;
    Ok(bed)
}

/// Defines a guest with a disk; the disk's path.
fn define(bed: &Testbed, more: &str) -> Outcome<String> {
    let disk = bed.write("disk.img", &"x".repeat(65536))?;
    let device = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>\
         <target dev='vda' bus='virtio'/></disk>{more}"
    );
    bed.define(&Guest::firmware("owner").device(&device))?;
    Ok(disk)
}

/// Another user of virtlockd: some process that owns what it locks.
struct Other(Raw);

impl Other {
    fn new(bed: &Testbed) -> Outcome<Self> {
        let mut raw = Raw::connect(&bed.socket_beside("virtlockd"))?;
        let owner = LockOwner { uuid: Default::default(), name: "other".into(), id: 1, pid: 1 };
        raw.ask(&LockRegister { owner, flags: 0 })?;
        Ok(Self(raw))
    }

    /// What becomes of locking this.
    fn lock(&mut self, space: &str, name: &str) -> Outcome<Option<String>> {
        let (path, name) = (space.to_owned(), name.to_owned());
        let answer = self.0.try_ask(&LockAcquireResource { path, name, flags: 0 })?;
        Ok((!answer.ok).then(|| answer.error()))
    }

    fn unlock(&mut self, space: &str, name: &str) -> Outcome {
        let (path, name) = (space.to_owned(), name.to_owned());
        self.0.ask(&LockReleaseResource { path, name, flags: 0 })
    }

    /// Whether somebody else has it locked.
    fn finds_locked(&mut self, space: &str, name: &str) -> Outcome<bool> {
        match self.lock(space, name)? {
            None => self.unlock(space, name).map(|()| false),
            Some(error) => contains(&error, "is locked").map(|()| true),
        }
    }
}

fn refused() -> Outcome {
    let bed = bed("")?;
    let _virtlockd = bed.start_beside("virtlockd")?;
    let disk = define(&bed, "")?;
    let mut other = Other::new(&bed)?;
    equal("lock", other.lock("", &disk)?, None)?;
    let said = bed.virsh_fails("start owner")?;
    contains(&said, &format!("resource busy: Lockspace resource '{disk}' is locked"))?;
    equal("state", bed.virsh("domstate owner")?, "shut off".to_owned())?;
    other.unlock("", &disk)?;
    bed.virsh("start owner")?;
    equal("locked", other.finds_locked("", &disk)?, true)
}

fn paused() -> Outcome {
    let bed = bed("")?;
    let virtlockd = bed.start_beside("virtlockd")?;
    let disk = define(&bed, "")?;
    let mut other = Other::new(&bed)?;
    bed.virsh("start owner --paused")?;
    equal("locked at first", other.finds_locked("", &disk)?, false)?;
    bed.virsh("resume owner")?;
    equal("locked", other.finds_locked("", &disk)?, true)?;
    bed.virsh("suspend owner")?;
    equal("lock", other.lock("", &disk)?, None)?;
    contains(&bed.virsh_fails("resume owner")?, "is locked")?;
    equal("state", bed.virsh("domstate owner")?, "paused".to_owned())?;
    other.unlock("", &disk)?;
    // Nobody waits for a daemon that is stuck for ever.
    bed.signal_beside(&virtlockd, "STOP")?;
    contains(&bed.virsh_fails("resume owner")?, "virtlockd does not answer")?;
    bed.signal_beside(&virtlockd, "CONT")?;
    bed.virsh("resume owner")?;
    equal("locked again", other.finds_locked("", &disk)?, true)
}

fn ended() -> Outcome {
    let bed = bed("")?;
    let _virtlockd = bed.start_beside("virtlockd")?;
    let disk = define(&bed, "")?;
    let mut other = Other::new(&bed)?;
    // The next start finds the lock free, however fast it comes.
    for _ in 0..3 {
        bed.virsh("start owner")?;
        bed.virsh("destroy owner")?;
    }
    bed.virsh("start owner")?;
    equal("locked", other.finds_locked("", &disk)?, true)?;
    bed.signal("KILL", bed.qemu_pid("owner")?)?;
    wait_for("the lock to go", DEADLINE, || Ok(!other.finds_locked("", &disk)?))
}

fn restarted() -> Outcome {
    let mut bed = bed("")?;
    let _virtlockd = bed.start_beside("virtlockd")?;
    let disk = define(&bed, "")?;
    let mut other = Other::new(&bed)?;
    bed.virsh("start owner")?;
    bed.kill9()?;
    equal("locked without the daemon", other.finds_locked("", &disk)?, true)?;
    bed.start()?;
    bed.virsh("suspend owner")?;
    equal("locked while paused", other.finds_locked("", &disk)?, false)?;
    bed.virsh("resume owner")?;
    equal("locked again", other.finds_locked("", &disk)?, true)
}

fn indirect() -> Outcome {
    let bed = bed("file_lockspace_dir = \"FOLDER/locks\"\n")?;
    let virtlockd = bed.start_beside("virtlockd")?;
    define(&bed, "")?;
    let files = || -> Outcome<Vec<String>> {
        let all = std::fs::read_dir(bed.path("locks"))?.flatten();
        Ok(all.map(|file| file.file_name().to_string_lossy().into_owned()).collect())
    };
    bed.virsh("start owner")?;
    let locked = files()?;
    let [name] = locked.as_slice() else { return Err(format!("{locked:?}").into()) };
    equal("digits", name.len(), 64)?;
    bed.end_beside(virtlockd, "KILL")?;
    let _again = bed.start_beside("virtlockd")?;
    equal("files after a kill", files()?, locked)?;
    bed.virsh("suspend owner")?;
    equal("files while paused", files()?, Vec::new())
}

fn lease() -> Outcome {
    let bed = bed("auto_disk_leases = 0\n")?;
    let _virtlockd = bed.start_beside("virtlockd")?;
    let folder = bed.path("leases").display().to_string();
    define(&bed, "")?;
    contains(&bed.virsh_fails("start owner")?, "no leases specified")?;
    bed.virsh("undefine owner")?;
    define(
        &bed,
        &format!(
            "<lease><lockspace>area</lockspace><key>fox</key><target path='{folder}'/></lease>"
        ),
    )?;
    contains(&bed.virsh_fails("start owner")?, "Unable to open resource")?;
    bed.write("leases/area/fox", "")?;
    bed.virsh("start owner")?;
    let mut other = Other::new(&bed)?;
    let space = format!("{folder}/area");
    other.0.ask(&LockCreateLockspace { path: space.clone() })?;
    equal("locked", other.finds_locked(&space, "fox")?, true)
}

fn missing() -> Outcome {
    let bed = bed("")?;
    define(&bed, "")?;
    let said = bed.virsh_fails("start owner")?;
    contains(&said, "virtlockd-sock': No such file or directory")?;
    contains(&said, "systemctl start virtlockd.socket")
}

fn succession() -> Outcome {
    let bed = bed("")?;
    let virtlockd = bed.start_beside("virtlockd")?;
    let disk = define(&bed, "")?;
    bed.virsh("start owner")?;
    let mut other = Other::new(&bed)?;
    for _ in 0..3 {
        bed.replace_beside(&virtlockd)?;
        // The same connection goes on.
        equal("locked", other.finds_locked("", &disk)?, true)?;
    }
    bed.virsh("suspend owner")?;
    equal("locked while paused", other.finds_locked("", &disk)?, false)?;
    bed.virsh("resume owner")?;
    bed.replace_beside(&virtlockd)?;
    // The guest's own connection is held, too: its end is noticed.
    bed.signal("KILL", bed.qemu_pid("owner")?)?;
    wait_for("the lock to go", DEADLINE, || Ok(!other.finds_locked("", &disk)?))
}

fn killed() -> Outcome {
    let bed = bed("")?;
    let virtlockd = bed.start_beside("virtlockd")?;
    let disk = define(&bed, "")?;
    bed.virsh("start owner")?;
    bed.end_beside(virtlockd, "KILL")?;
    let virtlockd = bed.start_beside("virtlockd")?;
    let mut other = Other::new(&bed)?;
    equal("locked after a kill", other.finds_locked("", &disk)?, true)?;
    bed.virsh("suspend owner")?;
    equal("locked while paused", other.finds_locked("", &disk)?, false)?;
    bed.virsh("resume owner")?;
    bed.end_beside(virtlockd, "KILL")?;
    let virtlockd = bed.start_beside("virtlockd")?;
    // Who ends afterwards is seen, although its connection ended long before, also by another program.
    let mut other = Other::new(&bed)?;
    equal("locked after another kill", other.finds_locked("", &disk)?, true)?;
    bed.replace_beside(&virtlockd)?;
    bed.signal("KILL", bed.qemu_pid("owner")?)?;
    wait_for("the lock to go", DEADLINE, || Ok(!other.finds_locked("", &disk)?))?;
    // And who ends meanwhile has no lock any more.
    wait_for("the end", DEADLINE, || Ok(bed.virsh("domstate owner")? == "shut off"))?;
    bed.virsh("start owner")?;
    let qemu = bed.qemu_pid("owner")?;
    bed.end_beside(virtlockd, "KILL")?;
    bed.signal("KILL", qemu)?;
    wait_for("the end", DEADLINE, || Ok(bed.virsh("domstate owner")? == "shut off"))?;
    let _virtlockd = bed.start_beside("virtlockd")?;
    let mut other = Other::new(&bed)?;
    equal("locked by nobody", other.finds_locked("", &disk)?, false)
}
