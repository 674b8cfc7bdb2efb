// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the table's reader understands and what it says about mistakes.

use super::table::{Kind, Table, When};

const PROGRAMS: &str = "\
program qemu = 2 version 1 strings MAX
program lxc = 3 version 1 strings MAX
program admin = 4 version 1 strings MAX
program lock = 5 version 1 strings MAX
program log = 6 version 1 strings MAX
program remote = 1 version 1 strings MAX
limit MAX = 16
object DomainRef (name: string, uuid: uuid)
";

fn read(text: &str) -> Result<Table, String> {
    super::build(&[("t".to_owned(), "t.table".to_owned(), format!("{PROGRAMS}{text}"))])
}

/// The message about a mistake in an entry; lines are counted from that entry.
fn mistake(text: &str) -> String {
    let Err(message) = read(text) else { panic!("no mistake found in {text}") };
    let (place, what) = message.split_once(": ").unwrap();
    let line: usize = place.strip_prefix("t.table:").unwrap().parse().unwrap();
    format!("{}: {what}", line - PROGRAMS.lines().count())
}

#[test]
fn a_call_says_all_that_is_known_about_it() {
    let table = read(
        "call DomainGet = 14  api virDomainGet  since 0.3.0  class snapshot  high  read-only
  (dom: DomainRef, list: int<MAX>, flags: uint)
  -> (xml: string?)  # a comment
  allow domain:read_secure if flags has 0x3
  allow domain:write if dom is 1
  filter domain:getattr
",
    );
    // A rule may test flags or one other argument, not both.
    assert!(table.is_err());
    let table = read(
        "call DomainGet = 14  api virDomainGet  since 0.3.0  class snapshot  high  read-only
  (dom: DomainRef, list: int<MAX>, flags: uint)
  -> (xml: string?)  # a comment
  allow domain:read_secure if flags has 0x3
  filter domain:getattr
",
    )
    .unwrap();
    let call = &table.calls[0];
    assert_eq!((call.number, call.api.as_deref()), (14, Some("virDomainGet")));
    assert_eq!((call.since.as_deref(), &*call.class), (Some("0.3.0"), "snapshot"));
    assert!(call.high && call.read_only && !call.no_auth);
    assert_eq!(call.args.len(), 3);
    assert!(call.args[1].kind == Kind::Array(Box::new(Kind::Plain("int")), "MAX".to_owned()));
    assert!(call.reply.as_ref().unwrap()[0].kind == Kind::Optional(Box::new(Kind::String)));
    assert!(call.allow[0].when == When::Has(3));
    assert_eq!(call.filter[0].permission, "getattr");
}

#[test]
fn an_event_may_have_two_messages() {
    let table = read(
        "event DomainEventX = 11  family domain
  (reason: int, dom: DomainRef)
  callback 329  legacy 269 without reason
",
    )
    .unwrap();
    let event = &table.events[0];
    assert_eq!((event.modern, event.legacy), ((329, true), Some(269)));
    assert_eq!(event.without, ["reason"]);
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        ("cal X = 1", "1: unknown keyword 'cal'"),
        ("call X = one", "1: expected its number (a number), not 'one'"),
        ("call X = 1  class job\n  (a: int, b)", "2: expected ':', not ')'"),
        ("call X = 1  class job\n  (a: int<NONE>)", "1: unknown limit 'NONE'"),
        ("call X = 1  class job\n  (a: Thing)", "1: unknown type 'Thing'"),
        (
            "call X = 1  class quick\n  ()",
            "1: class 'quick' is not one of [\"snapshot\", \"host\", \"job\", \"guest\"]",
        ),
        (
            "call X = 1  class job\n  ()\n  permit a:b",
            "3: expected 'allow' or 'filter', not 'permit'",
        ),
        ("call X = 1  class job\n  () extra", "2: expected 'allow' or 'filter', not 'extra'"),
        (
            "call X = 1  class job\n  ()\n  allow domain:write if flags has 0x1",
            "1: a rule tests 'flags', which the call does not have",
        ),
        (
            "call X = 1  class job\n  ()\ncall Y = 1  class job\n  ()",
            "3: '0 1' stands already at t.table:9",
        ),
        (
            "params f = P_ for x\n  A int text since 1.0.0",
            "2: expected its text in double quotes, not 'text'",
        ),
        ("limit X = 1 2", "1: unexpected '2'"),
        ("limit X = 1 %", "1: unexpected '%'"),
    ];
    for (text, wanted) in cases {
        let found = mistake(text);
        assert!(found.starts_with(wanted), "{text}\nsays {found}\nnot  {wanted}");
    }
}

#[test]
fn the_committed_code_is_what_the_table_says() {
    super::run(true).unwrap();
}
