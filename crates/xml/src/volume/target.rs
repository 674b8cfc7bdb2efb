// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<target>` and `<backingStore>` of a volume: the image itself and the one below it.

use virtus_api::Result;

use crate::domain::storage::Encryption;
use crate::pool::permissions::Permissions;
use crate::pool::source::FormatName;
use crate::pool::{PoolType, unsupported, xml_error};
use crate::reader::{Element, Node};
use crate::schema::{Shape, kinds};
use crate::slot::Reported;
use crate::units::{Bytes, scaled};
use crate::value::{Allowed, Value};
use crate::writer::{Escaped, Writer};

element! {
    /// `<target>`.
    pub struct VolumeTarget {
        leaf path: Option<String> = "path",
        child format: Option<FormatName> = "format",
        child permissions: Permissions = "permissions",
        child timestamps: Reported<Timestamps> = "timestamps",
        block encryption: Option<Encryption> = "encryption",
        leaf compat: Option<String> = "compat",
        child nocow: NoCow = "nocow",
        child cluster_size: Option<ClusterSize> = "clusterSize",
        child features: Option<ImageFeatures> = "features"
    }
    schema { leaf kinds::ImageVersion = "compat" }
}

element! {
    /// `<backingStore>`.
    pub struct BackingImage {
        leaf path: Option<String> = "path",
        child format: Option<FormatName> = "format",
        child permissions: Permissions = "permissions",
        child timestamps: Reported<Timestamps> = "timestamps"
    }
    schema { one_leaf String = "path" }
}

element! {
    /// `<timestamps>`.
    pub struct Timestamps {
        leaf atime: Option<Timestamp> = "atime",
        leaf mtime: Option<Timestamp> = "mtime",
        leaf ctime: Option<Timestamp> = "ctime",
        leaf btime: Option<Timestamp> = "btime"
    }
}

/// Seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timestamp {
    pub seconds: u64,
    pub nanoseconds: u32,
}

impl Value for Timestamp {
    const ALLOWED: Allowed = Allowed::A("seconds such as 1341933637.273190990");
    fn parse(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.trim_ascii().split_once('.').unwrap_or((text, ""));
        let digits = fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
        let nanoseconds = format!("{fraction:0<9}").parse().ok().filter(|_| digits)?;
        Some(Self { seconds: seconds.trim_ascii().parse().ok()?, nanoseconds })
    }
    fn write(&self, out: &mut Escaped<'_>) {
        out.put(self.seconds);
        if self.nanoseconds != 0 {
            out.put(format_args!(".{:09}", self.nanoseconds));
        }
    }
}

/// `<nocow/>`: a wish about the file that is created, so it is not written back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoCow(pub bool);

impl Element for NoCow {
    const SHAPE: &'static Shape = Shape::EMPTY;
    fn read(_: Node<'_>) -> Result<Self> {
        Ok(Self(true))
    }
    fn write(&self, _: &str, _: &mut Writer) {}
}

/// `<clusterSize>`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClusterSize(pub u64);

impl Element for ClusterSize {
    const SHAPE: &'static Shape = Bytes::SHAPE;
    fn read(node: Node<'_>) -> Result<Self> {
        scaled(node, 1).map(Self)
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        out.attr_text("unit", "B");
        out.text(&self.0);
        out.end(tag);
    }
}

spellings! {
    /// A feature of a qcow2 image.
    pub enum ImageFeature { LazyRefcounts = "lazy_refcounts", ExtendedL2 = "extended_l2" }
}

/// `<features>`: an element for each; none at all still says that the image is not of the oldest version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageFeatures {
    pub features: Vec<ImageFeature>,
}

impl Element for ImageFeatures {
    const SHAPE: &'static Shape = shape!(ImageFeatures: flag "lazy_refcounts", flag "extended_l2");
    fn read(node: Node<'_>) -> Result<Self> {
        let mut features = Vec::new();
        for child in node.children() {
            let feature = ImageFeature::parse(child.name())
                .ok_or_else(|| unsupported(format!("unsupported feature {}", child.name())))?;
            if !features.contains(&feature) {
                features.push(feature);
            }
        }
        features.sort_unstable();
        Ok(Self { features })
    }
    fn write(&self, tag: &str, out: &mut Writer) {
        out.start(tag);
        for feature in &self.features {
            out.empty(feature.as_str());
        }
        out.end(tag);
    }
}

impl VolumeTarget {
    pub(super) fn settle(&mut self, pool: PoolType) -> Result<()> {
        self.path.take_if(|path| path.is_empty());
        self.permissions.settle();
        self.format = settled_format(self.format.take(), pool)?;
        self.compat.take_if(|compat| compat.is_empty());
        if let Some(encryption) = &self.encryption {
            encryption.check()?;
        }
        if let Some(compat) = &self.compat {
            let number = |text: &str| text.parse::<u32>().is_ok();
            if !compat.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor))
            {
                return Err(xml_error("forbidden characters in 'compat' attribute"));
            }
        }
        if self.features.is_some() {
            self.compat.get_or_insert_with(|| "1.1".to_owned());
        }
        self.cluster_size.take_if(|size| size.0 == 0);
        Ok(())
    }
}

impl BackingImage {
    pub(super) fn settle(&mut self, pool: PoolType) -> Result<()> {
        self.permissions.settle();
        self.format = settled_format(self.format.take(), pool)?;
        Ok(())
    }
}

/// The format that is named, or that images in such a pool have.
fn settled_format(named: Option<FormatName>, pool: PoolType) -> Result<Option<FormatName>> {
    let Some(formats) = pool.rules().volume_formats else { return Ok(None) };
    let named = named.and_then(|format| format.kind).filter(|kind| !kind.is_empty());
    let format = formats.choose(named.as_deref()).ok_or_else(|| {
        let known = formats.known.join(", ");
        unsupported(format!("unknown volume format type {}", named.unwrap_or_default()))
            .hint(format!("a volume in a pool of type '{pool}' allows {known}"))
    })?;
    Ok(Some(FormatName::new(format)))
}
