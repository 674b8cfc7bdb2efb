// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Filters are defined and undefined; the cards that obey them follow.

use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{
    Error, ErrorCode, NwfilterDefineFlags, NwfilterDefineXml, NwfilterDefineXmlFlags, NwfilterRef,
    NwfilterUndefine, Result,
};
use virtus_core::Call;
use virtus_core::flags::check_flags;
use virtus_xml::{Document, Nwfilter, NwfilterBinding, ParseFlags};

use super::{FilterBackend, FilterView, Filters, HasFilters};
use crate::object::Turn;
use crate::step::refuse;

impl<B: FilterBackend> Filters<B> {
    async fn define(
        self: &Arc<Self>,
        xml: &str,
        flags: u32,
        name: &'static str,
    ) -> Result<NwfilterRef> {
        check_flags(flags, NwfilterDefineFlags::all().bits(), name)?;
        let mut reading = ParseFlags::INACTIVE;
        let validate = flags & NwfilterDefineFlags::VALIDATE.bits() != 0;
        reading.set(ParseFlags::VALIDATE, validate);
        let mut def = Nwfilter::parse(xml, reading)?.value;
        def.uuid.get_or_insert_with(Uuid::new_v4);
        let filters = self.clone();
        let work = move |turn: Turn<Nwfilter>, def: Nwfilter| async move {
            let _all = filters.turns.turn().await?;
            let view = FilterView::with(&filters.filters, def.clone());
            if view.is_loop(&def) {
                return Err(Error::new(
                    ErrorCode::OperationFailed,
                    "filter would introduce a loop",
                )
                .hint(format!("'{}' is a part of what it refers to", def.name)));
            }
            let users = filters.users(&def.name);
            let applied = filters.apply(&users, &view).await;
            let kept = match applied {
                Ok(()) => turn.set_persistent(def).await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                // Whoever obeys the new rules already goes back to the old ones.
                let old = FilterView::now(&filters.filters);
                if let Err(error) = filters.apply(&users, &old).await {
                    tracing::error!("{error}");
                }
                return Err(error);
            }
            Ok(turn.snapshot().filter_ref())
        };
        self.filters.claim(def, name, work).await
    }

    async fn apply(&self, bindings: &[Arc<NwfilterBinding>], view: &FilterView) -> Result<()> {
        for binding in bindings {
            self.backend.apply(binding, view).await?;
        }
        Ok(())
    }
}

pub(super) async fn define<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterDefineXml,
) -> Result<NwfilterRef> {
    driver.filters().define(&request.xml, 0, "virNWFilterDefineXML").await
}

pub(super) async fn define_flags<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterDefineXmlFlags,
) -> Result<NwfilterRef> {
    driver.filters().define(&request.xml, request.flags, "virNWFilterDefineXMLFlags").await
}

pub(super) async fn undefine<D: HasFilters>(
    driver: Arc<D>,
    _: Call,
    request: NwfilterUndefine,
) -> Result<()> {
    const NAME: &str = "virNWFilterUndefine";
    let filters = driver.filters().clone();
    let (object, _) = filters.find(&request.nwfilter)?;
    let work = {
        let filters = filters.clone();
        |turn: Turn<Nwfilter>| async move {
            let _all = filters.turns.turn().await?;
            if !filters.users(&turn.snapshot().name).is_empty() {
                return refuse("nwfilter is in use".to_owned());
            }
            turn.remove_persistent().await
        }
    };
    filters.filters.change(&object, NAME, work).await
}
