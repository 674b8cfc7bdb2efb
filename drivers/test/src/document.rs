// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<node>`: the document that describes a world. An element may stand in a file of its own
//! (`<domain file='a.xml'/>`), relative to the document's folder.
//!
//! What only this driver knows of a domain stands in the namespace `test:`: its state, whether it is transient,
//! whether it has saved memory, its snapshots.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use uuid::Uuid;
use virtus_api::{DomainState, Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::reader::{self, Node as Element};
use virtus_xml::value::Value;
use virtus_xml::{
    Document as _, Domain, HostInterface, Network, NodeDevice, ParseFlags, Snapshot, StoragePool,
    Volume,
};

use crate::auth::User;
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
        let text = load(file)?;
        Self::parse(&text, &file.display().to_string(), file.parent())
    }

    /// Reads a document, which errors call `what`, and whose relative files stand in `folder`. Blocks if it names
    /// files.
    ///
    /// # Errors
    /// `VIR_ERR_XML_ERROR`; that of the disk.
    pub(crate) fn parse(text: &str, what: &str, folder: Option<&Path>) -> Result<Self> {
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
                document.take(child, folder)?;
            }
            Ok(document)
        };
        let parsed = reader::parse_for(ErrorDomain::Test, text, what, ParseFlags::empty(), read)?;
        for warning in parsed.warnings {
            tracing::warn!("line {}, column {}: {}", warning.line, warning.column, warning.text);
        }
        Ok(parsed.value)
    }

    fn take(&mut self, child: Element<'_>, folder: Option<&Path>) -> Result<()> {
        match child.name() {
            "auth" => {
                let users = child.children().filter(|user| user.name() == "user");
                self.users = users.map(User::parse).collect::<Result<_>>()?;
            }
            "network" => {
                let mut network: Network = parsed(child, folder)?;
                network.uuid.get_or_insert_with(Uuid::new_v4);
                self.networks.push(network);
            }
            "interface" => self.interfaces.push(parsed(child, folder)?),
            "device" => self.devices.push(parsed(child, folder)?),
            "pool" => self.pools.push(PoolEntry::parse(&text_of(child, folder)?, folder)?),
            "domain" => self.domains.push(DomainEntry::parse(&text_of(child, folder)?, folder)?),
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
        let all = [node.nodes, node.sockets, node.cores, node.threads];
        let all = all.into_iter().fold(1, u32::saturating_mul);
        node.cpus = active.map_or(all, |active| active.min(all));
        Ok(())
    }
}

impl PoolEntry {
    fn parse(text: &str, folder: Option<&Path>) -> Result<Self> {
        let mut def = StoragePool::parse(text, ParseFlags::INACTIVE)?.value;
        def.uuid.get_or_insert_with(Uuid::new_v4);
        let read = |root: Element<'_>| {
            let volumes = root.children().filter(|child| child.name() == "volume");
            let volumes = volumes.map(|volume| parsed(volume, folder)).collect::<Result<_>>()?;
            Ok(Self { def, volumes })
        };
        reader::parse(text, "(storage_pool_definition)", ParseFlags::empty(), read)
            .map(|parsed| parsed.value)
    }
}

impl DomainEntry {
    fn parse(text: &str, folder: Option<&Path>) -> Result<Self> {
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
                        let text = without_prefix(text_of(child, folder)?);
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

/// What the document says that an element stands for.
fn parsed<T: virtus_xml::Document>(element: Element<'_>, folder: Option<&Path>) -> Result<T> {
    Ok(T::parse(&text_of(element, folder)?, ParseFlags::INACTIVE)?.value)
}

/// The document that an element stands for: its file, or itself.
fn text_of(element: Element<'_>, folder: Option<&Path>) -> Result<String> {
    match element.attr("file") {
        Some(file) => {
            let file: String = file.value()?;
            load(&folder.unwrap_or(Path::new("/")).join(file))
        }
        None => Ok(element.as_document()),
    }
}

fn load(file: &Path) -> Result<String> {
    let failed = |attempt: &str, cause: &std::io::Error| {
        Error::system(format!("Failed to {attempt} file '{}'", file.display()), cause)
    };
    let mut opened = File::open(file).map_err(|cause| failed("open", &cause))?;
    let mut text = String::new();
    opened.read_to_string(&mut text).map_err(|cause| failed("read", &cause))?;
    Ok(text)
}

fn wrong(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::XmlError, text).in_domain(ErrorDomain::Test)
}
