// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Moments of a guest's life that can be returned to or copied from: snapshots and checkpoints.
//!
//! Read with [`ParseFlags::NEW`](crate::ParseFlags::NEW), a moment is one that is to be made: its time, its
//! parent and its guest are what they will be, not what the document says. Guests in it are definitions, so
//! [`ParseFlags::INACTIVE`](crate::ParseFlags::INACTIVE) belongs to reading one.

mod align;
mod checkpoint;
mod disks;
mod snapshot;

pub use align::Alignment;
pub use checkpoint::{Checkpoint, CheckpointDisk, CheckpointDisks, CheckpointMode};
pub use disks::{SnapshotDisk, SnapshotDisks, SnapshotDriver};
pub use snapshot::{Memory, Snapshot, SnapshotState};

use uuid::Uuid;
use virtus_api::Result;

use crate::domain::{Domain, DomainType};
use crate::reader::{Element, Node};
use crate::schema::{Described, Often, Piece, Shape};
use crate::writer::Writer;

element! {
    /// `<parent>`: the moment before.
    pub struct ParentMoment { needed name: String = "name" }
}

/// `<domain>` of a moment: the guest as it was then.
#[derive(Debug, Clone, PartialEq)]
pub enum MomentDomain {
    /// Only which guest it is: all that old moments know.
    Uuid(Option<Uuid>),
    Whole(Box<Domain>),
}

impl MomentDomain {
    /// The whole guest, if it was kept.
    #[must_use]
    pub fn whole(&self) -> Option<&Domain> {
        if let Self::Whole(domain) = self { Some(domain) } else { None }
    }
}

impl Element for MomentDomain {
    const SHAPE: &'static Shape = &Shape {
        name: "",
        pieces: &[
            Piece::Case {
                attr: "type",
                words: &[],
                pieces: &[Piece::leaf("uuid", Often::Once, <Uuid as Described>::KIND)],
            },
            Piece::Case {
                attr: "type",
                words: DomainType::WORDS,
                pieces: <Domain as Element>::SHAPE.pieces,
            },
        ],
    };

    fn read(node: Node<'_>) -> Result<Self> {
        if node.is_new() {
            return Ok(Self::Uuid(None));
        }
        if node.attr("type").is_none() {
            let uuid = node.find("uuid").map(|uuid| uuid.text_value()).transpose()?;
            return Ok(Self::Uuid(uuid));
        }
        let mut domain = Domain::read(node)?;
        domain.settle(node.flags())?;
        Ok(Self::Whole(Box::new(domain)))
    }

    fn write(&self, tag: &str, out: &mut Writer) {
        match self {
            Self::Whole(domain) => domain.write(tag, out),
            Self::Uuid(None) => {}
            Self::Uuid(Some(uuid)) => {
                out.start(tag);
                out.leaf("uuid", uuid);
                out.end(tag);
            }
        }
    }
}
