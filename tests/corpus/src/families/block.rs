// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Block graphs: nodes of disks, references and new images, bitmaps, nbdkit.

use serde_json::Value;
use virtus_api::Error;
use virtus_core::json;
use virtus_domain::image::Location;
use virtus_qemu::bitmaps::Nodes;
use virtus_qemu::plan::block::{self, Reference, Secret, Word};
use virtus_qemu::plan::{Context, Props, Sealed};
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::StorageSource;
use virtus_xml::tree::Tree;
use virtus_xml::{AnyDevice, Domain, ParseFlags};

use super::qemuxmlconf::{disks, surroundings};
use crate::{Case, Corpus, Verdict, compare};

fn said(error: Error) -> String {
    format!("ERROR {error}")
}

fn pretty(value: &Value) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|cause| cause.to_string())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// A disk as a status file has it, with the secrets that the data gives each image.
fn disk(text: &str) -> Result<Disk, String> {
    // The data has fragments of disks, too.
    let named = match text.contains("<target") {
        true => text.to_owned(),
        false => text.replace("</disk>", "<target dev='vda'/></disk>"),
    };
    let text = named.as_str();
    let parsed = AnyDevice::parse(text, ParseFlags::STATUS | ParseFlags::SKIP_VALIDATE, true)
        .map_err(said)?
        .value;
    let AnyDevice::Disk(mut disk) = parsed else { return Err("no <disk>".to_owned()) };
    let outer = (disk.auth.is_some(), disk.encryption.is_some());
    if let Some(source) = &mut disk.source {
        give_secrets(source, outer);
    }
    let mut next = disk.backing_store.as_deref_mut();
    while let Some(store) = next {
        if let Some(source) = &mut store.source {
            give_secrets(source, (false, false));
        }
        next = store.backing_store.as_deref_mut();
    }
    Ok(*disk)
}

fn give_secrets(source: &mut StorageSource, (auth, encryption): (bool, bool)) {
    let (auth, encryption) =
        (auth || source.auth.is_some(), encryption || source.encryption.is_some());
    let Some(private) = &mut source.private else { return };
    let node = |kind: &str| {
        let names = private.child("nodenames").map_or(&[][..], |names| &names.children);
        let found = names.iter().find(|name| name.attr("type") == Some(kind));
        found.and_then(|name| name.attr("name")).unwrap_or_default().to_owned()
    };
    let secret =
        |kind: &str, alias: String| Tree::new("secret").with("type", kind).with("alias", alias);
    let mut objects = private.child("objects").cloned().unwrap_or_else(|| Tree::new("objects"));
    if auth {
        objects.children.push(secret("auth", format!("{}-secalias", node("storage"))));
    }
    if encryption {
        objects.children.push(secret("encryption", format!("{}-encalias", node("format"))));
    }
    private.children.retain(|child| child.name != "objects");
    private.children.push(objects);
}

/// Surroundings in which every secret of a disk is known.
fn context(disk: &Disk) -> Context {
    let mut cx = surroundings::context(&Domain::default(), &Value::Null);
    let sealed = Sealed { data: String::new(), iv: String::new() };
    let mut take = |source: &StorageSource| {
        let objects = source.private.as_ref().and_then(|private| private.child("objects"));
        for object in objects.into_iter().flat_map(|objects| &objects.children) {
            let alias = object.attr("alias").unwrap_or_default().to_owned();
            cx.secrets.insert(alias, sealed.clone());
        }
    };
    disk.source.iter().for_each(&mut take);
    let mut next = disk.backing_store.as_deref();
    while let Some(store) = next {
        store.source.iter().for_each(&mut take);
        next = store.backing_store.as_deref();
    }
    cx
}

pub(super) fn nodes(corpus: &Corpus, case: &Case) -> Verdict {
    if case.name.starts_with("imagecreate:") {
        return creation(corpus, case);
    }
    let disk = disk(&case.read(corpus)?)?;
    let layers = block::layers(&disk, &context(&disk)).map_err(said)?;
    let (mut nodes, mut targets) = (String::new(), String::new());
    for layer in &layers {
        for node in layer.nodes.iter().rev() {
            nodes += &format!("{}\n", pretty(&node.clone().into_value())?);
        }
        let target = pretty(&layer.target.clone().into_value())?;
        let reference = match &layer.reference {
            Reference::Plain(text) => format!("{text}\n"),
            Reference::Json(props) => {
                format!("json:{{\"file\":{}\n}}\n", pretty(&props.clone().into_value())?)
            }
        };
        let body = format!("source only properties:\n{target}\nbacking store string:\n{reference}");
        targets += &format!("(\n{})\n", indented(&body));
    }
    compare::text(&case.read_expected(corpus, "blockdev")?, &nodes)?;
    compare::text(&case.read_expected(corpus, "source_only")?, &targets)
}

