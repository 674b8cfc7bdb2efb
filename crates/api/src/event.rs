// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What all events have in common. The events themselves are generated; one value serves the modern
//! message (with a callback id) and the legacy one, whichever a client registered for.

use std::fmt;

use crate::{Event, Family};

/// One event of a family.
pub trait EventMessage: fmt::Debug + Clone + Into<Event> + Send + Sync + 'static {
    const FAMILY: Family;
    /// The event id within the family, as clients register for it.
    const ID: i32;
}
