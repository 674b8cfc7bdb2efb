// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The moments of a machine's life that it can return to (snapshots) or copy from (checkpoints), as trees.
//!
//! Invariants: names are unique; each parent that is named is there; at most one moment is the current one. The trees
//! are published with the machine's snapshot: whoever reads them waits for nobody.

use std::sync::{Arc, LazyLock};

use virtus_api::{Error, ErrorCode, Result};
use virtus_xml::moment::{MomentDomain, ParentMoment};
use virtus_xml::{Checkpoint, Document, Domain, FormatFlags, Snapshot};

/// What snapshots and checkpoints have in common.
pub trait Moment: Document + Clone + Send + Sync + 'static {
    /// What it is called in messages.
    const WORD: &'static str;
    /// The code of "there is none of this name".
    const MISSING: ErrorCode;

    /// Its name; one that is kept has one.
    fn name(&self) -> &str;

    /// The name of the moment that it comes after.
    fn parent(&self) -> Option<&str>;

    /// Puts it behind another, or makes it a root.
    fn set_parent(&mut self, parent: Option<&str>);

    /// Its file: with secrets, and whether it is the current one.
    fn on_paper(&self, current: bool) -> String;

    /// Whether its file says that it is the current one.
    fn says_current(&self) -> bool;

    /// The guest as it was then, if that is known.
    fn guest(&self) -> Option<&Domain>;

    /// The machine's moments of this kind.
    fn of(known: &Known) -> &Arc<Moments<Self>>;

    /// The same, to be replaced.
    fn of_mut(known: &mut Known) -> &mut Arc<Moments<Self>>;
}

/// All that is known of the moments of one machine.
#[derive(Debug, Clone)]
pub struct Known {
    pub snapshots: Arc<Moments<Snapshot>>,
    pub checkpoints: Arc<Moments<Checkpoint>>,
}

impl Default for Known {
    /// Most machines have none, and share it.
    fn default() -> Self {
        static NONE: LazyLock<Known> =
            LazyLock::new(|| Known { snapshots: Arc::default(), checkpoints: Arc::default() });
        NONE.clone()
    }
}

macro_rules! moment {
    ($moment:ty, $word:literal, $missing:expr, $field:ident,
     |$one:ident, $current:ident| $paper:expr, |$found:ident| $says:expr) => {
        impl Moment for $moment {
            const WORD: &'static str = $word;
            const MISSING: ErrorCode = $missing;

            fn name(&self) -> &str {
                self.name.as_deref().unwrap_or_default()
            }

            fn parent(&self) -> Option<&str> {
                self.parent.as_ref().map(|parent| parent.name.as_str())
            }

            fn set_parent(&mut self, parent: Option<&str>) {
                self.parent = parent.map(|name| ParentMoment { name: name.to_owned() });
            }

            fn on_paper(&self, $current: bool) -> String {
                let $one = self;
                $paper
            }

            fn says_current(&self) -> bool {
                let $found = self;
                $says
            }

            fn guest(&self) -> Option<&Domain> {
                self.domain.as_ref().and_then(MomentDomain::whole)
            }

            fn of(known: &Known) -> &Arc<Moments<Self>> {
                &known.$field
            }

            fn of_mut(known: &mut Known) -> &mut Arc<Moments<Self>> {
                &mut known.$field
            }
        }
    };
}

moment!(
    Snapshot,
    "snapshot",
    ErrorCode::NoDomainSnapshot,
    snapshots,
    |snapshot, current| Snapshot { active: Some(current.into()), ..snapshot.clone() }.format(FILE),
    |snapshot| snapshot.active == Some(1)
);
// The last of them all is the current one: its file need not say so.
moment!(
    Checkpoint,
    "checkpoint",
    ErrorCode::NoDomainCheckpoint,
    checkpoints,
    |checkpoint, _current| checkpoint.format(FILE),
    |_checkpoint| true
);

/// All moments of one kind of one machine.
#[derive(Debug, Clone)]
pub struct Moments<T> {
    /// In the order in which they came.
    all: Vec<Arc<T>>,
    current: Option<String>,
}

const FILE: FormatFlags = FormatFlags::INACTIVE.union(FormatFlags::SECURE);

impl<T> Default for Moments<T> {
    fn default() -> Self {
        Self { all: Vec::new(), current: None }
    }
}

/// What a delete is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The moment; its children become its parent's.
    One,
    /// The moment and all that come after it.
    Tree,
    /// All that come after the moment.
    Descendants,
}

impl<T: Moment> Moments<T> {
    /// The moments that were found, with the parents that they name. Those whose parents are missing are dropped.
    pub(crate) fn of(mut found: Vec<T>) -> Self {
        let mut moments = Self::default();
        loop {
            let (ready, waiting): (Vec<T>, Vec<T>) = found
                .into_iter()
                .partition(|one| one.parent().is_none_or(|parent| moments.contains(parent)));
            if ready.is_empty() {
                for orphan in waiting {
                    tracing::error!(
                        "{} '{}' is passed over: it has no parent",
                        T::WORD,
                        orphan.name()
                    );
                }
                return moments;
            }
            for one in ready {
                let current = one.says_current().then(|| one.name().to_owned());
                if let Err(error) = moments.put(one) {
                    tracing::error!("{error}");
                } else if current.is_some() {
                    moments.current = current;
                }
            }
            found = waiting;
        }
    }

    /// All moments, in no order that means something.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.all.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// All moments, each after the one that it comes after.
    #[must_use]
    pub fn topological(&self) -> Vec<&Arc<T>> {
        self.all
            .iter()
            .filter(|one| one.parent().is_none())
            .flat_map(|root| self.tree(root))
            .collect()
    }

