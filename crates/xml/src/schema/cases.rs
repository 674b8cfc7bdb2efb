// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cases written out: what an element may contain, once for each combination of the values that decide.

use std::collections::BTreeMap;

use super::{Attr, Often, Piece};
use crate::value::Allowed;

impl Piece {
    pub(super) fn as_attr(&self) -> Option<&Attr> {
        if let Self::Attr(attr) = self { Some(attr) } else { None }
    }

    pub(super) fn as_child(&self) -> Option<&super::Child> {
        if let Self::Child(child) = self { Some(child) } else { None }
    }
}

/// What an element may contain if certain attributes have certain values.
#[derive(Debug, Clone, Default)]
pub(super) struct Branch {
    /// The attributes that decide, with their values; none if the attribute is absent.
    pub(super) deciding: Vec<(&'static str, Vec<&'static str>)>,
    /// Without parts and cases; of two pieces with one name the first counts.
    pub(super) pieces: Vec<Piece>,
}

/// The pieces of an element, once for each set of cases that can hold together.
pub(super) fn resolve(pieces: &'static [Piece]) -> Vec<Branch> {
    let mut done = Vec::new();
    let mut todo = vec![Branch { deciding: Vec::new(), pieces: flatten(pieces) }];
    while let Some(branch) = todo.pop() {
        let by = branch.pieces.iter().find_map(|piece| match piece {
            Piece::Case { attr, .. } => Some(*attr),
            _ => None,
        });
        match by {
            Some(attr) => todo.extend(branch.split(attr)),
            None => done.push(branch),
        }
    }
    done.reverse();
    done
}

fn flatten(pieces: &'static [Piece]) -> Vec<Piece> {
    let mut flat = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Part(part) => flat.extend(flatten(part)),
            _ => flat.push(*piece),
        }
    }
    flat
}

impl Branch {
    /// Takes the cases of one attribute apart. Values for which the same cases hold share a branch.
    fn split(&self, by: &'static str) -> Vec<Self> {
        let cases: Vec<&[&str]> = self.cases(by).map(|(words, _)| words).collect();
        let mut words: Vec<&'static str> =
            self.cases(by).flat_map(|(words, _)| words.iter().copied()).collect();
        let attr = self.pieces.iter().filter_map(Piece::as_attr).find(|attr| attr.name == by);
        let mut open = None;
        if let Some(Attr { kind, .. }) = attr
            && let Allowed::OneOf(all) = kind.allowed
        {
            words = all.to_vec();
        } else {
            // What no case names, no word can name either.
            let holds = vec![false; cases.len()];
            let mut other = self.decided(by, &holds, Vec::new());
            other.deciding.pop();
            open = Some(other);
        }
        let mut groups: BTreeMap<Vec<bool>, Vec<&'static str>> = BTreeMap::new();
        for word in words {
            let holds = cases.iter().map(|words| words.contains(&word)).collect();
            groups.entry(holds).or_default().push(word);
        }
        let mut branches: Vec<Self> =
            groups.into_iter().map(|(holds, words)| self.decided(by, &holds, words)).collect();
        if attr.is_none_or(|attr| attr.often != Often::Once) {
            let holds: Vec<bool> = cases.iter().map(|words| words.is_empty()).collect();
            branches.push(self.decided(by, &holds, Vec::new()));
        }
        branches.extend(open);
        branches
    }

    fn cases(
        &self,
        by: &'static str,
    ) -> impl Iterator<Item = (&'static [&'static str], &'static [Piece])> {
        self.pieces.iter().filter_map(move |piece| match piece {
            Piece::Case { attr, words, pieces } if *attr == by => Some((*words, *pieces)),
            _ => None,
        })
    }

    /// This branch where `by` has one of `words`, so that those of its cases count that hold.
    fn decided(&self, by: &'static str, holds: &[bool], words: Vec<&'static str>) -> Self {
        let mut holds = holds.iter();
        let mut decided = Self { deciding: self.deciding.clone(), pieces: Vec::new() };
        decided.deciding.push((by, words));
        for piece in &self.pieces {
            match piece {
                Piece::Case { attr, pieces, .. } if *attr == by => {
                    if holds.next() == Some(&true) {
                        decided.pieces.extend(flatten(pieces));
                    }
                }
                _ => decided.pieces.push(*piece),
            }
        }
        decided
    }
}
