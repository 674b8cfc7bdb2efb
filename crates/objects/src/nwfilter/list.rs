// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which filters there are. Read from snapshots; never waits.

use std::sync::Arc;

use virtus_api::{
    ConnectListAllNwfilters, ConnectListAllNwfiltersReply, ConnectListNwfilters,
    ConnectNumOfNwfilters, NwfilterGetXmlDesc, NwfilterLookupByName, NwfilterLookupByUuid,
    NwfilterRef, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, FormatFlags};

use super::HasFilters;
use crate::list::{count, names, whole};

pub(super) async fn num_of_filters<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    _: ConnectNumOfNwfilters,
) -> Result<i32> {
    Ok(count(driver.filters().filters.all().len()))
}

pub(super) async fn list_filters<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListNwfilters,
) -> Result<Vec<String>> {
    Ok(names(&driver.filters().filters.select(|_| true), request.maxnames))
}

pub(super) async fn list_all<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListAllNwfilters,
) -> Result<ConnectListAllNwfiltersReply> {
    check_flags(request.flags, 0, "virConnectListAllNWFilters")?;
    let found = driver.filters().filters.select(|_| true);
    let found = found.iter().map(|filter| filter.filter_ref()).collect();
    let (filters, ret) = whole(request.need_results, found);
    Ok(ConnectListAllNwfiltersReply { filters, ret })
}

pub(super) async fn lookup_by_name<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterLookupByName,
) -> Result<NwfilterRef> {
    Ok(driver.filters().filters.lookup_name(&request.name)?.1.filter_ref())
}

pub(super) async fn lookup_by_uuid<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterLookupByUuid,
) -> Result<NwfilterRef> {
    Ok(driver.filters().filters.lookup_uuid(request.uuid)?.1.filter_ref())
}

pub(super) async fn get_xml<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, 0, "virNWFilterGetXMLDesc")?;
    Ok(driver.filters().find(&request.nwfilter)?.1.def()?.format(FormatFlags::empty()))
}
