// SPDX-License-Identifier: Apache-2.0 OR MIT
//! From the words of an entry to the table. The grammar is described in `crates/api/table/README.md`.

use super::lex::{self, Entry, Place};
use super::table::{
    Call, Enum, Event, Field, Kind, Limit, Param, Params, Program, Registration, Rule, Struct,
    Table, When,
};

/// Adds the entries of one file; `name` is its path below the table without the extension.
pub(super) fn file(table: &mut Table, name: &str, shown: &str, text: &str) -> Result<(), String> {
    let mut file = File { name: name.to_owned(), program: "remote".to_owned() };
    for mut entry in lex::entries(shown, text)? {
        let place = entry.place();
        let keyword = entry.word("a keyword")?;
        match keyword.as_str() {
            "program" => {
                let program = program(&mut entry, place)?;
                file.program.clone_from(&program.name);
                table.programs.push(program);
            }
            "limit" => {
                let name = entry.name("the limit's name")?;
                entry.expect("=")?;
                let value = entry.number("its value")?;
                table.limits.push(Limit { place, name, value });
            }
            "object" | "struct" => {
                let name = entry.name("the struct's name")?;
                let fields = fields(&mut entry)?;
                let object = keyword == "object";
                let (file, program) = (file.name.clone(), file.program.clone());
                table.structs.push(Struct { place, file, program, name, object, fields });
            }
            "call" => table.calls.push(call(&mut entry, place, &file)?),
            "event" => table.events.push(event(&mut entry, place, &file)?),
            "enum" | "flags" => {
                let found = enumeration(&mut entry, place, &file, keyword == "flags")?;
                table.enums.push(found);
            }
            "params" => table.params.push(params(&mut entry, place)?),
            _ => return Err(format!("{place}: unknown keyword '{keyword}'")),
        }
        if let Some(rest) = entry.peek().map(str::to_owned) {
            return entry.error(format!("unexpected '{rest}'"));
        }
    }
    table.resolve_programs();
    Ok(())
}

/// What an entry inherits from its file. Program indices are settled when all files are read.
struct File {
    name: String,
    program: String,
}

impl File {
    /// Programs stand in a fixed order, so that call ids do not depend on file names.
    fn program_index(&self) -> usize {
        ORDER.iter().position(|name| *name == self.program).unwrap_or(ORDER.len())
    }
}

/// The programs in the order of the call ids.
pub(super) const ORDER: [&str; 6] = ["remote", "qemu", "lxc", "admin", "lock", "log"];

impl Table {
    fn resolve_programs(&mut self) {
        let order = |name: &str| ORDER.iter().position(|known| *known == name);
        self.programs.sort_by_key(|program| order(&program.name));
    }
}

fn program(entry: &mut Entry, place: Place) -> Result<Program, String> {
    let name = entry.name("the program's name")?;
    if !ORDER.contains(&name.as_str()) {
        return entry.error(format!("unknown program '{name}': add it to codegen's ORDER"));
    }
    entry.expect("=")?;
    let number = entry.number("its number")?;
    entry.expect("version")?;
    let version = entry.number("its version")?;
    entry.expect("strings")?;
    let strings = entry.name("the limit of its strings")?;
    Ok(Program { place, name, number, version, strings })
}

/// `(name: type, …)`
fn fields(entry: &mut Entry) -> Result<Vec<Field>, String> {
    entry.expect("(")?;
    let mut fields = Vec::new();
    while !entry.skip(")") {
        if !fields.is_empty() {
            entry.expect(",")?;
        }
        let name = entry.name("a field's name")?;
        entry.expect(":")?;
        fields.push(Field { name, kind: kind(entry)? });
    }
    Ok(fields)
}

const PLAIN: [&str; 10] =
    ["int", "uint", "hyper", "uhyper", "char", "uchar", "short", "ushort", "double", "bool"];

/// `uint`, `string?`, `bytes<MAX>`, `DomainRef<MAX>`, `char[32]`
fn kind(entry: &mut Entry) -> Result<Kind, String> {
    let word = entry.name("a type")?;
    if word == "bytes" {
        entry.expect("<")?;
        let limit = entry.name("a limit")?;
        entry.expect(">")?;
        return Ok(Kind::Bytes(limit));
    }
    let plain = PLAIN.iter().find(|plain| **plain == word);
    let base = match (plain, word.as_str()) {
        (Some(plain), _) => Kind::Plain(plain),
        (None, "string") => Kind::String,
        (None, "uuid") => Kind::Uuid,
        (None, _) => Kind::Named(word),
    };
    if entry.skip("?") {
        return Ok(Kind::Optional(Box::new(base)));
    }
    if entry.skip("<") {
        let limit = entry.name("a limit")?;
        entry.expect(">")?;
        return Ok(Kind::Array(Box::new(base), limit));
    }
    if entry.skip("[") {
        let length = entry.number("a length")?;
        entry.expect("]")?;
        return Ok(Kind::Fixed(Box::new(base), length));
    }
    Ok(base)
}

