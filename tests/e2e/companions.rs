// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Networks, pools, secrets and the like asked of a hypervisor's own daemon, which hands that on to theirs.

use virtus_tests::{Backend, DEADLINE, Options, Outcome, Testbed};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("every_daemon_that_is_missing_is_named_with_its_unit", missing),
    ("secrets_of_another_daemon_are_asked_of_the_hypervisor", secrets),
    ("what_a_client_may_is_asked_where_it_is_led", on_behalf),
    ("networks_of_another_daemon_are_asked_of_the_hypervisor", stock),
];

/// A list that each peer answers.
const LISTS: [(&str, &str); 6] = [
    ("net-list", "network"),
    ("nwfilter-list", "nwfilter"),
    ("secret-list", "secret"),
    ("pool-list", "storage"),
    ("nodedev-list", "nodedev"),
    ("iface-list", "interface"),
];

fn ours(bed: Testbed) -> Outcome<Testbed> {
    if bed.is_ours() {
        return Ok(bed);
    }
    Err(Skip("the stock daemon has all drivers".to_owned()).into())
}

fn missing() -> Outcome {
    for bed in [ours(Testbed::new()?)?, Testbed::of_containers()?] {
        let commands = LISTS.map(|(command, _)| command).join("; ");
        let said = bed.virsh_fails(&format!("'{commands}'"))?;
        for (_, peer) in LISTS {
            contains(&said, &format!("run/libvirt/virt{peer}d-sock': No such file or directory"))?;
            contains(&said, &format!("'systemctl start virt{peer}d.socket'"))?;
        }
        // Machines are served all the same.
        bed.virsh("list --all")?;
    }
    Ok(())
}

const UUID: &str = "7e57ab1e-0000-4000-8000-00000000009e";

fn secrets() -> Outcome {
    let bed = ours(Testbed::new()?)?;
    let virtsecretd = bed.start_beside("virtsecretd")?;
    let text = format!(
        "<secret><uuid>{UUID}</uuid><usage type='ceph'><name>through</name></usage></secret>"
    );
    let file = bed.write("secret.xml", &text)?;
    let mut events = bed.virsh_lines("secret-event --event lifecycle --loop")?;
    events.hears(&format!("{UUID}: Defined"), || {
        bed.virsh(&format!("secret-define {file}")).map(drop)
    })?;
    let read_only = format!("-r -c {}", bed.uri_read_only());
    contains(&bed.virsh(&format!("{read_only} secret-list"))?, "ceph through")?;
    let refused = bed.virsh_fails(&format!("{read_only} secret-undefine {UUID}"))?;
    contains(&refused, "read only access prevents virSecretUndefine")?;

    // A client that stays finds the successor of who has answered it.
    let mut client = bed.terminal("")?;
    client.ask("secret-list", "ceph through", DEADLINE)?;
    bed.end_beside(virtsecretd, "KILL")?;
    client.ask("secret-list", "'systemctl start virtsecretd.socket'", DEADLINE)?;
    let _again = bed.start_beside("virtsecretd")?;
    client.ask("secret-list", "ceph through", DEADLINE)?;
    client.ask("list --all", "State", DEADLINE)
}

/// The proxy and the hypervisor's daemon let everybody in; the daemon of secrets knows whom it serves all the same.
fn on_behalf() -> Outcome {
    let bed = ours(Testbed::with(&Options {
        daemon: Some("virtproxyd"),
        daemon_conf: "unix_sock_rw_perms = \"0777\"\n".to_owned(),
        ..Options::default()
    })?)?;
    let started = bed.virtus(&["virtqemud", "-d"])?;
    equal(&started.err, started.ok(), true)?;
    // There is no polkit here, so that only root may do anything.
    bed.write("etc/libvirt/virtsecretd.conf", "access_drivers = [ \"polkit\" ]\n")?;
    let _virtsecretd = bed.start_beside("virtsecretd")?;
    bed.virsh("secret-list")?;
    let uri = bed.uri();
    let machines = bed.virsh_as_nobody(&uri, &["list"])?;
    equal(&machines.err, machines.ok(), true)?;
    let secrets = bed.virsh_as_nobody(&uri, &["secret-list"])?;
    contains(&secrets.err, "access denied: 'secret' denied access")
}

fn stock() -> Outcome {
    let bed = ours(Testbed::new()?)?;
    if let Err(error) = Backend::stock() {
        return Err(Skip(format!("no stock daemon to be the peer: {error}")).into());
    }
    let _peer = bed.network_peer()?;
    let network =
        bed.write("net.xml", "<network><name>far</name><bridge name='virbr8'/></network>")?;
    bed.virsh(&format!("net-define {network}"))?;
    contains(&bed.virsh("net-list --all")?, "far")?;
    contains(&bed.virsh("net-dumpxml far")?, "virbr8")?;
    contains(&bed.virsh_fails("net-dumpxml near")?, "Network not found")?;
    let mut events = bed.virsh_lines("net-event --event lifecycle --loop")?;
    events.hears("for network far: Undefined", || {
        bed.virsh("net-undefine far")?;
        bed.virsh(&format!("net-define {network}")).map(drop)
    })
}
