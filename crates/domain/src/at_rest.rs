// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A definition that nobody uses now: its text, and the few facts that are asked of thousands at once.
//!
//! The typed value of a guest takes ten times the room of its text and is read in a few microseconds, so it is made
//! when somebody asks for it. What a daemon finds at its start is kept as it was found until it has been checked
//! ([`AtRest::check`]): until then it is read and completed for each who asks.
//!
//! Invariants: a definition never changes while it rests, only its form does; once it has been checked, whoever reads it
//! waits for nothing.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use virtus_api::{Error, Result};
use virtus_xml::{Domain, FormatFlags, ParseFlags, Warning};

use crate::facts::Facts;
use crate::packed::Packed;

/// Fills in what a definition leaves open, as its hypervisor does.
pub(crate) type Complete = Arc<dyn Fn(&mut Domain) -> Result<()> + Send + Sync>;

/// A definition at rest.
pub struct AtRest(RwLock<Form>);

enum Form {
    /// As a file had it.
    Found { text: Box<str>, complete: Complete },
    /// Complete, in our own words.
    Kept { text: Packed, facts: Arc<Facts> },
}

/// What came of a check.
pub(crate) struct Checked {
    pub(crate) def: Domain,
    pub(crate) warnings: Vec<Warning>,
    /// Why it could not be completed: this host cannot run it now, but it is defined.
    pub(crate) incomplete: Option<Error>,
}

impl AtRest {
    /// A complete definition.
    #[must_use]
    pub fn kept(def: &Domain) -> Self {
        Self::written(def, &text_of(def))
    }

    /// The same where its text ([`text_of`]) is there already.
    pub(crate) fn written(def: &Domain, text: &str) -> Self {
        Self(RwLock::new(Form::kept(def, text)))
    }

    /// What a file says.
    pub(crate) fn found(text: String, complete: Complete) -> Self {
        Self(RwLock::new(Form::Found { text: text.into(), complete }))
    }

    /// The definition.
    ///
    /// # Errors
    /// Where a file was found that cannot be read, the reader's.
    pub fn definition(&self) -> Result<Arc<Domain>> {
        self.read().map(|checked| Arc::new(checked.def))
    }

    /// What is asked of many machines at once.
    ///
    /// # Errors
    /// As [`AtRest::definition`].
    pub fn facts(&self) -> Result<Arc<Facts>> {
        if let Form::Kept { facts, .. } = &*self.form() {
            return Ok(facts.clone());
        }
        Ok(Arc::new(Facts::of(&*self.definition()?)))
    }

    /// Whether it was found, and has not been checked yet.
    pub(crate) fn is_unread(&self) -> bool {
        matches!(&*self.form(), Form::Found { .. })
    }

    /// Reads what was found, and keeps it in its final form.
    ///
    /// # Errors
    /// As [`AtRest::definition`].
    pub(crate) fn check(&self) -> Result<Checked> {
        let checked = self.read()?;
        let kept = Form::kept(&checked.def, &text_of(&checked.def));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(checked)
    }

    fn read(&self) -> Result<Checked> {
        let (text, complete) = match &*self.form() {
            Form::Found { text, complete } => (text.clone(), Some(complete.clone())),
            Form::Kept { text, .. } => (text.text()?.into(), None),
        };
        let parsed = Domain::parse(&text, ParseFlags::INACTIVE | ParseFlags::SKIP_VALIDATE)?;
        let mut def = parsed.value;
        let incomplete = complete.and_then(|complete| complete(&mut def).err());
        Ok(Checked { def, warnings: parsed.warnings, incomplete })
    }

    fn form(&self) -> RwLockReadGuard<'_, Form> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Form {
    fn kept(def: &Domain, text: &str) -> Self {
        Self::Kept { text: Packed::new(def, text), facts: Arc::new(Facts::of(def)) }
    }
}

impl std::fmt::Debug for AtRest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("AtRest")
    }
}

/// A definition on paper, with its secrets.
pub(crate) fn text_of(def: &Domain) -> String {
    def.format(FormatFlags::INACTIVE | FormatFlags::SECURE)
}
