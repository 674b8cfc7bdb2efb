// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `client/src/generated/`: one type per kind of object, with a method for every call about it.
//!
//! A method makes the request out of its arguments and says what becomes of the reply; what it takes to
//! ask stands in `client/src/ask.rs`. Calls that are the client's own business (authentication,
//! registrations for events, open and close) have none.

mod conversion;
mod spelling;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Files;
use super::emit_api::{head, reply_type};
use super::names::field;
use super::table::{Call, Field, Kind, Table};
use conversion::{answer, hidden, parameter};
use spelling::{method_names, snake};

const CLIENT: &str = "crates/client/src/generated";

/// A kind of object: how applications call it, how the table names it, what its calls begin with.
struct Kinship {
    name: &'static str,
    reference: &'static str,
    prefixes: &'static [&'static str],
    what: &'static str,
}

const CONNECTION: Kinship = Kinship {
    name: "Connection",
    reference: "",
    prefixes: &["Connect"],
    what: "the hypervisor and its host",
};

const OBJECTS: &[Kinship] = &[
    Kinship {
        name: "Domain",
        reference: "DomainRef",
        prefixes: &["QemuDomain", "LxcDomain", "Domain"],
        what: "a virtual machine or container",
    },
    Kinship {
        name: "Snapshot",
        reference: "DomainSnapshotRef",
        prefixes: &["DomainSnapshot", "Domain"],
        what: "a snapshot of a domain",
    },
    Kinship {
        name: "Checkpoint",
        reference: "DomainCheckpointRef",
        prefixes: &["DomainCheckpoint"],
        what: "a checkpoint of a domain, where an incremental backup begins",
    },
    Kinship {
        name: "Network",
        reference: "NetworkRef",
        prefixes: &["Network"],
        what: "a virtual network",
    },
    Kinship {
        name: "NetworkPort",
        reference: "NetworkPortRef",
        prefixes: &["NetworkPort"],
        what: "a port of a virtual network",
    },
    Kinship {
        name: "StoragePool",
        reference: "StoragePoolRef",
        prefixes: &["StoragePool", "Storage"],
        what: "a storage pool",
    },
    Kinship {
        name: "StorageVolume",
        reference: "StorageVolRef",
        prefixes: &["StorageVol"],
        what: "a volume of a storage pool",
    },
    Kinship {
        name: "NodeDevice",
        reference: "NodeDeviceRef",
        prefixes: &["NodeDevice"],
        what: "a device of the host",
    },
    Kinship {
        name: "Interface",
        reference: "InterfaceRef",
        prefixes: &["Interface"],
        what: "a network interface of the host",
    },
    Kinship { name: "Secret", reference: "SecretRef", prefixes: &["Secret"], what: "a secret" },
    Kinship {
        name: "NwFilter",
        reference: "NwfilterRef",
        prefixes: &["Nwfilter"],
        what: "a network filter",
    },
    Kinship {
        name: "NwFilterBinding",
        reference: "NwfilterBindingRef",
        prefixes: &["NwfilterBinding"],
        what: "a network filter on the port of a guest",
    },
];

/// Methods of [`CONNECTION`] and of objects that are written by hand.
const TAKEN: &[&str] = &[
    "open",
    "options",
    "call",
    "ask",
    "events",
    "close",
    "ended",
    "connection",
    "reference",
    "type",
    "move",
];

pub(super) fn emit(table: &Table, files: &mut Files) {
    let mut modules = BTreeSet::new();
    for kinship in OBJECTS.iter().chain([&CONNECTION]) {
        let calls: Vec<&Call> = table
            .calls
            .iter()
            .filter(|call| is_offered(table, call))
            .filter(|call| owner(call).name == kinship.name)
            .collect();
        let module = snake(kinship.name);
        files.insert(format!("{CLIENT}/{module}.rs"), object(table, kinship, &calls));
        modules.insert(module);
    }
    files.insert(format!("{CLIENT}/flags.rs"), flags(table));
    let mut root = head("All objects and their calls.");
    for module in &modules {
        let _ = writeln!(root, "mod {module};");
    }
    root.push_str("mod flags;\n\n");
    for kinship in OBJECTS {
        let _ = writeln!(root, "pub use {}::{};", snake(kinship.name), kinship.name);
    }
    files.insert("crates/client/src/generated.rs".to_owned(), root);
}

