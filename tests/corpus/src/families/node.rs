// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hosts on paper: `/proc` and `/sys` as they lie in the data, laid out as files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use virtus_core::conf::Conf;
use virtus_host::capabilities::CellMemory;
use virtus_host::node::Node;
use virtus_xml::capabilities::{
    Capabilities, Host, HostCpu, IommuSupport, MigrationFeatures, PowerManagement,
};

use crate::{Case, Corpus, Verdict, compare};

/// A folder that stands for `/` and is removed when it is no longer needed.
pub(super) struct Root(PathBuf);

impl Root {
    fn new() -> Result<Self, String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("virtus-corpus-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(&root).map_err(|cause| format!("{}: {cause}", root.display()))?;
        Ok(Self(root))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self, path: &str, content: &str) -> Result<(), String> {
        use std::io::Write;
        let path = self.made(path)?;
        let file = fs::File::create(&path).and_then(|mut file| file.write_all(content.as_bytes()));
        file.map_err(|cause| format!("{}: {cause}", path.display()))
    }

    /// The path below the root, its folder there.
    fn made(&self, path: &str) -> Result<PathBuf, String> {
        let path = self.0.join(path);
        let folder = path.parent().unwrap_or(&self.0);
        fs::create_dir_all(folder).map_err(|cause| format!("{}: {cause}", folder.display()))?;
        Ok(path)
    }

    /// Lays out a tree below `place`.
    fn tree(&self, place: impl Fn(&str) -> Option<String>, tree: &Value) -> Result<(), String> {
        for (name, content) in tree["files"].as_object().into_iter().flatten() {
            if let (Some(path), Some(text)) = (place(name), content.as_str()) {
                self.file(&path, text)?;
            }
        }
        for (name, target) in tree["links"].as_object().into_iter().flatten() {
            let (Some(path), Some(target)) = (place(name), target.as_str()) else { continue };
            let path = self.made(&path)?;
            symlink(target, &path).map_err(|cause| format!("{}: {cause}", path.display()))?;
        }
        for name in tree["dirs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if let Some(path) = place(name) {
                self.made(&format!("{path}/x"))?;
            }
        }
        Ok(())
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // What is left of it disturbs nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The case's tree, each of its paths where `place` puts it.
fn laid_out(
    corpus: &Corpus,
    case: &Case,
    place: impl Fn(&str) -> Option<String>,
) -> Result<Root, String> {
    let root = Root::new()?;
    let path = case.input("sysfs")?;
    let mut tree = parsed(corpus, path)?;
    borrow(corpus, path.trim_end_matches(TREE), &mut tree)?;
    root.tree(place, &tree)?;
    Ok(root)
}

/// How the names of trees end.
const TREE: &str = ".tree.json";

fn parsed(corpus: &Corpus, path: &str) -> Result<Value, String> {
    serde_json::from_str(&corpus.read(path)?).map_err(|cause| cause.to_string())
}

/// Replaces links from the tree called `name` into other trees by what they lead to.
fn borrow(corpus: &Corpus, name: &str, tree: &mut Value) -> Result<(), String> {
    let links = tree["links"].as_object().cloned().unwrap_or_default();
    for (link, target) in links {
        let target = resolved(&format!("{name}/{link}"), target.as_str().unwrap_or_default());
        if target.starts_with(&format!("{name}/")) {
            continue;
        }
        let [folder, other, inside] = target.splitn(3, '/').collect::<Vec<_>>()[..] else {
            continue;
        };
        let lender = parsed(corpus, &format!("{folder}/{other}{TREE}"))?;
        for kind in ["files", "links"] {
            for (path, content) in lender[kind].as_object().into_iter().flatten() {
                if let Some(rest) = path.strip_prefix(&format!("{inside}/")) {
                    tree[kind][format!("{link}/{rest}")] = content.clone();
                }
            }
        }
        if let Some(links) = tree["links"].as_object_mut() {
            links.remove(&link);
        }
    }
    Ok(())
}

/// Where a link leads to.
fn resolved(link: &str, target: &str) -> String {
    let mut path: Vec<&str> = link.split('/').collect();
    path.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(path.pop()),
            "." => {}
            part => path.push(part),
        }
    }
    path.join("/")
}

fn host(corpus: &Corpus, case: &Case) -> Result<(Root, Node), String> {
    let root = laid_out(corpus, case, |name| Some(format!("sys/devices/system/{name}")))?;
    root.file("proc/cpuinfo", &case.read_input(corpus, "cpuinfo")?)?;
    let subcores = if case.param("arch") == Some("ppc64") { 8 } else { 0 };
    let node = Node::below(root.path()).with_subcores(subcores);
    Ok((root, node))
}

pub(super) fn information(corpus: &Corpus, case: &Case) -> Verdict {
    let (_root, node) = host(corpus, case)?;
    let topology = node.topology();
    let line = format!(
        "CPUs: {}/{}, MHz: {}, Nodes: {}, Sockets: {}, Cores: {}, Threads: {}\n",
        topology.online(),
        topology.cpus.len(),
        node.mhz(),
        topology.nodes,
        topology.sockets,
        topology.cores,
        topology.threads
    );
    compare::text(&case.read_expected(corpus, "nodeinfo")?, &line)
}

pub(super) fn signature(corpus: &Corpus, case: &Case) -> Verdict {
    let (_root, node) = host(corpus, case)?;
    let signature = node.cpu_signature(case.param("arch").unwrap_or_default());
    let expected = match case.expected("signature") {
        Some(_) => Some(case.read_expected(corpus, "signature")?.trim_end().to_owned()),
        None => None,
    };
    if signature == expected { Ok(()) } else { Err(format!("{signature:?}, not {expected:?}")) }
}

/// The host's part of the capabilities document; the suite makes up how much memory its nodes have.
pub(super) fn capabilities(corpus: &Corpus, case: &Case) -> Verdict {
    let place = |name: &str| match name.split_once('/')? {
        ("system", rest) => Some(format!("sys/devices/system/{rest}")),
        ("resctrl", rest) => Some(format!("sys/fs/resctrl/{rest}")),
        _ => None,
    };
    let root = laid_out(corpus, case, place)?;
    let node = Node::below(root.path());
    let memory = |id: u32| {
        let id = u64::from(id);
        let sizes = [4, 2048, 1_048_576].into_iter().zip(0..);
        CellMemory {
            total: Some((id + 1) << 20),
            pages: sizes.map(|(size, index)| (size, (id + 1 + index) * 2048)).collect(),
        }
    };
    let flag = |name: &str| case.params[name] == true;
    let host = Host {
        cpu: HostCpu { arch: case.param("arch").map(str::to_owned), ..HostCpu::default() },
        power_management: Some(PowerManagement::default()),
        iommu: Some(IommuSupport::default()),
        migration_features: flag("offline_migrate")
            .then(|| MigrationFeatures { live: flag("live_migrate"), uri_transports: None }),
        topology: Some(node.host_topology(memory)),
        cache: node.host_caches(),
        memory_bandwidth: node.host_bandwidth(),
        ..Host::default()
    };
    let document = Capabilities { host, guests: Vec::new() };
    compare::text(&case.read_expected(corpus, "xml")?, &document.format())
}

pub(super) fn configuration(corpus: &Corpus, case: &Case) -> Verdict {
    let conf = Conf::parse(Path::new("file.conf"), &case.read_input(corpus, "file")?);
    let conf = conf.map_err(|error| error.to_string())?;
    compare::text(&case.read_expected(corpus, "conf")?, &conf.to_string())
}