pub(super) fn nodes_refused(corpus: &Corpus, case: &Case) -> Verdict {
    let disk = disk(&case.read(corpus)?)?;
    compare::refused(&block::layers(&disk, &context(&disk)))
}

fn creation(corpus: &Corpus, case: &Case) -> Verdict {
    let new = disk(&case.read(corpus)?)?;
    let backing = case.param("backing").map(|path| disk(&corpus.read(path)?)).transpose()?;
    let size = |name: &str| case.params[name].as_u64().unwrap_or_default();
    let made =
        block::creation(&new, backing.as_ref(), size("capacity"), size("physical"), &context(&new))
            .map_err(said)?;
    let step = |props: Option<Props>| {
        props.map_or(Ok("<null>".to_owned()), |props| pretty(&props.into_value()).map(|p| p + "\n"))
    };
    let actual = format!("protocol:\n{}\nformat:\n{}", step(made.storage)?, step(made.format)?);
    compare::text(&case.read_expected(corpus, "json")?, &actual)
}

pub(super) fn round_trip(_: &Corpus, case: &Case) -> Verdict {
    let (kind, xml) = (case.param("type").ok_or("no type")?, case.param("xml").ok_or("no source")?);
    let text = format!("<disk type='{kind}'>{xml}<target dev='vda'/></disk>");
    let disk = disk(&text)?;
    let layers = block::layers(&disk, &context(&disk)).map_err(said)?;
    let target = layers.first().ok_or("no image")?.target.to_string();
    let found = Location::parse(&format!("json:{{\"file\":{target}}}")).map_err(said)?;
    compare::text(xml, &found.format())
}

/// The nodes of the chain that the data speaks of.
const CHAIN: [&str; 5] = [
    "libvirt-1-format",
    "libvirt-2-format",
    "libvirt-3-format",
    "libvirt-4-format",
    "libvirt-5-format",
];

fn node_data(corpus: &Corpus, path: &str) -> Result<Nodes, String> {
    let value = json::parse(&corpus.read(path)?).map_err(said)?;
    Ok(Nodes::read(value.get("return").unwrap_or(&value)))
}

fn known(corpus: &Corpus, case: &Case) -> Result<Nodes, String> {
    node_data(corpus, case.param("nodedata").ok_or("no data of nodes")?)
}

pub(super) fn bitmaps(corpus: &Corpus, case: &Case) -> Verdict {
    let nodes = node_data(corpus, case.input("file")?)?;
    let mut out = String::new();
    for name in CHAIN {
        let Some(node) = nodes.get(name) else { continue };
        out += &format!("{name}:\n");
        if node.qcow2_v2 {
            out += " qcow2 v2\n";
        }
        if !node.snapshots.is_empty() {
            out += " internal snapshots:";
            for (name, memory) in &node.snapshots {
                out += &format!(" '{name}'{}", if *memory { "(*)" } else { "" });
            }
            out.push('\n');
        }
        for bitmap in &node.bitmaps {
            out += &format!(
                " {:>8}: record:{} busy:{} persist:{} inconsist:{} gran:{} dirty:{}\n",
                bitmap.name,
                u8::from(bitmap.recording),
                u8::from(bitmap.busy),
                u8::from(bitmap.persistent),
                u8::from(bitmap.inconsistent),
                bitmap.granularity,
                bitmap.dirty
            );
        }
    }
    compare::text(&case.read_expected(corpus, "text")?, &out)
}

pub(super) fn soundness(corpus: &Corpus, case: &Case) -> Verdict {
    let name = case.param("bitmap").ok_or("no bitmap")?;
    let sound = known(corpus, case)?.is_sound(&CHAIN, name);
    if case.params["result"] == sound { Ok(()) } else { Err(format!("is {sound}")) }
}

/// A backing string, and the node under which QEMU opens what it names.
fn opened(corpus: &Corpus, case: &Case) -> Verdict {
    let found = Location::parse(case.read(corpus)?.trim_end()).map_err(said)?;
    let disk = Disk { kind: found.kind, source: Some(found.source), ..Disk::default() };
    let layers = block::layers(&disk, &context(&disk)).map_err(said)?;
    let target = layers.into_iter().next().ok_or("no image")?.target;
    compare::text(&case.read_expected(corpus, "json")?, &pretty(&target.into_value())?)
}

