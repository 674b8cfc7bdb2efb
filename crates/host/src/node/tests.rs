// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Facts of this host and of hosts on paper.

use std::time::Duration;

use super::*;

#[test]
fn lists_are_read_as_the_kernel_writes_them() {
    assert_eq!(parse_list("0-3,8\n"), [0, 1, 2, 3, 8]);
    assert_eq!(parse_list(""), [] as [u32; 0]);
    assert_eq!(parse_list("x,1"), [1]);
}

#[test]
fn this_host_has_cpus_memory_and_a_name() {
    let node = Node::new();
    let topology = node.topology();
    assert!(topology.online() > 0);
    assert_eq!(topology.online_map().iter().filter(|online| **online).count(), topology.online());
    assert!(topology.cores * topology.threads * topology.sockets >= 1);
    let memory = node.memory();
    assert!(memory.total > memory.free && memory.free > 0);
    assert!(node.cpu_times(None).unwrap().idle > Duration::ZERO);
    assert!(node.cpu_times(Some(0)).is_some());
    assert_eq!(node.cpu_times(Some(1 << 20)), None);
    assert!(!hostname().is_empty() && !arch().is_empty());
    assert!(node.pages(None, node.page_sizes()[0]).unwrap().total > 0);
    assert_eq!(node.pages(None, 3), None);
    assert!(!node.numa_nodes().is_empty());
    assert!(node.numa_memory(node.numa_node_ids()[0]).is_some());
}

/// Two sockets of two cores of two threads, one CPU off.
#[test]
fn a_regular_host_is_told_by_its_shape() {
    let root = std::env::temp_dir().join(format!("virtus-node-{}", std::process::id()));
    let put = |path: String, text: String| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(
            &fs::OpenOptions::new().write(true).open(&path).unwrap(),
            text.as_bytes(),
            0,
        )
        .unwrap();
    };
    for id in 0..8_u32 {
        let folder = format!("sys/devices/system/cpu/cpu{id}");
        put(format!("{folder}/online"), u8::from(id != 7).to_string());
        put(format!("{folder}/topology/physical_package_id"), (id / 4).to_string());
        put(format!("{folder}/topology/die_id"), "-1".to_owned());
        put(format!("{folder}/topology/core_id"), (id / 2).to_string());
        put(format!("{folder}/topology/thread_siblings_list"), format!("{}-{}", id & !1, id | 1));
    }
    put("sys/devices/system/node/node0/cpulist".to_owned(), "0-7\n".to_owned());
    put("sys/devices/system/node/node0/meminfo".to_owned(), "Node 0 MemTotal: 64 kB\n".to_owned());
    put("proc/cpuinfo".to_owned(), "cpu MHz\t\t: 2593.9\nmicrocode\t: 0x1f\n\n".to_owned());
    let node = Node::below(&root);
    let topology = node.topology();
    assert_eq!((topology.nodes, topology.sockets, topology.cores, topology.threads), (1, 2, 2, 2));
    assert_eq!((topology.online(), topology.cpus.len()), (7, 8));
    assert_eq!((node.mhz(), node.microcode()), (2593, 0x1f));
    assert_eq!(node.numa_memory(0).unwrap().total, 64);
    assert_eq!(node.numa_memory(1), None);
    fs::remove_dir_all(&root).unwrap();
}