    /// The moment of this name.
    ///
    /// # Errors
    /// [`Moment::MISSING`].
    pub fn get(&self, name: &str) -> Result<&Arc<T>> {
        self.all.iter().find(|one| one.name() == name).ok_or_else(|| {
            let word = T::WORD;
            Error::new(T::MISSING, format!("no domain {word} with matching name '{name}'"))
        })
    }

    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.all.iter().any(|one| one.name() == name)
    }

    /// The moment that the machine's present descends from.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<T>> {
        let current = self.current.as_deref()?;
        self.all.iter().find(|one| one.name() == current)
    }

    /// Whether the moment is the current one.
    #[must_use]
    pub fn is_current(&self, name: &str) -> bool {
        self.current.as_deref() == Some(name)
    }

    /// Makes a moment the current one, or none.
    pub fn set_current(&mut self, name: Option<&str>) {
        self.current = name.filter(|name| self.contains(name)).map(str::to_owned);
    }

    /// The moments that come right after one.
    pub fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<T>> {
        self.all.iter().filter(move |one| one.parent() == Some(name))
    }

    /// The moments that come after one, each after its parent.
    #[must_use]
    pub fn descendants(&self, name: &str) -> Vec<&Arc<T>> {
        let root = self.all.iter().find(|one| one.name() == name);
        root.map(|root| self.tree(root).split_off(1)).unwrap_or_default()
    }

    fn tree<'a>(&'a self, root: &'a Arc<T>) -> Vec<&'a Arc<T>> {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(one) = found.get(next).copied() {
            found.extend(self.children(one.name()));
            next += 1;
        }
        found
    }

    /// Adds a moment, or puts another in the place of the one that has its name.
    ///
    /// # Errors
    /// `VIR_ERR_INVALID_ARG` if its parent is not there, is itself, or comes after it.
    pub fn put(&mut self, moment: T) -> Result<()> {
        let invalid = |text: String| Error::new(ErrorCode::InvalidArg, text);
        let name = moment.name().to_owned();
        if let Some(parent) = moment.parent() {
            if parent == name {
                return Err(invalid(format!("cannot set moment {name} as its own parent")));
            }
            if !self.contains(parent) {
                return Err(invalid(format!("parent {parent} for moment {name} not found")));
            }
            if self.descendants(&name).iter().any(|one| one.name() == parent) {
                return Err(invalid(format!("parent {parent} would create cycle to {name}")));
            }
        }
        match self.all.iter_mut().find(|one| one.name() == name) {
            Some(place) => *place = Arc::new(moment),
            None => self.all.push(Arc::new(moment)),
        }
        Ok(())
    }

    /// The moments that a delete of `name` is about.
    #[must_use]
    pub fn doomed(&self, name: &str, extent: Extent) -> Vec<Arc<T>> {
        let after = || self.descendants(name).into_iter().cloned();
        let itself = self.all.iter().filter(|one| one.name() == name).cloned();
        match extent {
            Extent::One => itself.collect(),
            Extent::Tree => itself.chain(after()).collect(),
            Extent::Descendants => after().collect(),
        }
    }

    /// Forgets moments. The current one moves up to what is left before it.
    pub fn remove(&mut self, name: &str, extent: Extent) {
        let gone = self.doomed(name, extent);
        let is_gone = |name: &str| gone.iter().any(|one| one.name() == name);
        let heir = match self.get(name) {
            Ok(_) if extent == Extent::Descendants => Some(name.to_owned()),
            Ok(one) => one.parent().map(str::to_owned),
            Err(_) => return,
        };
        if self.current.as_deref().is_some_and(is_gone) {
            self.current.clone_from(&heir);
        }
        self.all.retain(|one| !is_gone(one.name()));
        for one in &mut self.all {
            if one.parent().is_some_and(is_gone) {
                Arc::make_mut(one).set_parent(heir.as_deref());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree: a (b (c) d) e.
    fn tree() -> Moments<Checkpoint> {
        let mut moments = Moments::default();
        for (name, parent) in
            [("a", None), ("b", Some("a")), ("d", Some("a")), ("c", Some("b")), ("e", None)]
        {
            let mut one = Checkpoint { name: Some(name.to_owned()), ..Checkpoint::default() };
            one.set_parent(parent);
            moments.put(one).unwrap();
        }
        moments.set_current(Some("c"));
        moments
    }

    fn names(moments: &Moments<Checkpoint>) -> String {
        moments.topological().iter().map(|one| one.name()).collect()
    }

    #[test]
    fn parents_come_before_their_children() {
        let moments = tree();
        assert_eq!(names(&moments), "abdce");
        let after: String = moments.descendants("a").iter().map(|one| one.name()).collect();
        assert_eq!(after, "bdc");
        assert_eq!(moments.children("a").count(), 2);
    }

    #[test]
    fn orphans_go_to_their_grandparent_and_the_current_one_moves_up() {
        let mut moments = tree();
        moments.remove("b", Extent::One);
        assert_eq!(moments.get("c").unwrap().parent(), Some("a"));
        assert!(moments.is_current("c"));
        moments.remove("a", Extent::Descendants);
        assert_eq!((names(&moments).as_str(), moments.is_current("a")), ("ae", true));
        moments.remove("a", Extent::Tree);
        assert_eq!((names(&moments).as_str(), moments.current().is_none()), ("e", true));
    }

    #[test]
    fn a_tree_stays_a_tree() {
        let mut moments = tree();
        let mut a = (**moments.get("a").unwrap()).clone();
        for bad in ["a", "c", "nobody"] {
            a.set_parent(Some(bad));
            assert_eq!(moments.put(a.clone()).unwrap_err().code(), ErrorCode::InvalidArg);
        }
        a.set_parent(Some("e"));
        moments.put(a).unwrap();
        assert_eq!(names(&moments), "eabdc");
    }
}
