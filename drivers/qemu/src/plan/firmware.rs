// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Firmware in flash: the nodes of its code and of its variables, and the options that name them.

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::Domain;
use virtus_xml::domain::os::LoaderType;
use virtus_xml::domain::storage::{ImageFormat, StorageSource, StorageType};
use virtus_xml::value::{Value, YesNo};

use super::argv::Opts;
use super::line::Line;
use super::storage::{Below, Handling, Image, Names, unsupported};
use crate::caps::Flag;

/// Whether the firmware is in flash.
pub(crate) fn is_flash(domain: &Domain) -> bool {
    domain
        .os
        .loader
        .as_ref()
        .is_some_and(|loader| loader.kind == Some(LoaderType::Pflash) && loader.path.is_some())
}

/// Writes the nodes. They must stand before `-machine`, which names them.
pub(crate) fn blockdevs(line: &mut Line<'_>) -> Result<()> {
    let domain = line.domain;
    let chosen = domain.os.loader.as_ref().is_some_and(|loader| loader.path.is_some());
    if let Some(kind) =
        domain.os.firmware.filter(|_| !chosen || domain.os.firmware_features.is_none())
    {
        return Err(Error::new(
            ErrorCode::OperationFailed,
            format!(
                "Unable to find '{kind}' firmware that is compatible with the current configuration"
            ),
        )
        .hint(
            "install a firmware package such as ovmf, or name the files in <loader> and <nvram>",
        ));
    }
    if !is_flash(domain) {
        return Ok(());
    }
    let Some(loader) = &domain.os.loader else { return Ok(()) };
    let code = file_source(loader.path.as_deref());
    let code = code_image(&code, loader.format.as_deref(), loader.readonly)?;
    let mut images = vec![code.nodes(Handling::default(), line.cx)?];
    if let Some((source, kind, format)) = variables(domain)? {
        images.push(vars_image(line, &source, kind, format).nodes(Handling::default(), line.cx)?);
    }
    for image in images {
        for object in image.objects {
            line.object(object);
        }
        for node in image.nodes {
            line.argv.json("-blockdev", node);
        }
    }
    Ok(())
}

fn file_source(path: Option<&str>) -> StorageSource {
    StorageSource { file: path.map(str::to_owned), ..StorageSource::default() }
}

fn format(word: Option<&str>) -> Result<ImageFormat> {
    match word {
        None => Ok(ImageFormat::Raw),
        Some(word) => ImageFormat::parse(word)
            .ok_or_else(|| unsupported(format!("firmware in format '{word}'"))),
    }
}

fn code_image<'a>(
    source: &'a StorageSource,
    word: Option<&str>,
    readonly: Option<YesNo>,
) -> Result<Image<'a>> {
    Ok(Image {
        format: format(word)?,
        read_only: readonly.is_none_or(YesNo::is_yes),
        below: Below::Nothing,
        force_format: true,
        ..Image::at(StorageType::File, source, Names::called("libvirt-pflash0"), 0)
    })
}

fn variables(domain: &Domain) -> Result<Option<(StorageSource, StorageType, ImageFormat)>> {
    let Some(nvram) = &domain.os.nvram else { return Ok(None) };
    let kind = nvram.kind.unwrap_or(StorageType::File);
    let source = match &nvram.source {
        Some(source) => source.clone(),
        None if nvram.path.is_some() => file_source(nvram.path.as_deref()),
        None => return Ok(None),
    };
    Ok(Some((source, kind, format(nvram.format.as_deref())?)))
}

fn vars_image<'a>(
    line: &Line<'_>,
    source: &'a StorageSource,
    kind: StorageType,
    format: ImageFormat,
) -> Image<'a> {
    Image {
        format,
        read_only: false,
        below: Below::Nothing,
        // A block job of an older QEMU could not work on a node without a format.
        force_format: !line.has(Flag::BlockjobBackingMaskProtocol),
        ..Image::at(kind, source, Names::called("libvirt-pflash1"), 0)
    }
}

/// The members of `-machine` that name the flash.
pub(crate) fn machine_options(line: &Line<'_>, opts: &mut Opts) {
    let domain = line.domain;
    if !is_flash(domain) {
        return;
    }
    opts.set("pflash0", "libvirt-pflash0-format");
    if let Ok(Some((source, kind, format))) = variables(domain) {
        opts.set("pflash1", vars_image(line, &source, kind, format).top_name());
    }
}

/// What makes the flash writable by the firmware's own code only.
pub(crate) fn secure(line: &mut Line<'_>) {
    let secure = line.domain.os.loader.as_ref().and_then(|loader| loader.secure);
    if is_flash(line.domain) && secure == Some(YesNo::Yes) {
        line.argv.pair("-global", "driver=cfi.pflash01,property=secure,value=on");
    }
}
