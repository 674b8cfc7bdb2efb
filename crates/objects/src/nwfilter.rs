// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network filters, and the bindings that put them to work on guests' cards: what every driver of them answers the
//! same way.
//!
//! Invariants: no filter is a part of itself; none goes that a binding needs. Changes of filters and bindings happen
//! one at a time, in one queue for all: what one filter is made of depends on the others.

mod binding;
mod calls;
mod list;
mod view;

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;
use virtus_api::{Error, ErrorCode, ErrorDomain, NwfilterBindingRef, NwfilterRef, Result};
use virtus_core::Routes;
use virtus_xml::{Nwfilter, NwfilterBinding};

pub use view::FilterView;

use crate::collection::{Collection, Entry};
use crate::kind::Kind;
use crate::object::{Snapshot, Turns, not_found};
use crate::shelf::Shelf;

impl Kind for Nwfilter {
    type Extra = ();
    const WORD: &'static str = "nwfilter";
    const MISSING: ErrorCode = ErrorCode::NoNwfilter;
    const LIST: &'static str = "nwfilter-list";
    const EDIT: Option<&'static str> = Some("nwfilter-edit");

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn uuid(&self) -> Option<Uuid> {
        self.uuid
    }

    fn same_uuid(&self, other: &Snapshot<Self>, _: Uuid) -> Error {
        let name = &other.name;
        let text = format!("filter with same UUID but different name ('{name}') already exists");
        Error::new(ErrorCode::OperationFailed, text)
            .hint("remove <uuid> from the XML to define a new filter, or keep its name")
    }

    fn same_name(&self, other: Uuid) -> Error {
        let text = format!("filter '{}' already exists with uuid {other}", self.name);
        Error::new(ErrorCode::OperationFailed, text)
            .hint(format!("put <uuid>{other}</uuid> into the XML to change that filter"))
    }
}

impl Kind for NwfilterBinding {
    type Extra = ();
    const WORD: &'static str = "nwfilter binding";
    const MISSING: ErrorCode = ErrorCode::NoNwfilterBinding;
    const LIST: &'static str = "nwfilter-binding-list";
    const EDIT: Option<&'static str> = None;

    /// The device on the host.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.portdev.name)
    }

    fn uuid(&self) -> Option<Uuid> {
        None
    }
}

/// A way to filter packets.
pub trait FilterBackend: Send + Sync + 'static {
    /// Makes the packets of a card obey its binding's filter, instead of what they obeyed before. If it fails they go
    /// on to obey that.
    fn apply(
        &self,
        binding: &NwfilterBinding,
        filters: &FilterView,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Lets the packets of a card pass as they like.
    fn clear(&self, binding: &NwfilterBinding) -> impl Future<Output = Result<()>> + Send;
}

/// All filters and bindings of a driver.
pub struct Filters<B> {
    filters: Arc<Collection<Nwfilter>>,
    bindings: Arc<Collection<NwfilterBinding>>,
    backend: B,
    turns: Turns,
}

/// A driver of network filters.
pub trait HasFilters: Send + Sync + 'static {
    /// What filters.
    type Backend: FilterBackend;

    /// Its filters and bindings.
    fn filters(&self) -> &Arc<Filters<Self::Backend>>;
}

impl<B: FilterBackend> Filters<B> {
    /// The filters and the bindings that the two shelves keep.
    ///
    /// # Errors
    /// If a shelf cannot be read.
    pub async fn open(filters: Shelf, bindings: Shelf, backend: B) -> Result<Arc<Self>> {
        let (filters, bindings) =
            (Collection::open(filters).await?, Collection::open(bindings).await?);
        Ok(Arc::new(Self { filters, bindings, backend, turns: Turns::default() }))
    }

    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }

    fn find(&self, filter: &NwfilterRef) -> Result<Entry<Nwfilter>> {
        self.filters.find(filter.uuid, &filter.name)
    }

    fn find_binding(&self, portdev: &str) -> Result<Entry<NwfilterBinding>> {
        self.bindings.by_name(portdev).ok_or_else(|| {
            let text = format!("no nwfilter binding for port dev '{portdev}'");
            not_found::<NwfilterBinding>(text)
        })
    }

    /// The bindings that obey a filter, be it as a part of another.
    fn users(&self, filter: &str) -> Vec<Arc<NwfilterBinding>> {
        let view = FilterView::now(&self.filters);
        let bindings = self.bindings.select(|_| true);
        let bindings = bindings.iter().filter_map(|binding| binding.persistent.clone());
        bindings.filter(|binding| view.reaches(&binding.filterref.filter, filter)).collect()
    }
}

impl Snapshot<Nwfilter> {
    /// How clients name it.
    #[must_use]
    pub fn filter_ref(&self) -> NwfilterRef {
        NwfilterRef { name: self.name.to_string(), uuid: self.id() }
    }
}

impl Snapshot<NwfilterBinding> {
    /// How clients name it.
    #[must_use]
    pub fn binding_ref(&self) -> NwfilterBindingRef {
        let filter = self.persistent.as_ref().map(|def| def.filterref.filter.clone());
        NwfilterBindingRef {
            portdev: self.name.to_string(),
            filtername: filter.unwrap_or_default(),
        }
    }
}

/// What every driver of network filters answers.
#[must_use]
pub fn routes<D: HasFilters>() -> Routes<D> {
    Routes::new()
        .on(list::num_of_filters::<D>)
        .on(list::list_filters::<D>)
        .on(list::list_all::<D>)
        .on(list::lookup_by_name::<D>)
        .on(list::lookup_by_uuid::<D>)
        .on(list::get_xml::<D>)
        .on(calls::define::<D>)
        .on(calls::define_flags::<D>)
        .on(calls::undefine::<D>)
        .on(binding::list_all::<D>)
        .on(binding::lookup_by_portdev::<D>)
        .on(binding::get_xml::<D>)
        .on(binding::create_xml::<D>)
        .on(binding::delete::<D>)
        .in_domain(ErrorDomain::Nwfilter)
}
