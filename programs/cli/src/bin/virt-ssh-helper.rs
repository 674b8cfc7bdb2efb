// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `virt-ssh-helper [-r] URI`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    // Without the buffers of the standard library, which would hold back what is carried.
    let streams = (
        io::stdin().as_fd().try_clone_to_owned().map(File::from),
        io::stdout().as_fd().try_clone_to_owned().map(File::from),
    );
    let (Ok(input), Ok(mut output)) = streams else { return ExitCode::FAILURE };
    ExitCode::from(virtus_cli::ssh_helper::run(&words, input, &mut output, &mut io::stderr()))
}
