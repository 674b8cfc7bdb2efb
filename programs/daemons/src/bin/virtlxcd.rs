// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daemon of the LXC driver.

fn main() -> std::process::ExitCode {
    virtus_daemons::main(&virtus_daemons::table::VIRTLXCD)
}
