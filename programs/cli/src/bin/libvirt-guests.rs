// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `libvirt-guests VERB`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let root = std::env::var_os("VIRTUS_ROOT").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    ExitCode::from(virtus_cli::guests::run(&words, &root, &mut io::stdout()))
}
