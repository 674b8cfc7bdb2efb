// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The daemon of remote and old clients.

fn main() -> std::process::ExitCode {
    virtus_daemons::main(&virtus_daemons::table::VIRTPROXYD)
}
