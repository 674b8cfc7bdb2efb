// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The filters as they are, or as they would be with one of them changed.

use std::collections::HashSet;
use std::sync::Arc;

use virtus_xml::Nwfilter;
use virtus_xml::nwfilter::Entry;

use crate::collection::Collection;

/// Filters by name.
pub struct FilterView {
    filters: Arc<Collection<Nwfilter>>,
    changed: Option<Arc<Nwfilter>>,
}

impl FilterView {
    /// The filters as they are.
    pub(super) fn now(filters: &Arc<Collection<Nwfilter>>) -> Self {
        Self { filters: filters.clone(), changed: None }
    }

    /// The filters with `changed` in place of the one of its name, or as one more.
    pub(super) fn with(filters: &Arc<Collection<Nwfilter>>, changed: Nwfilter) -> Self {
        Self { filters: filters.clone(), changed: Some(Arc::new(changed)) }
    }

    /// The filter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Nwfilter>> {
        match self.changed.as_ref().filter(|changed| changed.name == name) {
            Some(changed) => Some(changed.clone()),
            None => self.filters.by_name(name)?.1.persistent.clone(),
        }
    }

    /// Whether a filter is another one, or has it as a part, or as a part of a part.
    pub(super) fn reaches(&self, from: &str, wanted: &str) -> bool {
        let (mut seen, mut next) = (HashSet::new(), vec![from.to_owned()]);
        while let Some(name) = next.pop() {
            if name == wanted {
                return true;
            }
            let Some(filter) = self.get(&name).filter(|_| seen.insert(name)) else { continue };
            next.extend(parts(&filter).map(str::to_owned));
        }
        false
    }

    /// Whether a filter has itself as a part.
    pub(super) fn is_loop(&self, filter: &Nwfilter) -> bool {
        parts(filter).any(|part| self.reaches(part, &filter.name))
    }
}

/// The names of the filters that a filter is made of.
fn parts(filter: &Nwfilter) -> impl Iterator<Item = &str> {
    filter.entries.0.iter().filter_map(|entry| match entry {
        Entry::Reference(reference) => Some(reference.filter.as_str()),
        Entry::Rule(_) => None,
    })
}
