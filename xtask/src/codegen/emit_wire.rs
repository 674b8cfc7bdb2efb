// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `wire/src/generated/*.rs`: numbers, and a line for every struct, call and event.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Files;
use super::emit_api::{head, reply_type};
use super::names::{camel, event_variant, field, rust};
use super::table::{Call, Event, Field, Kind, Table};

const WIRE: &str = "crates/wire/src/generated";

pub(super) fn emit(table: &Table, files: &mut Files) {
    let mut structs: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls: BTreeMap<&str, String> = BTreeMap::new();
    for known in &table.structs {
        let program = table.program(&known.program).unwrap_or_default();
        let row = structure(table, program, &known.name, &known.fields);
        structs.entry(&known.file).or_default().push_str(&row);
    }
    for call in &table.calls {
        let text = structs.entry(&call.file).or_default();
        text.push_str(&structure(table, call.program, &call.name, &call.args));
        if let Some(reply) = call.reply.as_deref().filter(|reply| reply.len() > 1) {
            let name = format!("{}Reply", call.name);
            text.push_str(&structure(table, call.program, &name, reply));
        }
        calls.entry(&call.file).or_default().push_str(&answer(table, call));
    }
    for event in &table.events {
        let row = structure(table, event.program, &event.name, &event.fields);
        structs.entry(&event.file).or_default().push_str(&row);
    }
    for (name, rows) in &structs {
        let mut text = head(&format!("How the types of `table/{name}.table` look on the wire."));
        let uses = |word: &str| {
            let of_calls = calls.get(name).map(String::as_str).unwrap_or_default();
            rows.contains(word) || of_calls.contains(word)
        };
        if uses("Uuid") {
            text.push_str("use uuid::Uuid;\n");
        }
        text.push_str("use virtus_api::*;\n\n");
        if calls.contains_key(name) {
            text.push_str("use crate::codec::calls;\n");
        }
        let _ = writeln!(text, "use crate::xdr::xdr;\n\nxdr! {{\n{rows}}}");
        if let Some(rows) = calls.get(name) {
            let _ = writeln!(text, "\ncalls! {{\n{rows}}}");
        }
        files.insert(format!("{WIRE}/{name}.rs"), text);
    }
    files.insert(format!("{WIRE}/numbers.rs"), numbers(table));
    files.insert(format!("{WIRE}/codecs.rs"), codecs(table));
    files.insert(format!("{WIRE}/events.rs"), events(table));
    let mut root = head("All that the table says, as messages.");
    let mut modules: Vec<&str> = structs.keys().copied().collect();
    modules.extend(["numbers", "codecs", "events"]);
    modules.sort_unstable();
    for module in modules {
        let shown = matches!(module, "numbers" | "codecs" | "events");
        let _ = writeln!(root, "{}mod {module};", if shown { "pub(crate) " } else { "" });
    }
    files.insert("crates/wire/src/generated.rs".to_owned(), root);
}

/// `DomainRef { name: String, uuid: Uuid, id: i32 }`
fn structure(table: &Table, program: usize, name: &str, fields: &[Field]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|known| {
            let bound = bound(table, program, &known.kind);
            format!("{}: {}{bound}", field(&known.name), rust(&known.kind))
        })
        .collect();
    let line = format!("    {name} {{ {} }}\n", fields.join(", "));
    if line.len() <= 100 {
        return line.replace("{  }", "{}");
    }
    format!("    {name} {{\n        {},\n    }}\n", fields.join(",\n        "))
}

/// ` [LIMIT]` where the field has one that its type does not imply.
fn bound(table: &Table, program: usize, kind: &Kind) -> String {
    let limit = match kind {
        Kind::Bytes(limit) | Kind::Array(_, limit) => limit,
        Kind::String => {
            let own = &table.programs[program].strings;
            let value = |name: &str| table.limits.iter().find(|l| l.name == *name).map(|l| l.value);
            if value(own) == value("STRING_MAX") {
                return String::new();
            }
            own
        }
        _ => return String::new(),
    };
    format!(" [{limit}]")
}

/// `DomainGetXmlDesc => String;`
fn answer(table: &Table, call: &Call) -> String {
    let bound = match call.reply.as_deref() {
        Some([only]) => bound(table, call.program, &only.kind),
        _ => String::new(),
    };
    format!("    {} => {}{bound};\n", call.name, reply_type(call))
}

fn numbers(table: &Table) -> String {
    let mut text = head("The numbers of programs and procedures.");
    text.push_str("use virtus_api::CallId::{self, *};\n\n");
    let _ = writeln!(
        text,
        "/// Number and version of each program.\npub(crate) static PROGRAMS: [(u32, u32); {}] = [",
        table.programs.len()
    );
    for program in &table.programs {
        let _ = writeln!(text, "({:#x}, {}),", program.number, program.version);
    }
    text.push_str("];\n\n/// The procedure of each call.\npub(crate) static ADDRESSES: [i32; CallId::COUNT] = [\n");
    for call in &table.calls {
        let _ = writeln!(text, "{},", call.number);
    }
    let _ = writeln!(
        text,
        "];\n\n/// The call of each procedure, by program.\npub(crate) static CALLS: [&[Option<CallId>]; {}] = [",
        table.programs.len()
    );
    for index in 0..table.programs.len() {
        let mut next = 0;
        text.push_str("&[");
        for call in table.calls.iter().filter(|call| call.program == index) {
            for _ in next..call.number {
                text.push_str("None,");
            }
            let _ = write!(text, "Some({}),", call.name);
            next = call.number + 1;
        }
        text.push_str("],\n");
    }
    text.push_str("];\n");
    text
}

fn codecs(table: &Table) -> String {
    let mut text = head("The row of each call, indexed by its id.");
    text.push_str("use virtus_api::*;\n\nuse crate::codec::Codec;\n\npub(crate) static CODECS: [Codec; CallId::COUNT] = [\n");
    for call in &table.calls {
        let _ = writeln!(text, "Codec::of::<{}>(),", call.name);
    }
    text.push_str("];\n");
    text
}

fn events(table: &Table) -> String {
    let mut text = head("The row of each event.");
    text.push_str("use crate::events::{EventCodec, events};\n\npub(crate) static EVENTS: &[EventCodec] = events! {\n");
    for event in &table.events {
        let Event { name, modern: (procedure, callback), .. } = event;
        let family = camel(&event.family);
        let program = camel(&table.programs[event.program].name);
        let legacy = event.legacy.map_or("None".to_owned(), |number| format!("Some({number})"));
        let variant = event_variant(name);
        let _ = write!(
            text,
            "    {family}::{variant}({name}, {family}Event), {program}, {procedure}, {callback}, {legacy}"
        );
        if !event.without.is_empty() {
            let names = |keep: bool| {
                let chosen =
                    event.fields.iter().filter(|f| event.without.contains(&f.name) != keep);
                chosen.map(|known| field(&known.name)).collect::<Vec<_>>().join(", ")
            };
            let _ = write!(text, ", keeps({}), drops({})", names(true), names(false));
        }
        text.push_str(";\n");
    }
    text.push_str("};\n");
    text
}
