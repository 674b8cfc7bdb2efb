// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The host's CPUs and how they are arranged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{Node, numbered, parse_list, read};

/// One CPU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpu {
    /// Its number.
    pub id: u32,
    /// Whether it runs.
    pub online: bool,
    /// Its NUMA node.
    pub node: u32,
    /// Its socket.
    pub socket: u32,
    /// Its die within the socket.
    pub die: u32,
    /// Its cluster within the die.
    pub cluster: u32,
    /// Its core within the socket.
    pub core: u32,
    /// It and the CPUs that share its core.
    pub siblings: Vec<u32>,
}

/// All CPUs, and the regular shape that `virNodeGetInfo` tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// Every CPU that is present, by number.
    pub cpus: Vec<Cpu>,
    /// How many NUMA nodes.
    pub nodes: u32,
    /// How many sockets in each node.
    pub sockets: u32,
    /// How many cores in each socket.
    pub cores: u32,
    /// How many threads in each core.
    pub threads: u32,
    /// How many CPUs guests have for each that runs: POWER's kernel keeps all but the first thread of a subcore
    /// for them.
    behind_each: u32,
}

impl Topology {
    /// How many CPUs run, with those that guests run on though the host does not see them.
    #[must_use]
    pub fn online(&self) -> usize {
        self.cpus.iter().filter(|cpu| cpu.online).count() * self.behind_each as usize
    }

    /// Which CPUs run, by number, up to the last one that is present.
    #[must_use]
    pub fn online_map(&self) -> Vec<bool> {
        let last = self.cpus.last().map_or(0, |cpu| cpu.id as usize + 1);
        let mut map = vec![false; last];
        self.cpus.iter().for_each(|cpu| map[cpu.id as usize] = cpu.online);
        map
    }
}

impl Node {
    /// How the CPUs are arranged.
    #[must_use]
    pub fn topology(&self) -> Topology {
        let node_of = self.node_of_cpu();
        let present = fs::read_to_string(self.devices.join("cpu/present"));
        let present = present.map(|list| parse_list(&list)).ok();
        let cpus: Vec<Cpu> = numbered(&self.devices.join("cpu"), "cpu")
            .into_iter()
            .filter(|id| present.as_ref().is_none_or(|present| present.contains(id)))
            .map(|id| self.cpu(id, node_of.get(&id).copied().unwrap_or_default()))
            .collect();
        shape(cpus, self.threads_per_subcore)
    }

    /// Every NUMA node with its CPUs; one node with all CPUs where the kernel knows none.
    #[must_use]
    pub fn numa_nodes(&self) -> BTreeMap<u32, Vec<u32>> {
        let folder = self.devices.join("node");
        let nodes = numbered(&folder, "node").into_iter().map(|node| {
            let folder = folder.join(format!("node{node}"));
            let list = fs::read_to_string(folder.join("cpulist"));
            let cpus = list.map_or_else(|_| numbered(&folder, "cpu"), |text| parse_list(&text));
            (node, cpus)
        });
        let nodes: BTreeMap<u32, Vec<u32>> = nodes.collect();
        if nodes.is_empty() {
            return BTreeMap::from([(0, numbered(&self.devices.join("cpu"), "cpu"))]);
        }
        nodes
    }

    fn node_of_cpu(&self) -> BTreeMap<u32, u32> {
        let nodes = self.numa_nodes().into_iter();
        nodes.flat_map(|(node, cpus)| cpus.into_iter().map(move |cpu| (cpu, node))).collect()
    }

    fn cpu(&self, id: u32, node: u32) -> Cpu {
        let folder = self.devices.join(format!("cpu/cpu{id}"));
        // The first CPU often cannot be switched off and has no such file.
        let online = read::<u8>(&folder.join("online")).unwrap_or(1) == 1;
        let topology = folder.join("topology");
        // The kernel says -1 where the hardware does not tell.
        let number = |name: &str| {
            let value = read::<i64>(&topology.join(name)).unwrap_or_default();
            u32::try_from(value).unwrap_or_default()
        };
        let list = fs::read_to_string(topology.join("thread_siblings_list")).unwrap_or_default();
        let mut siblings = parse_list(&list);
        if siblings.is_empty() {
            siblings.push(id);
        }
        Cpu {
            id,
            online,
            node,
            socket: number("physical_package_id"),
            die: number("die_id"),
            cluster: number("cluster_id"),
            core: number("core_id"),
            siblings,
        }
    }
}

/// The regular shape: the largest number at each level. Where the host is not regular (the product is
/// not the number of CPUs, as with several dies in a socket, for which the shape has no place), it is
/// told as one socket of single-threaded cores, as clients expect.
///
/// Where only the first threads of POWER's subcores run, the others are for guests and count as running.
fn shape(cpus: Vec<Cpu>, threads_per_subcore: u32) -> Topology {
    let first = |cpu: &Cpu| cpu.id.is_multiple_of(threads_per_subcore);
    let subcores = threads_per_subcore > 0 && cpus.iter().all(|cpu| !cpu.online || first(cpu));
    let behind_each = if subcores { threads_per_subcore } else { 1 };
    let mut sockets: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut cores: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut threads = 1;
    for cpu in cpus.iter().filter(|cpu| cpu.online) {
        sockets.entry(cpu.node).or_default().insert(cpu.socket);
        cores.entry((cpu.node, cpu.socket)).or_default().insert(cpu.core);
        threads = threads.max(count(cpu.siblings.len()) * behind_each);
    }
    let nodes = count(sockets.len()).max(1);
    let largest = |sizes: &mut dyn Iterator<Item = usize>| count(sizes.max().unwrap_or(1));
    let sockets = largest(&mut sockets.values().map(BTreeSet::len));
    let cores = largest(&mut cores.values().map(BTreeSet::len));
    let all = count(cpus.len());
    let online = count(cpus.iter().filter(|cpu| cpu.online).count()) * behind_each;
    let product = [nodes, sockets, cores, threads].into_iter().fold(1, u32::saturating_mul);
    if product == online || product == all {
        return Topology { cpus, nodes, sockets, cores, threads, behind_each };
    }
    Topology { cores: all.max(1), cpus, nodes: 1, sockets: 1, threads: 1, behind_each }
}

fn count(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
