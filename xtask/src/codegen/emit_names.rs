// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `api/src/generated/enums/*.rs` and `params.rs`: C's enums, flags and names of typed parameters.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Files;
use super::emit_api::{API, head};
use super::names::variant;
use super::table::{Enum, Params, Table};

pub(super) fn emit(table: &Table, files: &mut Files) {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for known in &table.enums {
        let file = known.file.trim_start_matches("enums/");
        let text = texts.entry(file).or_default();
        if known.bits { flags(text, known) } else { enumeration(text, known) }
    }
    let mut root = head("C's enumerations (as enums) and flags (as bit sets).");
    for name in texts.keys() {
        let _ = writeln!(root, "mod {name};");
    }
    root.push('\n');
    for (name, text) in &texts {
        let _ = writeln!(root, "pub use {name}::*;");
        let mut file = head(&format!("Enums and flags about `{name}`."));
        if text.contains("bitflags!") {
            file.push_str("use bitflags::bitflags;\n\n");
        }
        if text.contains("UnknownValue") {
            file.push_str("use crate::UnknownValue;\n\n");
        }
        file.push_str(text);
        files.insert(format!("{API}/enums/{name}.rs"), file);
    }
    files.insert(format!("{API}/enums.rs"), root);
    let mut text = head("Names of typed parameters, one module per API.");
    for family in &table.params {
        params(&mut text, family);
    }
    files.insert(format!("{API}/params.rs"), text);
    files.insert(format!("{API}/c_names.rs"), c_names(table));
}

/// The values that the generated Rust really has, under C's names: for comparison in tests.
fn c_names(table: &Table) -> String {
    let mut text = head("The generated values under their names in C, for tests.");
    text.push_str("use crate::*;\n\n/// C's enum, and its members with their values.\npub(crate) static ENUMS: &[(&str, &[(&str, i64)])] = &[\n");
    for known in &table.enums {
        let _ = writeln!(text, "({:?}, &[", known.c_name);
        let mut seen = Vec::new();
        for (member, value) in &known.members {
            let value = match (known.bits, seen.contains(value)) {
                (true, _) => format!("{}::{}.bits()", known.name, constant(member)),
                (false, true) => format!("{}::{member}", known.name),
                (false, false) => format!("{}::{}", known.name, variant(member)),
            };
            seen.push(known.members.iter().find(|m| m.0 == *member).map_or(0, |m| m.1));
            let _ = writeln!(text, "(\"{}{member}\", {value} as i64),", known.prefix);
        }
        text.push_str("]),\n");
    }
    text.push_str("];\n\n/// C's macro for the name of a typed parameter, and the name.\npub(crate) static PARAMS: &[(&str, &str)] = &[\n");
    for family in &table.params {
        for param in &family.params {
            let name = constant(&param.name);
            let _ = writeln!(
                text,
                "(\"{}{}\", params::{}::{name}),",
                family.prefix, param.name, family.name
            );
        }
    }
    text.push_str("];\n");
    text
}

fn enumeration(text: &mut String, known: &Enum) {
    let Enum { name, c_name, prefix, members, .. } = known;
    let mut seen: BTreeMap<i64, String> = BTreeMap::new();
    let mut aliases = Vec::new();
    let _ = writeln!(
        text,
        "/// `{c_name}`: members start with `{prefix}`.\n#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]\n#[cfg_attr(feature = \"arbitrary\", derive(arbitrary::Arbitrary))]\n#[repr(i32)]\npub enum {name} {{"
    );
    for (member, value) in members {
        let variant = variant(member);
        if let Some(first) = seen.get(value) {
            aliases.push((member, first.clone()));
            continue;
        }
        let _ = writeln!(text, "/// `{prefix}{member}`\n{variant} = {value},");
        seen.insert(*value, variant);
    }
    text.push_str("}\n\n");
    let _ = writeln!(
        text,
        "impl {name} {{\n/// Every member, in C's order.\npub const ALL: &[Self] = &["
    );
    let mut listed = Vec::new();
    for (member, value) in members {
        if seen.get(value) == Some(&variant(member)) {
            listed.push(format!("Self::{}", variant(member)));
        }
    }
    let _ = writeln!(
        text,
        "{}];\n\n/// The number that clients know.\n#[must_use]\npub const fn number(self) -> i32 {{ self as i32 }}",
        listed.join(", ")
    );
    for (member, first) in &aliases {
        let _ = writeln!(
            text,
            "\n/// `{prefix}{member}`, another name.\npub const {member}: Self = Self::{first};"
        );
    }
    text.push_str("}\n\n");
    let _ = writeln!(
        text,
        "impl TryFrom<i32> for {name} {{\ntype Error = UnknownValue;\n\nfn try_from(value: i32) -> Result<Self, UnknownValue> {{\nmatch value {{"
    );
    for (value, variant) in &seen {
        let _ = writeln!(text, "{value} => Ok(Self::{variant}),");
    }
    let _ = writeln!(text, "_ => Err(UnknownValue {{ of: {c_name:?}, value }}),\n}}\n}}\n}}\n");
}

fn flags(text: &mut String, known: &Enum) {
    let Enum { name, c_name, prefix, members, .. } = known;
    let _ = writeln!(
        text,
        "bitflags! {{\n    /// `{c_name}`: members start with `{prefix}`.\n    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]\n    pub struct {name}: u32 {{"
    );
    for (member, value) in members.iter().filter(|member| member.1 != 0) {
        let _ = writeln!(text, "        const {} = {value:#x};", constant(member));
    }
    text.push_str("    }\n}\n\n");
    let zeroes: Vec<_> = members.iter().filter(|member| member.1 == 0).collect();
    if zeroes.is_empty() {
        return;
    }
    let _ = writeln!(text, "impl {name} {{");
    for (member, _) in zeroes {
        let _ = writeln!(
            text,
            "/// `{prefix}{member}`: no bit.\npub const {}: Self = Self::empty();",
            constant(member)
        );
    }
    text.push_str("}\n\n");
}

fn constant(member: &str) -> String {
    if member.starts_with(|c: char| c.is_ascii_digit()) {
        format!("N{member}")
    } else {
        member.to_owned()
    }
}

fn params(text: &mut String, family: &Params) {
    let functions: Vec<_> = family.functions.iter().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(
        text,
        "/// For {}; C's names start with `{}`.\npub mod {} {{",
        functions.join(", "),
        family.prefix,
        family.name
    );
    for param in &family.params {
        let what = match param.kind.as_str() {
            "prefix" => "Starts a name".to_owned(),
            "suffix" => "Ends a name".to_owned(),
            kind => format!("Type {kind}"),
        };
        let _ = writeln!(
            text,
            "/// {what}, since {}.\npub const {}: &str = {:?};",
            param.since,
            constant(&param.name),
            param.text
        );
    }
    text.push_str("}\n\n");
}