pub(super) fn json(corpus: &Corpus, case: &Case) -> Verdict {
    if case.name.starts_with("json2json:") {
        return opened(corpus, case);
    }
    let nodes = known(corpus, case)?;
    let param = |name: &str| case.param(name).ok_or(format!("no {name}"));
    let array = |actions: Vec<Value>| pretty(&Value::Array(actions));
    let place = |name: &str| case.params[name].as_u64().map_or(0, |number| number as usize - 1);
    let actual = match case.name.split(':').next() {
        Some("backup") => array(nodes.backup(
            &CHAIN,
            param("incremental")?,
            param("target_node")?,
            param("target_bitmap")?,
        ))?,
        Some("checkpoint-delete") => {
            let (bitmap, disk) = (param("delete_bitmap")?, param("disk")?);
            let (actions, below) = nodes.delete(&CHAIN, bitmap, disk).map_err(said)?;
            let mut out = array(actions)?;
            if !below.is_empty() {
                out += &format!("\nreopen nodes:\n{}", below.join("\n"));
            }
            out
        }
        Some("blockcopy") => {
            let shallow = case.params["shallow"] == true;
            array(nodes.block_copy(&CHAIN, shallow, param("mirror_node")?))?
        }
        Some("blockcommit") => {
            let actions = nodes.block_commit(&CHAIN, place("top"), place("base"));
            // The data spells the heading so.
            format!(
                "merge bitmpas:\n{}",
                if actions.is_empty() { String::new() } else { array(actions)? }
            )
        }
        _ => return Err("no such computation".to_owned()),
    };
    let role = if case.expected("json").is_some() { "json" } else { "text" };
    compare::text(&case.read_expected(corpus, role)?, &actual)
}

pub(super) fn nbdkit(corpus: &Corpus, case: &Case) -> Verdict {
    let domain = Domain::parse(&case.read_input(corpus, "file")?, ParseFlags::INACTIVE);
    let domain = domain.map_err(said)?.value;
    let mut cx = surroundings::context(&domain, &case.params);
    let state = case.param("state_dir").unwrap_or_default().replace("<name>", &domain.name);
    cx.nbdkit = disks::nbdkit(&case.params, &state);
    let mut fd = case.params["first_pipe_fd"].as_u64().unwrap_or_default();
    let mut seen = 0;
    for (at, disk) in domain.devices.disks.iter().enumerate() {
        let socket = |depth| format!("{state}/nbdkit-disk{at}-src{depth}.socket");
        let runs = block::nbdkit(disk, &cx, socket).map_err(said)?;
        for (depth, run) in runs.into_iter().enumerate() {
            let Some(run) = run else { continue };
            let role = format!("args.disk{at}-src{depth}");
            let env = run.env.iter().map(|(name, value)| format!("{name}={value}"));
            let mut words: Vec<String> = env.chain(["nbdkit".to_owned()]).collect();
            for word in run.args {
                match word {
                    Word::Text(text) => words.push(text),
                    Word::Secret { key, secret } => {
                        words.push(format!("{key}=-{fd}"));
                        let value = match secret {
                            Secret::Text(text) => text,
                            Secret::Password => password(disk),
                        };
                        let pipe = format!("{role}.pipe.{}", fd + 1);
                        let expected = case.read_expected(corpus, &pipe)?;
                        compare::text(expected.trim_end_matches('\0'), &value)?;
                        fd += 2;
                    }
                }
            }
            compare::command_line(&case.read_expected(corpus, &role)?, &words)?;
            seen += 1;
        }
    }
    if seen == case.roles("args.") { Ok(()) } else { Err(format!("{seen} images are served")) }
}

/// The value of the secret of a disk's `<auth>`, as the data has it.
fn password(disk: &Disk) -> String {
    let auth = disk.source.as_ref().and_then(|source| source.auth.as_ref()).or(disk.auth.as_ref());
    let secret = auth.and_then(|auth| auth.secret.clone()).unwrap_or_default();
    let kind = secret.kind.map(|kind| kind.to_string()).unwrap_or_default();
    let name = secret.usage.or(secret.uuid.map(|uuid| uuid.to_string())).unwrap_or_default();
    format!("{kind}-{name}-secret")
}
