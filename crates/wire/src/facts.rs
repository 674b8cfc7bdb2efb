// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The generated messages against independent facts about libvirt's protocol, where those are at hand
//! (`$VIRTUS_SHARED`, or `../shared` beside the workspace): numbers, names, types, limits, access rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use virtus_api::{CallId, Family, Fds, Priority, Program, Registration, StreamKind, When};

use crate::codec::{address, lookup, reply_shape, request_shape};
use crate::events;
use crate::program;
use crate::xdr::{Field, Shape};

/// File, program, prefix of its procedures, prefix of our names.
const PROGRAMS: [(&str, Program, &str, &str); 6] = [
    ("remote", Program::Remote, "REMOTE_PROC_", ""),
    ("qemu", Program::Qemu, "QEMU_PROC_", "Qemu"),
    ("lxc", Program::Lxc, "LXC_PROC_", "Lxc"),
    ("admin", Program::Admin, "ADMIN_PROC_", "Admin"),
    ("lock", Program::Lock, "VIR_LOCK_SPACE_PROTOCOL_PROC_", "Lock"),
    ("log", Program::Log, "VIR_LOG_MANAGER_PROTOCOL_PROC_", "Log"),
];

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("VIRTUS_SHARED").map_or(beside, PathBuf::from).join("protocol");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no protocol facts at {}", folder.display());
    None
}

/// A program's facts, with those of the main program for the types that it borrows.
struct Facts {
    own: Value,
    remote: Value,
}

impl Facts {
    fn read(folder: &Path, name: &str) -> Self {
        let read = |name: &str| -> Value {
            let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
            serde_json::from_str(&text).unwrap()
        };
        Self { own: read(name), remote: read("remote") }
    }

    fn find<'a>(&'a self, section: &str, name: &str) -> Option<&'a Value> {
        [&self.own, &self.remote].into_iter().find_map(|facts| facts[section].get(name))
    }

    fn procedures(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.own["procedures"].as_array().unwrap().iter().filter(move |p| p["kind"] == kind)
    }

    /// Whether a shape is what the facts say about a field.
    fn check(&self, at: &str, shape: &Shape, fact: &Value) {
        let number = |key: &str| usize::try_from(fact[key].as_u64().unwrap()).unwrap();
        match (fact["kind"].as_str().unwrap(), shape) {
            ("int", Shape::Int | Shape::Bool)
            | ("uint", Shape::UInt)
            | ("hyper", Shape::Hyper)
            | ("uhyper", Shape::UHyper)
            | ("char", Shape::Char)
            | ("uchar", Shape::UChar)
            | ("short", Shape::Short)
            | ("ushort", Shape::UShort)
            | ("double", Shape::Double) => {}
            ("opaque_fixed", Shape::Uuid) => assert_eq!(number("len"), 16, "{at}"),
            ("string", Shape::String(max)) | ("opaque_var", Shape::Bytes(max)) => {
                assert_eq!(number("max"), *max, "{at}");
            }
            ("optional", Shape::Optional(of)) => self.check(at, of, &fact["elem"]),
            ("array_var", Shape::Array(of, max)) => {
                assert_eq!(number("max"), *max, "{at}");
                self.check(at, of, &fact["elem"]);
            }
            ("array_fixed", Shape::Fixed(of, length)) => {
                assert_eq!(number("len"), *length, "{at}");
                self.check(at, of, &fact["elem"]);
            }
            ("named", _) => self.check_named(at, shape, fact["type"].as_str().unwrap()),
            (kind, shape) => panic!("{at}: {kind} is no {shape:?}"),
        }
    }

    fn check_named(&self, at: &str, shape: &Shape, name: &str) {
        if let Some(alias) = self.find("typedefs", name) {
            return self.check(at, shape, alias);
        }
        match shape {
            Shape::Struct(_, fields) => self.check_struct(at, fields, name),
            Shape::Enum(values) => {
                let known = self.find("enums", name).unwrap().as_object().unwrap();
                let known: BTreeSet<i64> = known.values().map(|v| v.as_i64().unwrap()).collect();
                assert_eq!(known, values.iter().map(|value| i64::from(*value)).collect(), "{at}");
            }
            Shape::TypedValue => self.check_typed_value(name),
            other => panic!("{at}: {name} is no {other:?}"),
        }
    }

    fn check_typed_value(&self, name: &str) {
        let cases = self.find("unions", name).unwrap()["cases"].as_array().unwrap();
        let found: Vec<_> =
            cases.iter().map(|c| (c["value"].as_i64().unwrap(), &c["field"])).collect();
        let kinds = ["int", "uint", "hyper", "uhyper", "double", "int", "named"];
        assert_eq!(found.len(), kinds.len());
        for ((value, field), (index, kind)) in found.iter().zip(kinds.iter().enumerate()) {
            assert_eq!(*value, index as i64 + 1);
            assert_eq!(field["kind"], *kind);
        }
    }

    fn check_struct(&self, at: &str, fields: &[Field], name: &str) {
        let facts = self.find("structs", name).unwrap_or_else(|| panic!("{at}: no {name}"));
        self.check_fields(at, fields.iter().collect::<Vec<_>>().as_slice(), facts);
    }

    fn check_fields(&self, at: &str, fields: &[&Field], facts: &Value) {
        let facts = facts.as_array().unwrap();
        assert_eq!(facts.len(), fields.len(), "{at}: fields");
        for (field, fact) in fields.iter().zip(facts) {
            assert_eq!(plain(field.name), plain(fact["name"].as_str().unwrap()), "{at}");
            self.check(&format!("{at}.{}", field.name), &field.shape, fact);
        }
    }

    /// A struct of arguments or of a reply; none means an empty body.
    fn check_body(&self, at: &str, shape: &Shape, name: &Value) {
        match (name.as_str(), shape) {
            (None, Shape::Void | Shape::Struct(_, [])) => {}
            (Some(name), Shape::Struct(_, fields)) if self.is_struct_of(fields, name) => {
                self.check_struct(at, fields, name);
            }
            // A reply of one field is that field.
            (Some(name), shape) => {
                let facts = self.find("structs", name).unwrap().as_array().unwrap();
                assert_eq!(facts.len(), 1, "{at}");
                self.check(at, shape, &facts[0]);
            }
            (None, shape) => panic!("{at}: nothing is no {shape:?}"),
        }
    }

    fn is_struct_of(&self, fields: &[Field], name: &str) -> bool {
        let facts = self.find("structs", name).unwrap().as_array().unwrap();
        let first = |facts: &[Value]| plain(facts[0]["name"].as_str().unwrap());
        fields.len() == facts.len() && plain(fields[0].name) == first(facts)
    }
}

