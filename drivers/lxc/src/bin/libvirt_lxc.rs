// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The controller of one container.

fn main() -> std::process::ExitCode {
    virtus_lxc::controller::main()
}
