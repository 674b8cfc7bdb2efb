// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Finds out by trying whether KVM runs guests here.
//!
//! `/dev/kvm` may open, and QEMU may say that KVM is enabled, where no ordinary guest runs (nested in
//! some hypervisors). So a guest of a few instructions is started: it switches to 64-bit mode with paging,
//! as every operating system does, and prints one letter. Where the letter comes, KVM works.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use virtus_host::process::Spawn;
use virtus_host::user::Identity;

/// A guest that works answers within a tenth of a second.
const DEADLINE: Duration = Duration::from_secs(3);
const ROM_SIZE: usize = 64 * 1024;
const LETTER: u8 = b'K';

/// At F000:0000, where the reset vector jumps to:
///
/// ```text
/// real mode: clear 0x1000-0x3FFF, build page tables there that map the first 2 MiB to themselves,
/// load the GDT (at 0x78, one 64-bit code segment), set CR4.PAE, CR3, EFER.LME, CR0.PG and CR0.PE,
/// jump to 64-bit code: print the letter on the first serial port, halt for ever
/// ```
const CODE: [u8; 144] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xbf, 0x00, 0x10, 0xb9, 0x00, 0x18, 0xfc, 0xf3, 0xab,
    0x66, 0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0x00, 0x00, 0x66, 0xc7, 0x06, 0x00, 0x20, 0x03, 0x30,
    0x00, 0x00, 0x66, 0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x00, 0x00, 0x2e, 0x66, 0x0f, 0x01, 0x16,
    0x88, 0x00, 0x66, 0xb8, 0x20, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xe0, 0x66, 0xb8, 0x00, 0x10, 0x00,
    0x00, 0x0f, 0x22, 0xd8, 0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32, 0x66, 0x0d, 0x00, 0x01,
    0x00, 0x00, 0x0f, 0x30, 0x0f, 0x20, 0xc0, 0x66, 0x0d, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0,
    0x66, 0xea, 0x68, 0x00, 0x0f, 0x00, 0x08, 0x00, 0x66, 0xba, 0xf8, 0x03, 0xb0, 0x4b, 0xee, 0xf4,
    0xeb, 0xfd, 0x8d, 0xb4, 0x00, 0x00, 0x66, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00, 0x0f, 0x00, 0x78, 0x00, 0x0f, 0x00, 0x00, 0x00,
];
/// At the reset vector, 16 bytes before the end: jump to F000:0000.
const RESET: [u8; 5] = [0xea, 0x00, 0x00, 0x00, 0xf0];

/// Why KVM cannot be used here; `None` where it can, and on hosts on which there is no trial.
pub(super) async fn trouble(binary: &Path, identity: Option<&Identity>) -> Option<String> {
    if let Err(cause) = open("/dev/kvm", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        return Some(format!("cannot open '/dev/kvm': {}", std::io::Error::from(cause)));
    }
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    match timeout(DEADLINE, letter_comes(binary, "kvm", identity)).await {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) => Some("QEMU with KVM ended before a trial guest had run".to_owned()),
        Ok(Err(cause)) => Some(cause),
        Err(_) => Some(format!(
            "'/dev/kvm' opens, but a trial guest did not run within {} s",
            DEADLINE.as_secs()
        )),
    }
}

async fn letter_comes(
    binary: &Path,
    accel: &str,
    identity: Option<&Identity>,
) -> Result<bool, String> {
    let failed = |cause: std::io::Error| cause.to_string();
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    let mut rom = vec![0; ROM_SIZE];
    rom[..CODE.len()].copy_from_slice(&CODE);
    rom[ROM_SIZE - 16..][..RESET.len()].copy_from_slice(&RESET);
    let file = memfd_create("virtus-trial", MemfdFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    let mut file = File::from(file);
    file.write_all(&rom).map_err(failed)?;

    let mut spawn = Spawn::new(binary);
    let rom = spawn.inherit(file);
    spawn = spawn
        .args(["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-m", "16"])
        .args(["-machine", &format!("q35,accel={accel}"), "-chardev", "stdio,id=serial"])
        .args(["-serial", "chardev:serial", "-bios", &format!("/proc/self/fd/{rom}")])
        .stdout(write)
        .drop_capabilities()
        .dies_with_daemon();
    if let Some(identity) = identity {
        spawn = spawn.identity(identity.clone());
    }
    let process = spawn.start().await.map_err(|error| error.to_string())?;
    let process = KilledAfterwards(process);
    let mut printed = pipe::Receiver::from_owned_fd(read).map_err(failed)?;
    let letter = printed.read_u8().await;
    drop(process);
    Ok(letter.is_ok_and(|letter| letter == LETTER))
}

struct KilledAfterwards(virtus_host::process::Process);

impl Drop for KilledAfterwards {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use virtus_host::process::find_program;

    use super::*;

    #[tokio::test]
    async fn the_trial_guest_runs_where_nothing_but_qemu_is_needed() {
        let Some(binary) = find_program("qemu-system-x86_64") else {
            eprintln!("skipped: no qemu-system-x86_64");
            return;
        };
        let ran = timeout(Duration::from_secs(60), letter_comes(&binary, "tcg", None)).await;
        assert_eq!(ran.unwrap(), Ok(true));
    }
}
