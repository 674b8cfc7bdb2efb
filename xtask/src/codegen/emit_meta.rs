// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `api/src/generated/{call_id,meta,limits}.rs`: the ids of the calls and what is known about each.

use std::fmt::Write as _;

use super::Files;
use super::emit_api::{API, head};
use super::names::camel;
use super::table::{Call, Registration, Rule, Table, When};

pub(super) fn emit(table: &Table, files: &mut Files) {
    files.insert(format!("{API}/call_id.rs"), call_id(table));
    files.insert(format!("{API}/meta.rs"), meta(table));
    files.insert(format!("{API}/limits.rs"), limits(table));
}

fn call_id(table: &Table) -> String {
    let mut text = head("A dense number for every call of every program.");
    text.push_str("/// Which call. Numbers are dense, so that tables can be indexed; they are not on the wire.\n");
    text.push_str("#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]\n#[repr(u16)]\npub enum CallId {\n");
    for call in &table.calls {
        let _ = writeln!(text, "{},", call.name);
    }
    text.push_str("}\n\nimpl CallId {\n/// How many there are.\n");
    let _ = writeln!(text, "pub const COUNT: usize = {};\n", table.calls.len());
    text.push_str("/// All of them, in order.\npub const ALL: [Self; Self::COUNT] = [\n");
    for call in &table.calls {
        let _ = writeln!(text, "Self::{},", call.name);
    }
    text.push_str("];\n}\n");
    text
}

fn limits(table: &Table) -> String {
    let mut text = head(
        "How many elements lists, strings and byte arrays may have (the protocol's own limits).",
    );
    for limit in &table.limits {
        let _ = writeln!(text, "pub const {}: usize = {};", limit.name, limit.value);
    }
    text
}

fn meta(table: &Table) -> String {
    let mut text = head("What is known about each call, indexed by its id.");
    text.push_str("use crate::meta::{Acl, Class, Fds, Meta, Object, Permission, Priority, Registration, StreamKind, When};\nuse crate::{CallId, Family, Program};\n\n");
    text.push_str("pub(crate) static META: [Meta; CallId::COUNT] = [\n");
    for call in &table.calls {
        one(&mut text, table, call);
    }
    text.push_str("];\n");
    text
}

fn one(text: &mut String, table: &Table, call: &Call) {
    let program = camel(&table.programs[call.program].name);
    let class = camel(&call.class);
    let _ = writeln!(
        text,
        "Meta {{ name: {:?}, program: Program::{program}, class: Class::{class},",
        call.name
    );
    if let Some(api) = &call.api {
        let _ = writeln!(text, "api: Some({api:?}),");
    }
    if let Some(since) = &call.since {
        let _ = writeln!(text, "since: Some({since:?}),");
    }
    if call.high {
        text.push_str("priority: Priority::High,\n");
    }
    if call.read_only {
        text.push_str("read_only: true,\n");
    }
    if call.no_auth {
        text.push_str("needs_auth: false,\n");
    }
    if let Some(stream) = &call.stream {
        let sparse = call.sparse.map_or("None".to_owned(), |flag| format!("Some({flag:#x})"));
        let kind = camel(stream);
        let _ = writeln!(text, "stream: Some(StreamKind::{kind}), sparse_flag: {sparse},");
    }
    if let Some((incoming, outgoing)) = &call.fds {
        let _ = writeln!(text, "fds: (Fds::{}, Fds::{}),", fds(incoming), fds(outgoing));
    }
    if let Some(Registration { family, adds, legacy }) = &call.registers {
        let family = camel(family);
        let _ = writeln!(
            text,
            "registers: Some(Registration {{ family: Family::{family}, adds: {adds}, legacy: {legacy} }}),"
        );
    }
    if !call.allow.is_empty() {
        let rules: Vec<String> = call.allow.iter().map(rule).collect();
        let _ = writeln!(text, "acl: &[{}],", rules.join(", "));
    }
    if !call.filter.is_empty() {
        let rules: Vec<String> = call.filter.iter().map(permission).collect();
        let _ = writeln!(text, "filter: &[{}],", rules.join(", "));
    }
    text.push_str("..Meta::PLAIN },\n");
}

fn fds(count: &str) -> &'static str {
    match count {
        "0" => "None",
        "1" => "One",
        _ => "Many",
    }
}

fn permission(rule: &Rule) -> String {
    format!("Permission::new(Object::{}, {:?})", camel(&rule.object), rule.permission)
}

fn rule(rule: &Rule) -> String {
    let when = match &rule.when {
        When::Always => "Always".to_owned(),
        When::Has(mask) => format!("Has({mask:#x})"),
        When::Lacks(mask) => format!("Lacks({mask:#x})"),
        When::Is(_, value) => format!("Is({value})"),
    };
    format!("Acl {{ permission: {}, when: When::{when} }}", permission(rule))
}
