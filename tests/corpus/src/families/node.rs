// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Hosts on paper: `/proc` and `/sys` as they lie in the data, laid out as files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use virtus_core::conf::Conf;
use virtus_host::node::Node;

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
            if let (Some(path), Some(target)) = (place(name), target.as_str()) {
                let path = self.made(&path)?;
                symlink(target, &path).map_err(|cause| format!("{}: {cause}", path.display()))?;
            }
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

/// The case's tree below `place`.
pub(super) fn laid_out(
    corpus: &Corpus,
    case: &Case,
    place: impl Fn(&str) -> Option<String>,
) -> Result<Root, String> {
    let tree = serde_json::from_str(&case.read_input(corpus, "sysfs")?);
    let root = Root::new()?;
    root.tree(place, &tree.map_err(|cause| cause.to_string())?)?;
    Ok(root)
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

pub(super) fn configuration(corpus: &Corpus, case: &Case) -> Verdict {
    let conf = Conf::parse(Path::new("file.conf"), &case.read_input(corpus, "file")?);
    let conf = conf.map_err(|error| error.to_string())?;
    compare::text(&case.read_expected(corpus, "conf")?, &conf.to_string())
}
