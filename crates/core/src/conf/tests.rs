// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a file means, and which line is wrong with it.

use std::path::Path;

use super::*;

fn parse(text: &str) -> Conf {
    Conf::parse(Path::new("x.conf"), text).unwrap()
}

fn error(text: &str) -> String {
    Conf::parse(Path::new("x.conf"), text).unwrap_err().to_string()
}

#[test]
fn each_kind_of_value_is_read() {
    let conf = parse(
        "# head\n\nname = 'single'\nlong = \"\"\"two\nlines\"\"\"\r\nnumber=-5 # why\n\
         list = [ 'a', # first\n  \"b\",\n]\nnested = [ 1, [ 2, 3 ] ]\nempty = []",
    );
    assert_eq!(conf.text("name").unwrap(), Some("single"));
    assert_eq!(conf.text("long").unwrap(), Some("two\nlines"));
    assert_eq!(conf.number::<i32>("number").unwrap(), Some(-5));
    assert_eq!(conf.texts("list").unwrap(), Some(vec!["a", "b"]));
    assert_eq!(conf.texts("empty").unwrap(), Some(vec![]));
    assert_eq!(conf.text("missing").unwrap(), None);
    assert_eq!(conf.get("list").unwrap().line, 7);
}

#[test]
fn a_file_formats_as_it_was_read() {
    let text = "# head\nname = \"fc4\"\nmemory = 128 # enough\n\
                list = [ 1, 2, [ 3, 4 ], 5 ]\nlong = \"\"\"a \"quoted\" word\"\"\"\n";
    assert_eq!(parse(text).to_string(), text);
}

#[test]
fn the_first_setting_of_a_name_holds() {
    assert_eq!(parse("a = 1\na = 2\n").number::<u8>("a").unwrap(), Some(1));
}

#[test]
fn errors_name_the_line() {
    for (text, expected) in [
        ("a = 1\n= 2\n", "x.conf:2: expecting a name"),
        ("a 1", "x.conf:1: expecting an assignment"),
        ("\n\na = ", "x.conf:3: expecting a value"),
        ("a = 'x\ny'", "x.conf:1: unterminated string"),
        ("a = \"\"\"x\ny", "x.conf:1: unterminated string"),
        ("a = [ 1,\n2", "x.conf:2: list is not closed with ]"),
        ("a = [ 1 2 ]", "x.conf:1: expecting a separator in list"),
        ("a = 1 2", "x.conf:1: expecting a separator"),
        ("a = -", "x.conf:1: unterminated number"),
        ("a = 99999999999999999999", "x.conf:1: unterminated number"),
    ] {
        let found = error(text);
        assert_eq!(found, format!("configuration file syntax error: {expected}"), "{text:?}");
    }
    assert!(error(&format!("a = {}", "[".repeat(100_000))).contains("too deeply"));
}

#[test]
fn a_value_of_the_wrong_kind_says_what_was_expected() {
    let conf = parse("a = 'text'\nb = 300\nc = 2\n");
    let text = |result: Result<()>| result.unwrap_err().to_string();
    assert!(text(conf.number::<i32>("a").map(drop)).contains("x.conf:1: 'a': expected a number"));
    assert!(text(conf.number::<u8>("b").map(drop)).contains("found 300"));
    assert!(text(conf.switch("c").map(drop)).contains("x.conf:3: 'c': expected 0 or 1, found 2"));
    assert!(text(conf.text("b").map(drop)).contains("expected a string"));
}

#[test]
fn unknown_names_are_found() {
    let conf = parse("a = 1\nb = 2\n");
    assert_eq!(conf.unknown(&["a"]).map(|s| s.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

/// libvirt's own cases, where they lie beside the repository.
#[test]
fn the_corpus_formats_as_expected() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/data/virconfdata");
    for name in ["fc4", "libvirtd"] {
        let input = folder.join(name).with_extension("conf");
        if let Some(conf) = Conf::load(&input).unwrap() {
            let expected = fs::read_to_string(folder.join(name).with_extension("out")).unwrap();
            assert_eq!(conf.to_string(), expected);
        }
    }
}
