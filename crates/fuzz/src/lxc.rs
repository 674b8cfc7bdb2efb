// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Configurations of the LXC tools, which a client may send to have them as a definition.
//!
//! What is understood is a definition that is read again as the same.

use virtus_lxc::native;
use virtus_wire::sample::Random;
use virtus_xml::{Domain, FormatFlags, ParseFlags};

use super::Target;

pub(crate) const TARGET: Target = Target { name: "lxc", run, seed };

const SEEDS: &[&str] = &[
    "lxc.rootfs.path = dir:/r\nlxc.uts.name = a\nlxc.arch = amd64\nlxc.tty.max = 2\n# why\n\
     lxc.mount.entry = proc proc proc nodev,noexec 0 0\nlxc.mount.entry = /s m/n none bind,ro 0 0\n\
     lxc.mount.entry = tmpfs run tmpfs size=8m 0 0\nlxc.idmap = u 0 1000 10\nlxc.idmap = g 0 1000 10\n\
     lxc.cap.drop = sys_module mac_admin\nlxc.cgroup.memory.limit_in_bytes = 512M\n\
     lxc.cgroup.cpu.shares = 7\nlxc.cgroup.blkio.weight = 500\nlxc.cgroup.cpuset.cpus = 0-3,^1\n",
    "lxc.rootfs=/r\nlxc.network.type=veth\nlxc.network.flags=up\nlxc.network.link=br0\n\
     lxc.network.hwaddr=02:00:00:00:00:01\nlxc.network.name=eth0\nlxc.network.ipv4=10.0.0.2/24\n\
     lxc.network.ipv4.gateway=10.0.0.1\nlxc.network.ipv6=::2/64\nlxc.network.type=macvlan\n\
     lxc.network.macvlan.mode=bridge\nlxc.network.link=eth1\nlxc.network.type=vlan\n\
     lxc.network.vlan.id=9\nlxc.network.link=eth2\nlxc.network.type=phys\nlxc.network.link=eth3\n",
    "lxc.rootfs.path=/r\nlxc.net.0.type=veth\nlxc.net.0.link=br0\nlxc.net.0.ipv4.address=10.0.0.2/24\n\
     lxc.net.1.type=none\n",
];

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(def) = native::read(text) else { return };
    let written = def.format(FormatFlags::INACTIVE);
    let again = Domain::parse(&written, ParseFlags::INACTIVE);
    let rewritten = again.map(|domain| domain.value.format(FormatFlags::INACTIVE));
    assert_eq!(rewritten.as_deref().ok(), Some(written.as_str()), "from {text}");
}

fn seed(random: &mut Random) -> Vec<u8> {
    SEEDS[random.below(SEEDS.len())].as_bytes().to_vec()
}