/// A name without what our spelling changes.
fn plain(name: &str) -> String {
    name.trim_start_matches("r#").replace('_', "").to_lowercase()
}

fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}

#[test]
fn programs_have_libvirts_numbers() {
    let Some(folder) = folder() else { return };
    for (file, program, ..) in PROGRAMS {
        let facts = Facts::read(&folder, file);
        let number = facts.own["program"]["number_dec"].as_u64().unwrap();
        assert_eq!(u64::from(program::number(program)), number);
        assert_eq!(
            u64::from(program::version(program)),
            facts.own["program"]["version"].as_u64().unwrap()
        );
        assert_eq!(program::from_number(program::number(program)), Some(program));
    }
    let keepalive = Facts::read(&folder, "keepalive").own;
    assert_eq!(u64::from(program::KEEPALIVE), keepalive["program"]["number_dec"].as_u64().unwrap());
}

#[test]
fn calls_have_libvirts_numbers_types_and_limits() {
    let Some(folder) = folder() else { return };
    let mut seen = BTreeSet::new();
    for (file, program, prefix, ours) in PROGRAMS {
        let facts = Facts::read(&folder, file);
        for procedure in facts.procedures("call") {
            let name = procedure["name"].as_str().unwrap();
            let number = i32::try_from(procedure["number"].as_i64().unwrap()).unwrap();
            let call = lookup(program::number(program), number).unwrap_or_else(|| panic!("{name}"));
            let expected = format!("{ours}{}", camel(name.strip_prefix(prefix).unwrap()));
            assert_eq!((call.meta().name, format!("{call:?}")), (&*expected, expected.clone()));
            assert_eq!(address(call).procedure, number);
            facts.check_body(name, &request_shape(call), &procedure["args"]);
            facts.check_body(name, &reply_shape(call), &procedure["ret"]);
            seen.insert(call);
        }
    }
    assert_eq!(seen.len(), CallId::COUNT, "a call that libvirt does not have");
}

