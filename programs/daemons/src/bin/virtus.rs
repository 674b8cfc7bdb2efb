// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All daemons in one program: by the name it is called by, or `virtus NAME …`.

fn main() -> std::process::ExitCode {
    virtus_daemons::multi_call()
}