/// Whether applications may make it as they like.
fn is_offered(table: &Table, call: &Call) -> bool {
    let program = table.programs[call.program].name.as_str();
    matches!(program, "remote" | "qemu" | "lxc")
        && !call.no_auth
        && call.registers.is_none()
        && !matches!(
            call.name.as_str(),
            "ConnectOpen" | "ConnectClose" | "ConnectSetIdentity" | "ConnectSupportsFeature"
        )
}

/// The object whose method the call is: that of its first argument that names one.
fn owner(call: &Call) -> &'static Kinship {
    let named = call.args.first().and_then(|argument| kin(&argument.kind));
    let device =
        || OBJECTS.iter().find(|object| object.name == NODE_DEVICE).filter(|_| names_device(call));
    named.or_else(device).unwrap_or(&CONNECTION)
}

/// Calls about a node device are the only ones that name their object by a plain text.
const NODE_DEVICE: &str = "NodeDevice";

fn names_device(call: &Call) -> bool {
    call.name.starts_with(NODE_DEVICE)
        && !call.name.contains("Lookup")
        && call.args.first().is_some_and(|first| first.name == "name" && first.kind == Kind::String)
}

fn kin(kind: &Kind) -> Option<&'static Kinship> {
    let Kind::Named(name) = kind else { return None };
    OBJECTS.iter().find(|object| object.reference == name)
}

fn object(table: &Table, kinship: &Kinship, calls: &[&Call]) -> String {
    let mut text = String::new();
    let mut taken: BTreeSet<String> = TAKEN.iter().map(|name| (*name).to_owned()).collect();
    if let Some(known) = table.find_struct(kinship.reference) {
        let _ = writeln!(
            text,
            "/// Names {0}. Cheap to clone; it keeps its connection open.\n#[derive(Clone)]\npub struct {1} {{\nconnection: Connection,\nreference: {2},\n}}\n",
            kinship.what, kinship.name, kinship.reference
        );
        text.push_str(&identity(kinship, &known.fields, &mut taken));
    }
    let _ = writeln!(text, "/// Every call about {}.\nimpl {} {{", kinship.what, kinship.name);
    let names = method_names(kinship, calls, &taken);
    for (call, name) in calls.iter().zip(&names) {
        method(&mut text, kinship, call, name);
    }
    text.push_str("}\n");
    let mut file = head(&format!("The calls about {}.", kinship.what));
    file.push_str(&imports(table, kinship, &text));
    file.push_str(&text);
    file
}

/// What an object is called, and how it is made from its reference.
fn identity(kinship: &Kinship, fields: &[Field], taken: &mut BTreeSet<String>) -> String {
    let (name, reference) = (kinship.name, kinship.reference);
    let mut text = format!(
        "impl {name} {{\npub(crate) fn new(connection: &Connection, reference: {reference}) -> Self {{\nSelf {{ connection: connection.clone(), reference }}\n}}\n\n\
         /// The connection that it was found on.\n#[must_use]\npub fn connection(&self) -> &Connection {{\n&self.connection\n}}\n\n\
         /// As calls name it.\n#[must_use]\npub fn reference(&self) -> &{reference} {{\n&self.reference\n}}\n"
    );
    for known in fields {
        let (kind, value) = match &known.kind {
            Kind::String => ("&str", format!("&self.reference.{}", known.name)),
            Kind::Uuid => ("Uuid", format!("self.reference.{}", known.name)),
            // Numbers change, and objects inside have accessors of their own.
            _ => continue,
        };
        let _ = writeln!(
            text,
            "\n/// Its {0}.\n#[must_use]\npub fn {0}(&self) -> {kind} {{\n{value}\n}}",
            known.name
        );
        taken.insert(known.name.clone());
    }
    let _ = writeln!(
        text,
        "}}\n\nimpl fmt::Debug for {name} {{\nfn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{\nself.reference.fmt(f)\n}}\n}}\n"
    );
    text
}

