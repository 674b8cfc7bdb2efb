// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bindings: a filter at work on a guest's card.

use std::sync::Arc;

use virtus_api::{
    ConnectListAllNwfilterBindings, ConnectListAllNwfilterBindingsReply, Error, ErrorCode,
    NwfilterBindingCreateFlags, NwfilterBindingCreateXml, NwfilterBindingDelete,
    NwfilterBindingGetXmlDesc, NwfilterBindingLookupByPortDev, NwfilterBindingRef, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, FormatFlags, NwfilterBinding, ParseFlags};

use super::{FilterBackend, FilterView, HasFilters};
use crate::list::whole;
use crate::object::Turn;

pub(super) async fn list_all<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: ConnectListAllNwfilterBindings,
) -> Result<ConnectListAllNwfilterBindingsReply> {
    check_flags(request.flags, 0, "virConnectListAllNWFilterBindings")?;
    let found = driver.filters().bindings.select(|_| true);
    let found = found.iter().map(|binding| binding.binding_ref()).collect();
    let (bindings, ret) = whole(request.need_results, found);
    Ok(ConnectListAllNwfilterBindingsReply { bindings, ret })
}

pub(super) async fn lookup_by_portdev<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterBindingLookupByPortDev,
) -> Result<NwfilterBindingRef> {
    Ok(driver.filters().find_binding(&request.name)?.1.binding_ref())
}

pub(super) async fn get_xml<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterBindingGetXmlDesc,
) -> Result<String> {
    check_flags(request.flags, 0, "virNWFilterBindingGetXMLDesc")?;
    let (_, binding) = driver.filters().find_binding(&request.nwfilter.portdev)?;
    Ok(binding.def()?.format(FormatFlags::empty()))
}

pub(super) async fn create_xml<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterBindingCreateXml,
) -> Result<NwfilterBindingRef> {
    const NAME: &str = "virNWFilterBindingCreateXML";
    check_flags(request.flags, NwfilterBindingCreateFlags::all().bits(), NAME)?;
    let mut flags = ParseFlags::empty();
    let validate = request.flags & NwfilterBindingCreateFlags::VALIDATE.bits() != 0;
    flags.set(ParseFlags::VALIDATE, validate);
    let def = NwfilterBinding::parse(&request.xml, flags)?.value;
    let filters = driver.filters().clone();
    let work = {
        let filters = filters.clone();
        |turn: Turn<NwfilterBinding>, def: NwfilterBinding| async move {
            if turn.snapshot().is_visible() {
                let text = format!("binding '{}' already exists", def.portdev.name);
                return Err(Error::new(ErrorCode::OperationFailed, text));
            }
            let _all = filters.turns.turn().await?;
            filters.backend.apply(&def, &FilterView::now(&filters.filters)).await?;
            if let Err(error) = turn.set_persistent(def.clone()).await {
                filters.backend.clear(&def).await?;
                return Err(error);
            }
            Ok(turn.snapshot().binding_ref())
        }
    };
    filters.bindings.claim(def, NAME, work).await
}

pub(super) async fn delete<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterBindingDelete,
) -> Result<()> {
    const NAME: &str = "virNWFilterBindingDelete";
    let filters = driver.filters().clone();
    let (object, _) = filters.find_binding(&request.nwfilter.portdev)?;
    let work = {
        let filters = filters.clone();
        |turn: Turn<NwfilterBinding>| async move {
            let _all = filters.turns.turn().await?;
            if let Some(def) = &turn.snapshot().persistent {
                filters.backend.clear(def).await?;
            }
            turn.remove_persistent().await
        }
    };
    filters.bindings.change(&object, NAME, work).await
}
