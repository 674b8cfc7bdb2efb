// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Disk images: JSON, backing strings, and the chains that headers tell of.

use std::fs;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode};
use virtus_core::json;
use virtus_domain::image::chain::{self, Image, Look};
use virtus_domain::image::{Location, probe};
use virtus_xml::domain::storage::{ImageFormat, StorageType};
use virtus_xml::value::Value as _;

use crate::{Case, Corpus, Verdict, compare};

pub(super) fn json(corpus: &Corpus, case: &Case) -> Verdict {
    let text = match case.param("doc") {
        Some(text) => text.to_owned(),
        // The data breaks long lines with a backslash.
        None => case.read(corpus)?.replace("\\\n", ""),
    };
    let read = json::parse(&text).and_then(|value| match case.name.split_once(':') {
        Some(("deflatten", _)) => json::deflatten(value),
        _ => Ok(value),
    });
    if case.expect != "ok" {
        return compare::refused(&read);
    }
    let mut value = read.map_err(said)?;
    if case.param("operation").is_some() {
        let members = value.as_object_mut().ok_or("no object")?;
        members.shift_remove("name").ok_or("there was nothing to remove")?;
        members.insert("newname".to_owned(), "foo".into());
    }
    let actual = match case.param("format") {
        Some("pretty") => serde_json::to_string_pretty(&value),
        _ => serde_json::to_string(&value),
    };
    let expected = match case.param("result") {
        Some(text) => text.to_owned(),
        None => case.read_expected(corpus, "json")?.replace("\\\n", ""),
    };
    compare::text(&expected, &actual.map_err(|cause| cause.to_string())?)
}

pub(super) fn backing(_: &Corpus, case: &Case) -> Verdict {
    let found = Location::parse(case.param("backing").ok_or("no backing string")?);
    let Some(expected) = case.param("expected_xml") else { return compare::refused(&found) };
    let found = found.map_err(said)?;
    if found.credentials != (case.params["auth_ignored"] == true) {
        return Err(format!("credentials: {}", found.credentials));
    }
    compare::text(expected, &found.format())
}

/// Images below a folder that stands for the data's.
struct Shelf;

impl Look for Shelf {
    fn head(&mut self, image: &Location, _: Option<&Location>) -> Result<Option<Vec<u8>>, Error> {
        if image.kind != StorageType::File {
            return Ok(None);
        }
        let mut bytes = fs::read(image.name())
            .map_err(|cause| Error::new(ErrorCode::SystemError, cause.to_string()))?;
        bytes.truncate(probe::LENGTH);
        Ok(Some(bytes))
    }

    fn kind(&mut self, path: &str) -> StorageType {
        if Path::new(path).is_dir() { StorageType::Dir } else { StorageType::File }
    }
}

/// The folder of the data, or a copy to which the case's links are added.
fn shelf(corpus: &Corpus, case: &Case) -> Result<PathBuf, String> {
    let Some(links) = case.params["symlinks_to_create"].as_object() else {
        return Ok(corpus.data());
    };
    let said = |cause: std::io::Error| cause.to_string();
    let root = std::env::temp_dir().join(format!("virtus-images-{}", std::process::id()));
    let images = "virstoragetestdata/images";
    fs::create_dir_all(root.join(images).join("sub")).map_err(said)?;
    for entry in fs::read_dir(corpus.data().join(images)).map_err(said)? {
        let path = entry.map_err(said)?.path();
        let name = path.file_name().ok_or("a file without a name")?;
        fs::copy(&path, root.join(images).join(name)).map_err(said)?;
    }
    for (link, target) in links {
        let target = target.as_str().ok_or("a link to nothing")?;
        std::os::unix::fs::symlink(target, root.join(link)).map_err(said)?;
    }
    Ok(root)
}

pub(super) fn chain(corpus: &Corpus, case: &Case) -> Verdict {
    let root = shelf(corpus, case)?;
    let result = walked(case, &root);
    if root != corpus.data() {
        fs::remove_dir_all(&root).map_err(|cause| cause.to_string())?;
    }
    if case.expect != "ok" {
        return compare::refused(&result);
    }
    let images = result.map_err(said)?;
    let blocks: Vec<String> = images.iter().map(block).collect();
    let actual = blocks.join("\n").replace(&*root.to_string_lossy(), "ABS_SRCDIR");
    compare::text(&case.read_expected(corpus, "dump")?, &actual)
}

fn walked(case: &Case, root: &Path) -> Result<Vec<Image>, Error> {
    let path = root.join(case.param("start").unwrap_or_default());
    let mut top = Location::file(&path.to_string_lossy());
    if path.is_dir() {
        // The data names the folder so.
        top.source.dir = top.source.file.take().map(|path| path + "/");
        top.kind = StorageType::Dir;
    }
    let format = case.param("format").and_then(ImageFormat::parse);
    let deepest = case.params["max_depth"].as_u64().unwrap_or_default();
    chain::walk(top, format.or(Some(ImageFormat::Raw)), deepest as usize, &mut Shelf)
}

/// One image as libvirt's test prints it.
fn block(image: &Image) -> String {
    let head = &image.head;
    let source = &image.location.source;
    let null = |text: Option<&str>| text.unwrap_or("<null>").to_owned();
    let format = match (&head.backing, head.backing_format) {
        (None, _) => "none(0)".to_owned(),
        (Some(_), None) => "<null>(-1)".to_owned(),
        (Some(_), Some(format)) => format!("{format}({})", number(format)),
    };
    let mut out = format!(
        "path:{}\nbackingStoreRaw: {}\nbackingStoreRawFormat: {format}\ncapacity: {}\n\
         encryption: {}\nrelPath:{}\ntype:{}\nformat:{}\nprotocol:{}\nhostname:{}\n",
        image.location.name(),
        null(head.backing.as_deref()),
        head.capacity.unwrap_or(0),
        u8::from(head.encrypted),
        null(image.relative.as_deref()),
        image.location.kind,
        head.format,
        source.protocol.map_or("none", |protocol| protocol.as_str()),
        null(source.hosts.first().and_then(|host| host.name.as_deref())),
    );
    if let (Some(name), Some(data)) = (&head.data_file, &image.data_file) {
        out += &format!(
            "\ndataFileRaw: {name}\n\n\ndataFileStoreSource:\npath: {}\ncapacity: 0\n\
             encryption: 0\ntype:{}\nformat:raw\n",
            data.name(),
            data.kind
        );
    }
    out
}

/// The number of a format in libvirt's list.
fn number(format: ImageFormat) -> usize {
    const LIST: &str =
        "none raw dir bochs cloop dmg iso vpc vdi fat vhd ploop cow qcow qcow2 qed vmdk";
    LIST.split(' ').position(|word| word == format.as_str()).unwrap_or(0)
}

fn said(error: Error) -> String {
    format!("ERROR {error}")
}
