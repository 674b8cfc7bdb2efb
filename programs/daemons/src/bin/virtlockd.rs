// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The keeper of locks on guests' disks.

fn main() -> std::process::ExitCode {
    virtus_daemons::main(&virtus_daemons::table::VIRTLOCKD)
}
