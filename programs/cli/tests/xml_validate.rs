// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `virt-xml-validate` as people run it: words, exit status, what is said.

use std::io::Write;
use std::process::{Command, Stdio};

const GUEST: &str = "<domain type='kvm'><name>guest</name><memory unit='MiB'>512</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk>
  </devices>
</domain>
";

/// Exit status, standard output and standard error.
#[expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test runs the program that it tests"
)]
fn run(words: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_virt-xml-validate"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A tool that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

#[test]
fn a_valid_document_is_called_so() {
    assert_eq!(run(&["-"], GUEST), (0, String::new(), "- validates\n".to_owned()));
    assert_eq!(run(&["-", "domain"], GUEST).0, 0);
    assert_eq!(run(&["--", "-"], GUEST).0, 0);
}

#[test]
fn an_error_names_place_value_and_what_is_allowed() {
    let (status, _, said) = run(&["-"], &GUEST.replace("'disk'>", "'disc'>"));
    assert_eq!(status, 3);
    for word in ["line 4, column 23", "<disk>", "'device'", "'disc'", "disk, cdrom, floppy, lun"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    assert!(said.ends_with("- fails to validate\n"));
    let (status, _, said) = run(&["-"], &GUEST.replace("target", "tarjet"));
    assert_eq!(status, 3);
    assert!(said.contains("did you mean 'target'?"), "{said}");
}

#[test]
fn each_failure_has_its_status() {
    assert_eq!(run(&[], "").0, 1);
    assert_eq!(run(&["--no-such-option"], "").0, 1);
    assert_eq!(run(&["-"], "<domain").0, 1);
    assert_eq!(run(&["-", "domain"], "<domain").0, 1);
    assert_eq!(run(&["/no/such/file"], "").0, 2);
    assert_eq!(run(&["-"], "<unheard-of/>").0, 3);
    assert_eq!(run(&["-", "network"], GUEST).0, 3);
    assert_eq!(run(&["-", "nosuch"], GUEST).0, 4);
}

#[test]
fn help_version_and_grammar_are_written() {
    for option in ["-h", "--help", "--he"] {
        let (status, said, _) = run(&[option], "");
        assert!(status == 0 && said.contains("XML-FILE [SCHEMA-NAME]"));
    }
    for option in ["-V", "--version"] {
        let (status, said, _) = run(&[option], "");
        assert!(status == 0 && said.ends_with("(libvirt) 11.3.0\n"));
    }
    let (status, grammar, _) = run(&["--grammar", "secret"], "");
    assert!(status == 0 && grammar.contains("<element name='secret'>"));
}
