// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The images of a disk: formats, encryption, and what only some protocols have.

use virtus_api::Result;
use virtus_xml::domain::disk::Disk;
use virtus_xml::domain::storage::{
    Encryption, EncryptionEngine, EncryptionFormat, ImageFormat, Protocol, StorageSource,
    StorageType,
};
use virtus_xml::value::OnOff;

use crate::validate::{need, unsupported};

pub(super) fn validate(disk: &Disk) -> Result<()> {
    let format = disk.format().unwrap_or(ImageFormat::Raw);
    if let Some(driver) = &disk.driver {
        let qcow2 = format == ImageFormat::Qcow2;
        need(driver.metadata_cache.is_none() || qcow2, || {
            "metadata_cache_size is only supported with qcow2 images".to_owned()
        })?;
        let keeps = driver.discard_no_unref.is_some_and(OnOff::is_on);
        need(!keeps || qcow2, || {
            "'discard_no_unref' only works with qcow2 image format".to_owned()
        })?;
        need(!keeps || !disk.is_readonly(), || {
            "'discard_no_unref' is not compatible with read-only disk".to_owned()
        })?;
    }
    if let Some(source) = &disk.source {
        let encryption = source.encryption.as_deref().or(disk.encryption.as_deref());
        image(disk.kind, format, source, encryption)?;
    }
    let mut below = disk.backing_store.as_deref();
    while let Some((store, source)) = below.and_then(|store| Some((store, store.source.as_ref()?)))
    {
        let format = store.format.as_ref().map_or(ImageFormat::Raw, |format| format.kind);
        let kind = store.kind.unwrap_or(StorageType::File);
        image(kind, format, source, source.encryption.as_deref())?;
        below = store.backing_store.as_deref();
    }
    Ok(())
}

fn image(
    kind: StorageType,
    format: ImageFormat,
    source: &StorageSource,
    encryption: Option<&Encryption>,
) -> Result<()> {
    match (kind, format) {
        (StorageType::Dir, ImageFormat::Fat) => {}
        (StorageType::Dir, _) => {
            return Err(unsupported("storage type 'dir' requires use of storage format 'fat'"));
        }
        (_, ImageFormat::Fat) => {
            return Err(unsupported(
                "storage format 'fat' is supported only with 'dir' storage type",
            ));
        }
        (_, ImageFormat::Iso) => {
            return Err(unsupported(
                "storage format 'iso' is not directly supported by QEMU, use 'raw' instead",
            ));
        }
        (_, ImageFormat::Dir | ImageFormat::Ploop | ImageFormat::Cow | ImageFormat::None) => {
            return Err(unsupported(format!("'{format}' storage format is not supported")));
        }
        _ => {}
    }
    if let Some(encryption) = encryption {
        encrypted(format, source, encryption)?;
    }
    protocol(source)
}

fn encrypted(format: ImageFormat, source: &StorageSource, encryption: &Encryption) -> Result<()> {
    if encryption.engine == Some(EncryptionEngine::Librbd) {
        return need(source.protocol == Some(Protocol::Rbd), || {
            "librbd encryption is supported only with RBD backed disks".to_owned()
        });
    }
    need(matches!(format, ImageFormat::Raw | ImageFormat::Luks | ImageFormat::Qcow2), || {
        "encryption is supported only with 'raw' and 'qcow2' image format".to_owned()
    })?;
    let only_librbd =
        matches!(encryption.format, EncryptionFormat::Luks2 | EncryptionFormat::LuksAny);
    need(!only_librbd, || {
        format!("'{}' encryption is supported only with 'librbd' engine", encryption.format)
    })
}

/// What only some protocols have.
fn protocol(source: &StorageSource) -> Result<()> {
    use Protocol as P;
    let Some(protocol) = source.protocol else { return Ok(()) };
    let web = matches!(protocol, P::Http | P::Https);
    let tls = matches!(protocol, P::Https | P::Ftps);
    let curl = web || tls || matches!(protocol, P::Ftp | P::Tftp);
    for (given, allowed, what) in [
        (source.query.is_some(), web, "query is supported only with HTTP(S) protocols"),
        (source.cookies.is_some(), web, "http cookies are supported only with HTTP(S)"),
        (source.ssl.is_some(), tls, "ssl verification is supported only with HTTPS/FTPS protocol"),
        (source.readahead.is_some(), curl, "readahead is supported only with HTTP(S)/FTP(s)"),
        (source.timeout.is_some(), curl, "timeout is supported only with HTTP(S)/FTP(s)"),
        (source.tls.is_some(), protocol == P::Nbd, "TLS is supported only with the NBD protocol"),
        (source.reconnect.is_some(), protocol == P::Nbd, "reconnect is supported only with NBD"),
    ] {
        need(!given || allowed, || what.to_owned())?;
    }
    need(!matches!(protocol, P::Sheepdog | P::Vxhs), || {
        format!("QEMU no longer has the protocol '{protocol}' of network disks")
    })
}