#[test]
fn calls_have_libvirts_access_rules_streams_and_descriptors() {
    let Some(folder) = folder() else { return };
    for (file, program, ..) in PROGRAMS {
        let facts = Facts::read(&folder, file);
        for procedure in facts.procedures("call") {
            let number = i32::try_from(procedure["number"].as_i64().unwrap()).unwrap();
            let meta = lookup(program::number(program), number).unwrap().meta();
            let name = meta.name;
            assert_eq!(meta.program, program);
            assert_eq!(meta.api, procedure["api"].as_str(), "{name}");
            assert_eq!(meta.since, procedure["since"].as_str(), "{name}");
            assert_eq!(meta.priority == Priority::High, procedure["priority"] == "high", "{name}");
            assert_eq!(meta.needs_auth, procedure["needs_auth"] != false, "{name}");
            check_rules(name, meta, procedure);
            let stream = procedure.get("stream");
            let way = stream.map(|stream| match stream["direction"].as_str().unwrap() {
                _ if stream["bidirectional"] == true => StreamKind::Both,
                "client_to_server" => StreamKind::In,
                _ => StreamKind::Out,
            });
            assert_eq!(meta.stream, way, "{name}");
            let sparse = stream.and_then(|stream| stream["sparse_flag_value"].as_u64());
            assert_eq!(meta.sparse_flag.map(u64::from), sparse, "{name}");
            let count = |key: &str| match procedure.get("fds").map(|fds| &fds[key]) {
                None => Fds::None,
                Some(count) if *count == 0 => Fds::None,
                Some(count) if *count == 1 => Fds::One,
                Some(_) => Fds::Many,
            };
            assert_eq!(meta.fds, (count("to_server"), count("to_client")), "{name}");
        }
    }
}

fn check_rules(name: &str, meta: &virtus_api::Meta, procedure: &Value) {
    let none = Vec::new();
    let list = |key: &str| procedure.get(key).and_then(Value::as_array).unwrap_or(&none).clone();
    let rules = list("acl");
    assert_eq!(rules.len(), meta.acl.len(), "{name}");
    for (rule, acl) in rules.iter().zip(meta.acl) {
        assert_eq!(acl.permission.object.name().replace('-', "_"), rule["object"], "{name}");
        assert_eq!(acl.permission.name, rule["permission"], "{name}");
        let mask = |of: &Value| u32::try_from(of.as_u64().unwrap()).unwrap();
        let when = match (rule.get("if_flags"), rule.get("if_param")) {
            (Some(flags), _) if flags["test"] == "all_set" => When::Has(mask(&flags["mask"])),
            (Some(flags), _) => When::Lacks(mask(&flags["mask"])),
            (_, Some(param)) => When::Is(mask(&param["value"])),
            _ => When::Always,
        };
        assert_eq!(acl.when, when, "{name}");
    }
    let filters = list("aclfilter");
    assert_eq!(filters.len(), meta.filter.len(), "{name}");
    for (rule, filter) in filters.iter().zip(meta.filter) {
        assert_eq!(filter.object.name().replace('-', "_"), rule["object"], "{name}");
        assert_eq!(filter.name, rule["permission"], "{name}");
    }
}

#[test]
fn events_have_libvirts_ids_numbers_and_fields() {
    let Some(folder) = folder() else { return };
    let mut expected = 0;
    for (file, program, ..) in PROGRAMS {
        let facts = Facts::read(&folder, file);
        for procedure in facts.procedures("event") {
            expected += 1;
            let number = i32::try_from(procedure["number"].as_i64().unwrap()).unwrap();
            let event = events::shapes()
                .find(|e| e.program == program::number(program) && e.procedure == number)
                .unwrap_or_else(|| panic!("{}", procedure["name"]));
            check_event(&facts, &event, procedure["msg"].as_str().unwrap());
        }
    }
    assert_eq!(events::shapes().count(), expected, "an event that libvirt does not have");
}

