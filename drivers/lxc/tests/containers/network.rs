// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Network devices that move into a container.

use rustix::process::Signal;
use virtus_host::link::Links;
use virtus_host::net;
use virtus_lxc::blueprint::{Address, DeviceNode, Link, Namespace, Route};
use virtus_lxc::orders::{Order, give};

use crate::bed::{Bed, run, until};
use crate::{Case, Outcome, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("one_end_of_a_pair_moves_in", one_end_of_a_pair_moves_in),
    ("a_device_of_the_host_comes_back", a_device_of_the_host_comes_back),
    ("devices_come_and_go_while_it_runs", devices_come_and_go_while_it_runs),
    ("a_failed_start_gives_it_back", a_failed_start_gives_it_back),
    ("containers_share_a_namespace", containers_share_a_namespace),
];

/// A pair, of which one end is for the container.
struct Pair {
    host: String,
    guest: String,
}

impl Pair {
    fn new(bed: &Bed) -> Self {
        let number = bed.blueprint.name.replace('-', "x");
        let pair = Self { host: format!("{number}h"), guest: format!("{number}g") };
        Links::open().unwrap().create_veth(&pair.host, &pair.guest).unwrap();
        pair
    }

    fn link(&self) -> Link {
        Link {
            host_name: self.guest.clone(),
            of_host: false,
            name: "eth0".into(),
            mac: Some([0x52, 0x54, 0, 1, 2, 3]),
            addresses: vec![
                Address { address: [10, 9, 8, 7].into(), prefix: 24, peer: None },
                Address { address: [0xfd00, 0, 0, 0, 0, 0, 0, 7].into(), prefix: 64, peer: None },
            ],
            routes: vec![Route {
                network: [0, 0, 0, 0].into(),
                prefix: 0,
                gateway: [10, 9, 8, 1].into(),
                metric: Some(5),
            }],
            up: true,
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // It went with its container, in a good end.
        let _ = Links::open().map(|links| links.delete(&self.host));
    }
}

const SHOW: &str = "ip -o address show eth0; ip link show eth0; ip route; ip -o link | wc -l";

fn one_end_of_a_pair_moves_in() -> Outcome {
    let mut bed = Bed::new(&format!(
        "({SHOW}) >> /out 2>&1; [ -e /again ] || {{ : > /again; reboot -f; }}; echo end >> /out; sleep 1000"
    ));
    let pair = Pair::new(&bed);
    bed.blueprint.links = vec![pair.link()];
    run(async {
        let process = bed.start().await?;
        bed.says("end").await?;
        equal("the host has its end", net::index(&pair.guest), None)?;
        process.signal(Signal::TERM).unwrap();
        bed.ended(&process).await?;
        bed.left_nothing()?;
        until(|| net::index(&pair.host).is_none()).await
    })?;
    let out = bed.out();
    for part in [
        "inet 10.9.8.7/24",
        "inet6 fd00::7/64",
        "52:54:00:01:02:03",
        "default via 10.9.8.1 dev eth0",
    ] {
        contains(&out, part)?;
        equal("before and after the reboot", out.matches(part).count(), 2)?;
    }
    Ok(())
}

fn a_device_of_the_host_comes_back() -> Outcome {
    let mut bed = Bed::new("ip link show eth0 | head -1 > /out");
    let pair = Pair::new(&bed);
    bed.blueprint.links = vec![Link { of_host: true, mac: None, ..pair.link() }];
    contains(&run(bed.run())?, "eth0")?;
    equal("the host has it", net::index(&pair.guest).is_some(), true)
}

fn devices_come_and_go_while_it_runs() -> Outcome {
    let mut bed = Bed::new(
        "i=0; while :; do i=$((i+1)); { ls /dev/extra; ip -o address show eth0; } > /next 2>&1; echo round $i >> /next; \
         cat /next > /out; usleep 20000; done",
    );
    bed.map_ids();
    let pair = Pair::new(&bed);
    let node = DeviceNode {
        path: "extra/null".into(),
        block: false,
        major: 1,
        minor: 3,
        mode: 0o666,
        read_only: false,
        held: None,
    };
    run(async {
        let process = bed.start().await?;
        bed.says("round 1").await?;
        let socket = &bed.blueprint.socket;
        let order = async |order| give(socket, &order).await.map_err(|error| error.to_string());
        order(Order::MakeDevice(node.clone())).await?;
        order(Order::TakeLink(pair.link())).await?;
        until(|| bed.out().contains("null\n") && bed.out().contains("inet 10.9.8.7/24")).await?;
        let again = order(Order::MakeDevice(node)).await.unwrap_err();
        contains(&again, "cannot make the device file '/dev/extra/null': File exists")?;
        order(Order::RemoveDevice("extra/null".into())).await?;
        order(Order::GiveLinkBack("eth0".into())).await?;
        equal("the host has it", net::index(&pair.guest).is_some(), true)?;
        until(|| !bed.out().contains("null\n") && !bed.out().contains("inet")).await?;
        let again = order(Order::GiveLinkBack("eth0".into())).await.unwrap_err();
        contains(&again, "no network device 'eth0' was moved into the container")?;
        process.signal(Signal::TERM).unwrap();
        bed.ended(&process).await
    })
}

fn a_failed_start_gives_it_back() -> Outcome {
    let mut bed = Bed::new("");
    let pair = Pair::new(&bed);
    bed.blueprint.links = vec![pair.link()];
    bed.blueprint.links[0].routes[0].gateway = [10, 1, 1, 1].into();
    let error = run(bed.run()).unwrap_err();
    contains(&error, "cannot add the route to 0.0.0.0/0 through 10.1.1.1")?;
    equal("the host has it", net::index(&pair.guest).is_some(), true)?;
    bed.left_nothing()
}

fn containers_share_a_namespace() -> Outcome {
    let one = Bed::new(
        "ip link add mark type dummy 2>/dev/null || ip link set lo name mark; hostname > /out; sleep 1000",
    );
    let mut other = Bed::new("for n in net uts pid; do readlink /proc/self/ns/$n; done > /out");
    run(async {
        let process = one.start().await?;
        one.says("box").await?;
        let init = one.init().await?;
        let space = |kind: &str| format!("/proc/{init}/ns/{kind}");
        let mut spawn = other.spawn();
        let number = spawn.inherit(std::fs::File::open(space("net")).unwrap());
        other.blueprint.network = Namespace::Shared(number);
        other.blueprint.uts = Namespace::Host;
        let second = other.start_with(spawn).await?;
        other.ended(&second).await?;
        let out = other.out();
        let named = |path: String| std::fs::read_link(path).unwrap().display().to_string();
        contains(&out, &named(space("net")))?;
        contains(&out, &named("/proc/self/ns/uts".to_owned()))?;
        equal("its own processes", out.contains(&named(space("pid"))), false)?;
        process.signal(Signal::TERM).unwrap();
        one.ended(&process).await
    })
}
