// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which pools could be: the kinds that there are, and the sources that are found.

use std::sync::Arc;

use virtus_api::{ConnectFindStoragePoolSources, ConnectGetStoragePoolCapabilities, Result};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::pool::PoolType;
use virtus_xml::pool::source::PoolSource;
use virtus_xml::value::Value;
use virtus_xml::{Document, FormatFlags, ParseFlags, PoolCapabilities};

use super::backend::no_discovery;
use super::{HasPools, StorageBackend};

pub(super) async fn find_sources<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: ConnectFindStoragePoolSources,
) -> Result<String> {
    check_flags(request.flags, 0, "virConnectFindStoragePoolSources")?;
    let kind = &request.r#type;
    let kind = PoolType::parse(kind).ok_or_else(|| no_discovery(kind))?;
    let at = match &request.src_spec {
        Some(text) => Some(PoolSource::parse(text, ParseFlags::empty())?.value),
        None => None,
    };
    let found = driver.pools().backend.find_sources(kind, at).await?;
    Ok(found.format(FormatFlags::empty()))
}

pub(super) async fn capabilities<D: HasPools>(
    driver: Arc<D>,
    _: Call,
    request: ConnectGetStoragePoolCapabilities,
) -> Result<String> {
    check_flags(request.flags, 0, "virConnectGetStoragePoolCapabilities")?;
    let backend = &driver.pools().backend;
    Ok(PoolCapabilities::new(|kind| backend.supports(kind)).format(FormatFlags::empty()))
}
