// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<node>`: the document that describes a world. An element may stand in a file of its own
//! (`<domain file='a.xml'/>`), relative to the document's folder.
//!
//! What only this driver knows of a domain stands in the namespace `test:`: its state, whether it is transient,
//! whether it has saved memory, its snapshots.

use std::cell::Cell;
use std::path::Path;

use uuid::Uuid;
use virtus_api::{DomainState, Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::cpuset::LIMIT;
use virtus_xml::limits::MAX_BYTES;
use virtus_xml::reader::{self, Node as Element};
use virtus_xml::value::Value;
use virtus_xml::{
    Document as _, Domain, HostInterface, Network, NodeDevice, ParseFlags, Snapshot, StoragePool,
    Volume,
};

use crate::auth::User;
use crate::files;
use crate::node::Node;

/// The namespace of a domain's elements that are for this driver.
const NAMESPACE: &str = "http://libvirt.org/schemas/domain/test/1.0";

/// What `<node>` describes.
#[derive(Default)]
pub(crate) struct Document {
    pub(crate) node: Node,
    pub(crate) domains: Vec<DomainEntry>,
    pub(crate) networks: Vec<Network>,
    pub(crate) interfaces: Vec<HostInterface>,
    pub(crate) devices: Vec<NodeDevice>,
    pub(crate) pools: Vec<PoolEntry>,
    /// Who may open the world; empty: everybody.
    pub(crate) users: Vec<User>,
}

/// A pool and the volumes that are in it.
pub(crate) struct PoolEntry {
    pub(crate) def: StoragePool,
    pub(crate) volumes: Vec<Volume>,
}

/// A domain and what is said of it beside its definition.
pub(crate) struct DomainEntry {
    pub(crate) def: Domain,
    pub(crate) state: DomainState,
    pub(crate) transient: bool,
    pub(crate) managed_save: bool,
    /// Each after the one that it comes after.
    pub(crate) snapshots: Vec<Snapshot>,
}

impl Document {
    /// Reads a file. Blocks.
    ///
    /// # Errors
    /// That of the disk; `VIR_ERR_XML_ERROR`.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let files = Files::of(file.parent());
        let text = files.load(file)?;
        Self::build(&text, &file.display().to_string(), &files)
    }

    /// Reads a document that names no files; errors call it `what`.
    ///
    /// # Errors
    /// `VIR_ERR_XML_ERROR`.
    pub(crate) fn parse(text: &str, what: &str) -> Result<Self> {
        Self::build(text, what, &Files::of(None))
    }

    fn build(text: &str, what: &str, files: &Files<'_>) -> Result<Self> {
        let read = |root: Element<'_>| {
            root.expect("node")?;
            let mut document = Self::default();
            if let Some(cpu) = root.find("cpu") {
                document.take_cpu(cpu)?;
            }
            if let Some(memory) = root.find("memory") {
                document.node.memory = number(memory, "memory")?;
            }
            for child in root.children() {
                document.take(child, files)?;
            }
            Ok(document)
        };
        let parsed = reader::parse_for(ErrorDomain::Test, text, what, ParseFlags::empty(), read)?;
        for warning in parsed.warnings {
            tracing::warn!("line {}, column {}: {}", warning.line, warning.column, warning.text);
        }
        Ok(parsed.value)
    }

    fn take(&mut self, child: Element<'_>, files: &Files<'_>) -> Result<()> {
        match child.name() {
            "auth" => {
                let users = child.children().filter(|user| user.name() == "user");
                self.users = users.map(User::parse).collect::<Result<_>>()?;
            }
            "network" => {
                let mut network: Network = files.parsed(child)?;
                network.uuid.get_or_insert_with(Uuid::new_v4);
                self.networks.push(network);
            }
            "interface" => self.interfaces.push(files.parsed(child)?),
            "device" => self.devices.push(files.parsed(child)?),
            "pool" => self.pools.push(PoolEntry::parse(&files.text_of(child)?, files)?),
            "domain" => self.domains.push(DomainEntry::parse(&files.text_of(child)?, files)?),
            _ => {}
        }
        Ok(())
    }

    fn take_cpu(&mut self, cpu: Element<'_>) -> Result<()> {
        let node = &mut self.node;
        let mut active = None;
        for child in cpu.children() {
            match child.name() {
                "nodes" => node.nodes = number(child, "cpu nodes")?,
                "sockets" => node.sockets = number(child, "cpu sockets")?,
                "cores" => node.cores = number(child, "cpu cores")?,
                "threads" => node.threads = number(child, "cpu threads")?,
                "active" => active = Some(number::<u32>(child, "cpu active")?),
                "mhz" => node.mhz = number(child, "cpu mhz")?,
                "model" => node.model = model(child)?,
                _ => {}
            }
        }
        let factors = [node.nodes, node.sockets, node.cores, node.threads];
        let all = factors.into_iter().fold(1, u32::saturating_mul);
        // One of them may be 0, and cores are counted by themselves, too.
        let most = factors.into_iter().fold(all, u32::max);
        if most > LIMIT {
            return Err(wrong(format!("node has {most} CPUs, more than {LIMIT}")));
        }
        node.cpus = active.map_or(all, |active| active.min(all));
        Ok(())
    }
}