fn check_event(facts: &Facts, event: &events::EventShape, message: &str) {
    // Modern messages often nest the legacy one, which makes no difference on the wire.
    let mut flat = Vec::new();
    for field in facts.find("structs", message).unwrap().as_array().unwrap() {
        match (field["name"].as_str().unwrap(), field["type"].as_str()) {
            ("msg", Some(nested)) => {
                flat.extend(facts.find("structs", nested).unwrap().as_array().unwrap().clone());
            }
            _ => flat.push(field.clone()),
        }
    }
    if event.has_callback {
        assert_eq!((&flat[0]["name"], &flat[0]["kind"]), (&"callbackID".into(), &"int".into()));
        flat.remove(0);
    }
    let Shape::Struct(_, fields) = event.shape else { panic!("{message} is no struct") };
    let sent = |field: &&Field| event.fields.is_empty() || event.fields.contains(&field.name);
    let fields: Vec<&Field> = fields.iter().filter(sent).collect();
    facts.check_fields(message, &fields, &Value::Array(flat));
}

#[test]
fn events_are_registered_by_libvirts_ids() {
    let Some(folder) = folder() else { return };
    let facts = Facts::read(&folder, "remote");
    for (family, list) in facts.own["events"].as_object().unwrap() {
        let family = match family.as_str() {
            "domain" => Family::Domain,
            "network" => Family::Network,
            "storage_pool" => Family::StoragePool,
            "node_device" => Family::NodeDevice,
            "secret" => Family::Secret,
            _ => continue,
        };
        for event in list.as_array().unwrap() {
            for key in ["proc_number", "legacy_proc_number"] {
                let Some(number) = event.get(key).and_then(Value::as_i64) else { continue };
                let program = program::number(Program::Remote);
                let found = events::shapes()
                    .find(|e| e.program == program && i64::from(e.procedure) == number)
                    .unwrap();
                assert_eq!(
                    (found.family, Some(i64::from(found.id))),
                    (family, event["event_id"].as_i64())
                );
                assert_eq!(found.has_callback, key == "proc_number");
            }
        }
    }
}

#[test]
fn events_are_asked_for_by_libvirts_calls() {
    let Some(folder) = folder() else { return };
    let facts = Facts::read(&folder, "remote");
    let mut compared = 0;
    for (family, calls) in facts.own["event_registration"].as_object().unwrap() {
        let family = match family.as_str() {
            "domain" => Family::Domain,
            "network" => Family::Network,
            "storage_pool" => Family::StoragePool,
            "node_device" => Family::NodeDevice,
            "secret" => Family::Secret,
            _ => Family::Connection,
        };
        for call in calls.as_array().unwrap() {
            let legacy = call["delivers"] == "legacy_proc";
            for (key, adds) in [("register_number", true), ("deregister_number", false)] {
                let number = i32::try_from(call[key].as_i64().unwrap()).unwrap();
                let meta = lookup(program::number(Program::Remote), number).unwrap().meta();
                assert_eq!(meta.registers, Some(Registration { family, adds, legacy }));
                compared += 1;
            }
        }
    }
    let of_qemu = 2;
    let ours = CallId::ALL.into_iter().filter(|call| call.meta().registers.is_some());
    assert_eq!(ours.count(), compared + of_qemu);
}

#[test]
fn limits_have_libvirts_values() {
    let Some(folder) = folder() else { return };
    let facts = Facts::read(&folder, "net").own;
    let limit = |name: &str| facts["constants"][name].as_u64().unwrap() as usize;
    assert_eq!(
        crate::frame::MAX_FRAME,
        limit("VIR_NET_MESSAGE_MAX") + limit("VIR_NET_MESSAGE_LEN_MAX")
    );
    assert_eq!(crate::frame::HEADER, limit("VIR_NET_MESSAGE_HEADER_MAX"));
    assert_eq!(crate::frame::MAX_FDS, limit("VIR_NET_MESSAGE_NUM_FDS_MAX"));
    assert_eq!(crate::frame::STREAM_CHUNK, limit("VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX"));
    let net = Facts::read(&folder, "net");
    net.check_named(
        "error",
        &<virtus_api::NetError as crate::xdr::Xdr>::SHAPE,
        "virNetMessageError",
    );
    net.check_named(
        "hole",
        &<virtus_api::StreamHole as crate::xdr::Xdr>::SHAPE,
        "virNetStreamHole",
    );
}