fn method(text: &mut String, kinship: &Kinship, call: &Call, name: &str) {
    let own = kinship.name != CONNECTION.name;
    let mut parameters = String::new();
    let mut values = String::new();
    let mut shown = 0;
    for (index, argument) in call.args.iter().enumerate() {
        let target = field(&argument.name);
        if own && index == 0 {
            let part = if names_device(call) { ".name" } else { "" };
            let _ = write!(values, "{target}: self.reference{part}.clone(), ");
            continue;
        }
        if let Some(value) = hidden(call, argument) {
            let _ = write!(values, "{target}: {value}, ");
            continue;
        }
        let (kind, value) = parameter(argument, &target);
        let _ = write!(parameters, ", {target}: {kind}");
        let _ = write!(values, "{target}: {value}, ");
        shown += 1;
    }
    if call.fds.as_ref().is_some_and(|(with, _)| with != "0") {
        parameters.push_str(", fds: Vec<OwnedFd>");
        shown += 1;
    }
    let (answer, then) = answer(call);
    let api = call
        .api
        .as_deref()
        .map_or_else(|| format!("[`{0}`](virtus_api::{0})", call.name), |api| format!("`{api}`"));
    let since = call.since.as_deref().map(|since| format!(", since {since}")).unwrap_or_default();
    let _ = writeln!(text, "/// {api}{since}.{}", remark(call));
    if shown > 6 {
        text.push_str(
            "#[expect(clippy::too_many_arguments, reason = \"as many as the call has\")]\n",
        );
    }
    let request = if call.args.is_empty() {
        call.name.clone()
    } else {
        format!("{} {{ {values} }}", call.name)
    };
    let connection = if own { "&self.connection" } else { "self" };
    let with =
        if call.fds.as_ref().is_some_and(|(with, _)| with != "0") { ".with_fds(fds)" } else { "" };
    let generic = if answer == reply_type(call) {
        call.name.clone()
    } else {
        format!("{}, {answer}", call.name)
    };
    let _ = writeln!(
        text,
        "pub fn {name}(&self{parameters}) -> Ask<{generic}> {{\nAsk::new({connection}, {request}, {then}){with}\n}}\n"
    );
}

fn remark(call: &Call) -> &'static str {
    match (&call.stream, &call.fds) {
        (Some(_), _) => " Opens a stream.",
        (None, Some((_, back))) if back != "0" => " Answers with file descriptors.",
        _ => "",
    }
}

/// The calls that have flags, and the sets of flags.
fn flags(table: &Table) -> String {
    let mut text = head("Which calls have flags, and which sets of flags there are.");
    let calls: Vec<&str> = table
        .calls
        .iter()
        .filter(|call| {
            is_offered(table, call)
                && call.args.iter().any(|a| a.name == "flags" && a.kind == Kind::Plain("uint"))
        })
        .map(|call| call.name.as_str())
        .collect();
    let sets: Vec<&str> =
        table.enums.iter().filter(|set| set.bits).map(|set| set.name.as_str()).collect();
    let _ = writeln!(
        text,
        "use crate::ask::{{bits, flagged}};\n\nflagged! {{ {} }}\n\nbits! {{ {} }}",
        calls.join(", "),
        sets.join(", ")
    );
    text
}

fn imports(table: &Table, kinship: &Kinship, text: &str) -> String {
    let word = |name: &str| {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.match_indices(name).any(|(at, _)| {
            !text[..at].ends_with(part) && !text[at + name.len()..].starts_with(part)
        })
    };
    let mut file = String::new();
    if word("fmt") {
        file.push_str("use std::fmt;\n");
    }
    if word("OwnedFd") {
        file.push_str("use std::os::fd::OwnedFd;\n");
    }
    file.push('\n');
    if word("Uuid") {
        file.push_str("use uuid::Uuid;\n");
    }
    let calls =
        table.calls.iter().flat_map(|call| [call.name.clone(), format!("{}Reply", call.name)]);
    let structs = table.structs.iter().map(|known| known.name.clone());
    let structs = structs.chain(["TypedParam".to_owned()]);
    let mut foreign: BTreeSet<String> = calls
        .chain(structs)
        .filter(|name| {
            // Links in documentation name their crate.
            word(name)
                && text.match_indices(name.as_str()).any(|(at, _)| {
                    !text[..at].ends_with("virtus_api::") && !text[..at].ends_with("[`")
                })
        })
        .collect();
    if word("limits") {
        foreign.insert("limits".to_owned());
    }
    let _ = writeln!(
        file,
        "use virtus_api::{{{}}};\n",
        foreign.into_iter().collect::<Vec<_>>().join(", ")
    );
    let mut own: BTreeSet<&str> = OBJECTS
        .iter()
        .map(|object| object.name)
        .filter(|name| *name != kinship.name && word(name))
        .collect();
    own.insert("Connection");
    if word("Stream") || word("into_stream") {
        own.insert("Stream");
    }
    let own: Vec<&str> =
        own.into_iter().filter(|name| *name != "Stream" || word("Stream")).collect();
    let _ = writeln!(file, "use crate::{{{}}};", own.join(", "));
    let _ = writeln!(
        file,
        "use crate::ask::{{{}}};\n",
        if word("Answer") { "Answer, Ask" } else { "Ask" }
    );
    file
}
