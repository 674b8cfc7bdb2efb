// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table in memory: what `crates/api/table` says, before any Rust is written.

use super::lex::Place;

#[derive(Default)]
pub(super) struct Table {
    pub(super) programs: Vec<Program>,
    pub(super) limits: Vec<Limit>,
    pub(super) structs: Vec<Struct>,
    pub(super) calls: Vec<Call>,
    pub(super) events: Vec<Event>,
    pub(super) enums: Vec<Enum>,
    pub(super) params: Vec<Params>,
}

/// One RPC program. Calls of a file belong to the program it declares, else to `remote`.
pub(super) struct Program {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) number: i64,
    pub(super) version: i64,
    /// The limit of every string in it.
    pub(super) strings: String,
}

pub(super) struct Limit {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) value: i64,
}

/// A struct that calls share. An object is one that names something a call acts on.
pub(super) struct Struct {
    pub(super) place: Place,
    pub(super) file: String,
    pub(super) program: String,
    pub(super) name: String,
    pub(super) object: bool,
    pub(super) fields: Vec<Field>,
}

#[derive(Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// The type of a field, as the protocol knows it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Plain(&'static str),
    String,
    Uuid,
    Bytes(String),
    Named(String),
    Optional(Box<Kind>),
    Array(Box<Kind>, String),
    Fixed(Box<Kind>, i64),
}

pub(super) struct Call {
    pub(super) place: Place,
    pub(super) file: String,
    pub(super) program: usize,
    pub(super) name: String,
    pub(super) number: i64,
    pub(super) api: Option<String>,
    pub(super) since: Option<String>,
    pub(super) class: String,
    pub(super) high: bool,
    pub(super) read_only: bool,
    pub(super) no_auth: bool,
    pub(super) stream: Option<String>,
    pub(super) sparse: Option<i64>,
    /// How many descriptors come in and go out: a number, or `n`.
    pub(super) fds: Option<(String, String)>,
    pub(super) registers: Option<Registration>,
    pub(super) args: Vec<Field>,
    /// `None`: nothing is answered.
    pub(super) reply: Option<Vec<Field>>,
    pub(super) allow: Vec<Rule>,
    pub(super) filter: Vec<Rule>,
}

/// A call that asks for the events of a family, or no longer does.
pub(super) struct Registration {
    pub(super) family: String,
    pub(super) adds: bool,
    pub(super) legacy: bool,
}

/// A permission that is needed, always or under a condition.
pub(super) struct Rule {
    pub(super) object: String,
    pub(super) permission: String,
    pub(super) when: When,
}

#[derive(PartialEq, Eq)]
pub(super) enum When {
    Always,
    Has(i64),
    Lacks(i64),
    Is(String, i64),
}

pub(super) struct Event {
    pub(super) place: Place,
    pub(super) file: String,
    pub(super) program: usize,
    pub(super) name: String,
    pub(super) id: i64,
    pub(super) family: String,
    pub(super) fields: Vec<Field>,
    /// The procedure of the modern message, and whether a callback id stands before its fields.
    pub(super) modern: (i64, bool),
    pub(super) legacy: Option<i64>,
    /// Fields that the legacy message does not have.
    pub(super) without: Vec<String>,
}

pub(super) struct Enum {
    pub(super) place: Place,
    pub(super) file: String,
    pub(super) name: String,
    pub(super) c_name: String,
    pub(super) prefix: String,
    pub(super) bits: bool,
    pub(super) members: Vec<(String, i64)>,
}

pub(super) struct Params {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) functions: Vec<String>,
    pub(super) params: Vec<Param>,
}

pub(super) struct Param {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) since: String,
}

impl Table {
    pub(super) fn program(&self, name: &str) -> Option<usize> {
        self.programs.iter().position(|program| program.name == name)
    }

    pub(super) fn find_struct(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|known| known.name == name)
    }

    pub(super) fn find_enum(&self, name: &str) -> Option<&Enum> {
        self.enums.iter().find(|known| known.name == name)
    }
}