fn call(entry: &mut Entry, place: Place, file: &File) -> Result<Call, String> {
    let name = entry.name("the call's name")?;
    entry.expect("=")?;
    let mut call = Call {
        place,
        file: file.name.clone(),
        program: file.program_index(),
        name,
        number: entry.number("its number")?,
        api: None,
        since: None,
        class: String::new(),
        high: false,
        read_only: false,
        no_auth: false,
        stream: None,
        sparse: None,
        fds: None,
        registers: None,
        args: Vec::new(),
        reply: None,
        allow: Vec::new(),
        filter: Vec::new(),
    };
    while entry.peek().is_some_and(|word| word != "(") {
        attribute(entry, &mut call)?;
    }
    call.args = fields(entry)?;
    if entry.skip("->") {
        call.reply = Some(fields(entry)?);
    }
    while let Some(word) = entry.peek().map(str::to_owned) {
        entry.word("")?;
        match word.as_str() {
            "allow" => call.allow.push(rule(entry)?),
            "filter" => call.filter.push(rule(entry)?),
            _ => return entry.error(format!("expected 'allow' or 'filter', not '{word}'")),
        }
    }
    Ok(call)
}

fn attribute(entry: &mut Entry, call: &mut Call) -> Result<(), String> {
    let word = entry.word("an attribute")?;
    match word.as_str() {
        "api" => call.api = Some(entry.name("a C function")?),
        "since" => call.since = Some(entry.word("a version")?),
        "class" => call.class = entry.name("a class")?,
        "high" => call.high = true,
        "read-only" => call.read_only = true,
        "registers" | "deregisters" => {
            let (family, adds) = (entry.name("a family")?, word == "registers");
            call.registers = Some(Registration { family, adds, legacy: entry.skip("legacy") });
        }
        "no-auth" => call.no_auth = true,
        "stream" => call.stream = Some(entry.name("a direction")?),
        "sparse" => call.sparse = Some(entry.number("a flag")?),
        "fds" => {
            entry.expect("in")?;
            let incoming = entry.word("a count")?;
            entry.expect("out")?;
            call.fds = Some((incoming, entry.word("a count")?));
        }
        _ => return entry.error(format!("unknown attribute '{word}'")),
    }
    Ok(())
}

/// `domain:read_secure if flags has 0x1`
fn rule(entry: &mut Entry) -> Result<Rule, String> {
    let object = entry.name("an object")?;
    entry.expect(":")?;
    let permission = entry.name("a permission")?;
    let mut when = When::Always;
    if entry.skip("if") {
        let field = entry.name("a field")?;
        let test = entry.name("'has', 'lacks' or 'is'")?;
        let value = entry.number("a value")?;
        when = match (field.as_str(), test.as_str()) {
            ("flags", "has") => When::Has(value),
            ("flags", "lacks") => When::Lacks(value),
            (_, "is") => When::Is(field, value),
            _ => return entry.error(format!("a rule cannot test whether {field} {test} a value")),
        };
    }
    Ok(Rule { object, permission, when })
}

fn event(entry: &mut Entry, place: Place, file: &File) -> Result<Event, String> {
    let name = entry.name("the event's name")?;
    entry.expect("=")?;
    let id = entry.number("its id")?;
    entry.expect("family")?;
    let family = entry.name("a family")?;
    let fields = fields(entry)?;
    let with_id = match entry.word("'callback' or 'message'")?.as_str() {
        "callback" => true,
        "message" => false,
        word => return entry.error(format!("expected 'callback' or 'message', not '{word}'")),
    };
    let modern = (entry.number("its procedure")?, with_id);
    let legacy = if entry.skip("legacy") { Some(entry.number("a procedure")?) } else { None };
    let mut without = Vec::new();
    if entry.skip("without") {
        without.push(entry.name("a field")?);
        while entry.skip(",") {
            without.push(entry.name("a field")?);
        }
    }
    let (file, program) = (file.name.clone(), file.program_index());
    Ok(Event { place, file, program, name, id, family, fields, modern, legacy, without })
}

/// `enum Name = cName PREFIX_` and a line `MEMBER = value` for each
fn enumeration(entry: &mut Entry, place: Place, file: &File, bits: bool) -> Result<Enum, String> {
    let name = entry.name("the enum's name")?;
    entry.expect("=")?;
    let c_name = entry.name("its name in C")?;
    let prefix = entry.name("the prefix of its members")?;
    let mut members = Vec::new();
    while entry.peek().is_some() {
        let member = entry.name("a member")?;
        entry.expect("=")?;
        members.push((member, entry.number("its value")?));
    }
    Ok(Enum { place, file: file.name.clone(), name, c_name, prefix, bits, members })
}

/// `params family = PREFIX_ for function, …` and a line `NAME type "text" since 1.2.3` for each
fn params(entry: &mut Entry, place: Place) -> Result<Params, String> {
    let name = entry.name("the family's name")?;
    entry.expect("=")?;
    let prefix = entry.name("the prefix of its members")?;
    entry.expect("for")?;
    let mut functions = vec![entry.name("a C function")?];
    while entry.skip(",") {
        functions.push(entry.name("a C function")?);
    }
    let mut params = Vec::new();
    while entry.peek().is_some() {
        let name = entry.name("a parameter")?;
        let mut kind = entry.name("its type")?;
        while entry.skip("|") {
            kind = format!("{kind} or {}", entry.name("a type")?);
        }
        let text = entry.text("its text")?;
        entry.expect("since")?;
        params.push(Param { name, kind, text, since: entry.word("a version")? });
    }
    Ok(Params { place, name, prefix, functions, params })
}
