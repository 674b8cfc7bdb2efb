// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether KVM really runs a guest here: by letting it try, since an openable /dev/kvm promises less than one thinks.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use virtus_tests::guest_folder;

/// Ten times what the guest needs on real hardware.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came out, with the reason.
pub(crate) enum Verdict {
    Runs,
    DoesNot(&'static str),
}

impl Verdict {
    pub(crate) fn runs(&self) -> bool {
        matches!(self, Self::Runs)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs => f.write_str("KVM runs it: hardware virtualisation is used"),
            Self::DoesNot(reason) => {
                write!(f, "KVM does not run it ({reason}): QEMU emulates the processor (TCG)")
            }
        }
    }
}

/// Boots the guest on bare QEMU with KVM, and waits for its init.
pub(crate) fn runs_guests() -> Verdict {
    if std::fs::File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Verdict::DoesNot("/dev/kvm cannot be opened");
    }
    let Ok(folder) = guest_folder() else { return Verdict::DoesNot("there is no guest to try") };
    let started = Command::new("qemu-system-x86_64")
        .args(["-accel", "kvm", "-machine", "q35", "-m", "128", "-nodefaults", "-no-user-config"])
        .args(["-display", "none", "-serial", "stdio", "-no-reboot"])
        .args(["-append", "console=ttyS0 quiet", "-kernel"])
        .arg(folder.join("vmlinuz"))
        .arg("-initrd")
        .arg(folder.join("initrd"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut qemu) = started else { return Verdict::DoesNot("QEMU cannot be run") };
    let (sender, booted) = channel();
    if let Some(output) = qemu.stdout.take() {
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
            let up = lines.any(|line| String::from_utf8_lossy(&line).contains("virtus-guest: up"));
            let _ = sender.send(up);
        });
    }
    let verdict = match booted.recv_timeout(PATIENCE) {
        Ok(true) => Verdict::Runs,
        Ok(false) => Verdict::DoesNot("QEMU ended before the guest was up"),
        Err(_) => Verdict::DoesNot("the guest does not come up"),
    };
    let _ = qemu.kill();
    let _ = qemu.wait();
    verdict
}
