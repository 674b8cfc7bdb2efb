// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host of a world: what `<node>` says of it.

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) model: String,
    /// In KiB.
    pub(crate) memory: u64,
    pub(crate) cpus: u32,
    pub(crate) mhz: u32,
    pub(crate) nodes: u32,
    pub(crate) sockets: u32,
    pub(crate) cores: u32,
    pub(crate) threads: u32,
    /// NUMA cells; only the shared world has some.
    pub(crate) cells: Vec<Cell>,
}

/// A NUMA cell with eight CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    /// In KiB.
    pub(crate) memory: u64,
    /// In KiB.
    pub(crate) free: u64,
}

/// The CPUs of a cell.
pub(crate) const CPUS_PER_CELL: u32 = 8;

impl Default for Node {
    /// The host of a document that says nothing of it.
    fn default() -> Self {
        Self {
            model: "i686".to_owned(),
            memory: 3 << 20,
            cpus: 16,
            mhz: 1400,
            nodes: 2,
            sockets: 2,
            cores: 2,
            threads: 2,
            cells: Vec::new(),
        }
    }
}

impl Node {
    /// How many CPUs the topology has room for.
    pub(crate) fn most_cpus(&self) -> usize {
        let factors = [self.nodes, self.sockets, self.cores, self.threads];
        let cpus = factors.into_iter().fold(1, u32::saturating_mul);
        usize::try_from(cpus).unwrap_or(usize::MAX)
    }

    /// The cells of `test:///default`: two, the second with twice the memory of the first, half of it free.
    pub(crate) fn default_cells() -> Vec<Cell> {
        (1..=2).map(|size| Cell { memory: size * (2 << 20), free: size * (1 << 20) }).collect()
    }
}
