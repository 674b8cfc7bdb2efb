// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Distances between the guest's NUMA nodes: each is as far one way as the other, unless both ways are stated.

use std::collections::BTreeMap;

use crate::domain::Domain;
use crate::domain::cpu::{Distances, NumaCell, Sibling};

/// How far a node is from itself (ACPI, SLIT).
const LOCAL: u32 = 10;

pub(super) fn settle(domain: &mut Domain) {
    let numa = domain.body.cpu.as_mut().and_then(|cpu| cpu.numa.as_mut());
    let Some(cells) = numa.map(|numa| &mut numa.cells) else { return };
    let id = |at: usize, cell: &NumaCell| cell.id.or(u32::try_from(at).ok());
    let mut known: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for (at, cell) in cells.iter().enumerate() {
        let (Some(from), Some(distances)) = (id(at, cell), &cell.body.distances) else { continue };
        for sibling in &distances.siblings {
            known.insert((from, sibling.id), sibling.value);
        }
    }
    for ((from, to), value) in known.clone() {
        for node in [from, to] {
            known.entry((node, node)).or_insert(LOCAL);
        }
        known.entry((to, from)).or_insert(value);
    }
    for (at, cell) in cells.iter_mut().enumerate() {
        let Some(from) = id(at, cell) else { continue };
        let siblings: Vec<Sibling> = known
            .range((from, 0)..=(from, u32::MAX))
            .map(|(&(_, id), &value)| Sibling { id, value })
            .collect();
        if !siblings.is_empty() {
            cell.body.distances = Some(Distances { siblings });
        }
    }
}
