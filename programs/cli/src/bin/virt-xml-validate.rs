// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `virt-xml-validate XML-FILE [SCHEMA-NAME]`.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let status = virtus_cli::xml_validate::run(
        &words,
        &mut io::stdin().lock(),
        &mut io::stdout().lock(),
        &mut io::stderr().lock(),
    );
    ExitCode::from(status)
}