impl PoolEntry {
    fn parse(text: &str, files: &Files<'_>) -> Result<Self> {
        let mut def = StoragePool::parse(text, ParseFlags::INACTIVE)?.value;
        def.uuid.get_or_insert_with(Uuid::new_v4);
        let read = |root: Element<'_>| {
            let volumes = root.children().filter(|child| child.name() == "volume");
            let volumes = volumes.map(|volume| files.parsed(volume)).collect::<Result<_>>()?;
            Ok(Self { def, volumes })
        };
        reader::parse(text, "(storage_pool_definition)", ParseFlags::empty(), read)
            .map(|parsed| parsed.value)
    }
}

impl DomainEntry {
    fn parse(text: &str, files: &Files<'_>) -> Result<Self> {
        let def = Domain::parse(text, ParseFlags::INACTIVE | ParseFlags::ABI_UPDATE)?.value;
        let read = |root: Element<'_>| {
            let mut entry = Self {
                def,
                state: DomainState::Running,
                transient: false,
                managed_save: false,
                snapshots: Vec::new(),
            };
            for child in root.children().filter(|child| child.namespace() == Some(NAMESPACE)) {
                match child.name() {
                    "runstate" => entry.state = run_state(child)?,
                    "transient" => entry.transient = true,
                    "hasmanagedsave" => entry.managed_save = true,
                    "domainsnapshot" => {
                        let text = without_prefix(files.text_of(child)?);
                        entry.snapshots.push(Snapshot::parse(&text, ParseFlags::INACTIVE)?.value);
                    }
                    _ => {}
                }
            }
            entry.check()?;
            Ok(entry)
        };
        reader::parse(text, "(domain_definition)", ParseFlags::empty(), read)
            .map(|parsed| parsed.value)
    }

    fn check(&self) -> Result<()> {
        let off = self.state == DomainState::Shutoff;
        if self.transient && off {
            return Err(wrong("transient domain cannot have runstate 'shutoff'"));
        }
        if self.managed_save && !off {
            return Err(wrong("domain with managedsave data can only have runstate 'shutoff'"));
        }
        Ok(())
    }
}

/// A document whose root, but nothing in it, is in a namespace that it does not know.
fn without_prefix(text: String) -> String {
    let name =
        text.strip_prefix('<').and_then(|rest| rest.split([' ', '>', '/', '\n', '\t']).next());
    match name.and_then(|name| Some((name, name.split_once(':')?.1))) {
        Some((name, plain)) => {
            let open = text.replacen(&format!("<{name}"), &format!("<{plain}"), 1);
            open.replace(&format!("</{name}>"), &format!("</{plain}>"))
        }
        None => text,
    }
}

