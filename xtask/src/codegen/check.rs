// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the grammar cannot say: every name is known, and no number or name is used twice.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::lex::Place;
use super::names;
use super::parse::ORDER;
use super::table::{Call, Field, Kind, Rule, Table, When};

const CLASSES: [&str; 4] = ["snapshot", "host", "job", "guest"];
const STREAMS: [&str; 3] = ["in", "out", "both"];
/// The objects of access control, as `virtus_api::Object` has them.
const OBJECTS: [&str; 11] = [
    "connect",
    "domain",
    "interface",
    "network",
    "network_port",
    "node_device",
    "nwfilter",
    "nwfilter_binding",
    "secret",
    "storage_pool",
    "storage_vol",
];

pub(super) fn check(table: &Table) -> Result<(), String> {
    for name in ORDER {
        if table.program(name).is_none() {
            return Err(format!("no file declares the program '{name}'"));
        }
    }
    let mut types = Unique::default();
    let mut limits = Unique::default();
    let mut procedures = Unique::default();
    for limit in &table.limits {
        limits.add(&limit.name, &limit.place)?;
    }
    for program in &table.programs {
        known_limit(table, &program.strings, &program.place)?;
    }
    for known in &table.structs {
        types.add(&known.name, &known.place)?;
        fields(table, &known.fields, &known.place)?;
    }
    for known in &table.enums {
        types.add(&known.name, &known.place)?;
    }
    for call in &table.calls {
        types.add(&call.name, &call.place)?;
        procedures.add(&format!("{} {}", call.program, call.number), &call.place)?;
        check_call(table, call)?;
    }
    for event in &table.events {
        types.add(&event.name, &event.place)?;
        for number in event.legacy.iter().chain([&event.modern.0]) {
            procedures.add(&format!("{} {number}", event.program), &event.place)?;
        }
        fields(table, &event.fields, &event.place)?;
        for name in &event.without {
            if !event.fields.iter().any(|field| field.name == *name) {
                return fail(&event.place, format!("the event has no field '{name}'"));
            }
        }
    }
    let mut families = Unique::default();
    for params in &table.params {
        families.add(&params.name, &params.place)?;
    }
    Ok(())
}

fn check_call(table: &Table, call: &Call) -> Result<(), String> {
    let place = &call.place;
    fields(table, &call.args, place)?;
    fields(table, call.reply.as_deref().unwrap_or_default(), place)?;
    if !CLASSES.contains(&call.class.as_str()) {
        return fail(place, format!("class '{}' is not one of {CLASSES:?}", call.class));
    }
    if let Some(stream) = call.stream.as_deref().filter(|known| !STREAMS.contains(known)) {
        return fail(place, format!("stream '{stream}' is not one of {STREAMS:?}"));
    }
    if let Some(registers) = &call.registers
        && !table.events.iter().any(|event| event.family == registers.family)
    {
        return fail(place, format!("no event is of the family '{}'", registers.family));
    }
    let has_flags = call.args.iter().any(|field| field.name == "flags");
    for Rule { object, when, .. } in call.allow.iter().chain(&call.filter) {
        if !OBJECTS.contains(&object.as_str()) {
            return fail(place, format!("object '{object}' is not one of {OBJECTS:?}"));
        }
        match when {
            When::Has(_) | When::Lacks(_) if !has_flags => {
                return fail(place, "a rule tests 'flags', which the call does not have");
            }
            When::Is(name, _) if !call.args.iter().any(|field| field.name == *name) => {
                return fail(place, format!("a rule tests '{name}', which the call does not have"));
            }
            _ => {}
        }
    }
    let tests_other = call.allow.iter().any(|rule| matches!(rule.when, When::Is(..)));
    let tests_flags = |rule: &Rule| matches!(rule.when, When::Has(_) | When::Lacks(_));
    let tests_flags = call.allow.iter().any(tests_flags);
    if tests_other && tests_flags {
        return fail(place, "the rules of a call can test one argument only");
    }
    Ok(())
}

fn fields(table: &Table, fields: &[Field], place: &Place) -> Result<(), String> {
    for field in fields {
        if let Some(limit) = names::limit(&field.kind) {
            known_limit(table, limit, place)?;
        }
        let mut kind = &field.kind;
        while let Kind::Optional(of) | Kind::Array(of, _) | Kind::Fixed(of, _) = kind {
            kind = of;
        }
        let Kind::Named(name) = kind else { continue };
        let reply = name.strip_suffix("Reply");
        let known = name == "TypedParam"
            || table.find_struct(name).is_some()
            || table.find_enum(name).is_some()
            || reply.is_some_and(|call| table.calls.iter().any(|known| known.name == call));
        if !known {
            return fail(place, format!("unknown type '{name}'"));
        }
    }
    Ok(())
}

fn known_limit(table: &Table, name: &str, place: &Place) -> Result<(), String> {
    if table.limits.iter().any(|limit| limit.name == name) {
        return Ok(());
    }
    fail(place, format!("unknown limit '{name}'"))
}

fn fail<T>(place: &Place, what: impl Display) -> Result<T, String> {
    Err(format!("{place}: {what}"))
}

/// Names or numbers that may stand once, with the place where they do.
#[derive(Default)]
struct Unique(BTreeMap<String, Place>);

impl Unique {
    fn add(&mut self, name: &str, place: &Place) -> Result<(), String> {
        match self.0.insert(name.to_owned(), place.clone()) {
            None => Ok(()),
            Some(before) => fail(place, format!("'{name}' stands already at {before}")),
        }
    }
}
