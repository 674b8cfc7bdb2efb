// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's memory, as far as it can be tuned: equal pages that are merged, huge pages that are kept.

use std::sync::Arc;

use virtus_api::params::node_memory_parameters as name;
use virtus_api::{
    Error, ErrorCode, NodeAllocPages, NodeAllocPagesFlags, NodeGetMemoryParameters,
    NodeGetMemoryParametersReply, NodeSetMemoryParameters, Result, TypedParam, TypedValue,
};
use virtus_core::{Call, Routes};
use virtus_host::node::Merging;

use super::tuning::{TYPED_STRINGS, no_more_than};
use super::{HasNode, by, check_flags};

pub(super) fn routes<D: HasNode>() -> Routes<D> {
    Routes::new().on(by(get::<D>)).on(by(set::<D>)).on(by(alloc_pages::<D>))
}

/// A parameter: what it is, and whether it is small; small ones can be set, but for what only counts.
const ROWS: [(&str, Merging, bool); 8] = [
    (name::PAGES_TO_SCAN, Merging::PagesToScan, true),
    (name::SLEEP_MILLISECS, Merging::SleepMillisecs, true),
    (name::PAGES_SHARED, Merging::PagesShared, false),
    (name::PAGES_SHARING, Merging::PagesSharing, false),
    (name::PAGES_UNSHARED, Merging::PagesUnshared, false),
    (name::PAGES_VOLATILE, Merging::PagesVolatile, false),
    (name::FULL_SCANS, Merging::FullScans, false),
    (name::MERGE_ACROSS_NODES, Merging::MergeAcrossNodes, true),
];

async fn get<D: HasNode>(
    driver: Arc<D>,
    _: Call,
    request: NodeGetMemoryParameters,
) -> Result<NodeGetMemoryParametersReply> {
    check_flags(request.flags, TYPED_STRINGS, "virNodeGetMemoryParameters")?;
    let node = driver.node();
    let params = ROWS.iter().filter_map(|(name, row, small)| {
        let value = node.merging(*row)?;
        Some(match small {
            true => TypedParam::new(*name, u32::try_from(value).unwrap_or(u32::MAX)),
            false => TypedParam::new(*name, value),
        })
    });
    let (params, nparams) = no_more_than(request.nparams, params.collect());
    Ok(NodeGetMemoryParametersReply { params, nparams })
}

async fn set<D: HasNode>(driver: Arc<D>, _: Call, request: NodeSetMemoryParameters) -> Result<()> {
    check_flags(request.flags, 0, "virNodeSetMemoryParameters")?;
    let mut changes = Vec::new();
    for TypedParam { field, value } in &request.params {
        let row = ROWS.iter().find(|(name, _, settable)| name == field && *settable);
        let (_, row, _) = row.ok_or_else(|| Error::unknown_param(field))?;
        let TypedValue::UInt(value) = value else {
            let text = format!("invalid type for parameter '{field}', an unsigned int is expected");
            return Err(Error::new(ErrorCode::InvalidArg, text));
        };
        changes.push((*row, u64::from(*value)));
    }
    changes.into_iter().try_for_each(|(row, value)| driver.node().set_merging(row, value))
}

async fn alloc_pages<D: HasNode>(driver: Arc<D>, _: Call, request: NodeAllocPages) -> Result<i32> {
    let known = NodeAllocPagesFlags::all();
    check_flags(request.flags, known.bits(), "virNodeAllocPages")?;
    let sets =
        NodeAllocPagesFlags::from_bits_truncate(request.flags).contains(NodeAllocPagesFlags::SET);
    let node = driver.node();
    let cells = match u32::try_from(request.start_cell) {
        Ok(start) => (start..start.saturating_add(request.cell_count)).map(Some).collect(),
        // All together.
        Err(_) => vec![None],
    };
    let mut changed = 0;
    for cell in cells {
        for (size, count) in request.page_sizes.iter().zip(&request.page_counts) {
            node.keep_pages(cell, u64::from(*size), *count, !sets)?;
            changed += 1;
        }
    }
    Ok(changed)
}