fn run_state(element: Element<'_>) -> Result<DomainState> {
    let number: i32 = element.text_value().map_err(|_| wrong("invalid runstate"))?;
    DomainState::try_from(number).map_err(|_| wrong(format!("runstate '{number}' out of range'")))
}

/// The number that an element holds.
fn number<T: Value>(element: Element<'_>, what: &str) -> Result<T> {
    element.text_value().map_err(|_| wrong(format!("invalid node {what} value")))
}

/// The model of the host's CPUs, which travels in 32 bytes of which the last is zero.
fn model(element: Element<'_>) -> Result<String> {
    let model = element.text().into_owned();
    if model.len() < 32 {
        return Ok(model);
    }
    Err(wrong(format!("Model {model} too big for destination")))
}

/// The files of a document. All of them together are no larger than one may be: whoever may look at worlds may ask for
/// one that names a thousand of them.
struct Files<'a> {
    folder: &'a Path,
    /// How many bytes may still be read.
    left: Cell<usize>,
}

impl<'a> Files<'a> {
    fn of(folder: Option<&'a Path>) -> Self {
        Self { folder: folder.unwrap_or(Path::new("/")), left: Cell::new(MAX_BYTES) }
    }

    /// What the document says that an element stands for.
    fn parsed<T: virtus_xml::Document>(&self, element: Element<'_>) -> Result<T> {
        Ok(T::parse(&self.text_of(element)?, ParseFlags::INACTIVE)?.value)
    }

    /// The document that an element stands for: its file, or itself.
    fn text_of(&self, element: Element<'_>) -> Result<String> {
        match element.attr("file") {
            Some(file) => {
                let file: String = file.value()?;
                self.load(&self.folder.join(file))
            }
            None => Ok(element.as_document()),
        }
    }

    fn load(&self, file: &Path) -> Result<String> {
        let shown = file.display();
        let text = files::read(file, self.left.get() + 1)
            .map_err(|cause| Error::system(format!("Failed to open file '{shown}'"), &cause))?;
        let left = self.left.get().checked_sub(text.len());
        self.left.set(left.ok_or_else(|| {
            wrong(format!(
                "with file '{shown}' the document is larger than {} MiB",
                MAX_BYTES >> 20
            ))
        })?);
        String::from_utf8(text).map_err(|_| wrong(format!("file '{shown}' is not UTF-8")))
    }
}

fn wrong(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::Test)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_files_of_a_document_have_one_limit_together() {
        let file = std::env::temp_dir().join(format!("virtus-document-{}", Uuid::new_v4()));
        let text = " ".repeat(MAX_BYTES / 2);
        files::create(&file).unwrap().write_all(text.as_bytes()).unwrap();
        let files = Files::of(None);
        assert_eq!(files.load(&file).unwrap(), text);
        assert_eq!(files.load(&file).unwrap(), text);
        let error = files.load(&file).unwrap_err();
        assert!(error.text().ends_with("is larger than 10 MiB"), "{error}");
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_host_has_no_more_cpus_than_maps_hold() {
        let parse = |nodes: u32, cores: u32| {
            let sockets = "<sockets>4</sockets><threads>2</threads>";
            let cpus = format!("<nodes>{nodes}</nodes>{sockets}<cores>{cores}</cores>");
            let text = format!("<node><cpu>{cpus}</cpu></node>");
            Document::parse(&text, "a").map(|document| document.node.cpus)
        };
        assert_eq!(parse(256, 8).unwrap(), 16384);
        let error = parse(257, 8).unwrap_err();
        assert_eq!(error.text(), "node has 16448 CPUs, more than 16384");
        assert_eq!(parse(0, 16384).unwrap(), 0);
        assert!(parse(0, 16385).is_err());
    }
}
