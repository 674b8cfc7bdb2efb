// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A Debian container whose init is systemd: boot, network, login, reboot, shutdown.

use virtus_tests::{Container, DEADLINE, Outcome, Terminal, Testbed, debian_folder};

use crate::events::next;
use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[("boots_to_its_login_and_again", boots)];

/// Its own systemd gives the card its address.
const CARD: &str = "<interface type='bridge'><source bridge='br7'/></interface>";
const NETWORK: &str = "cd \"$0/etc/systemd\"
    printf '[Match]\\nName=eth0\\n[Network]\\nAddress=192.168.77.2/24\\n' >network/eth0.network
    ln -s /lib/systemd/system/systemd-networkd.service system/multi-user.target.wants/";

/// What systemd hears as "restart now" where nobody has an initctl pipe: SIGRTMIN+5.
const RESTART: &str = "rt7";

fn boots() -> Outcome {
    let tree = debian_folder()?;
    let bed = Testbed::of_containers()?;
    bed.bridge("br7", "192.168.77.1/24")?;
    let container = Container::debian(&bed, "debian", &tree)?.device(CARD);
    let root = bed.path("trees/debian");
    let configured = bed.run("sh", &["-ec", NETWORK, root.to_str().ok_or("no text")?])?;
    equal("configuring the network", configured.err.as_str(), "")?;
    bed.define_container(&container)?;
    let mut events = bed.python("events.py", &[])?;
    events.expect("ready", DEADLINE)?;
    bed.virsh("start debian")?;
    next(&mut events, "debian", "started 0")?;
    let mut console = bed.terminal("console debian")?;
    log_in(&mut console)?;
    // Every unit is up, `multi-user.target` is reached, nothing has failed.
    console.ask(
        "echo $(systemctl is-system-running --wait; systemctl --failed --plain --no-legend)-now",
        "running-now",
        DEADLINE,
    )?;
    console.ask("echo $(systemctl is-active multi-user.target)-too", "active-too", DEADLINE)?;
    let pinged = bed.run("busybox", &["ping", "-c", "1", "-W", "5", "192.168.77.2"])?;
    contains(&pinged.out, "1 packets received")?;

    bed.virsh(&format!("send-process-signal debian 1 {RESTART}"))?;
    events.expect("reboot debian", DEADLINE)?;
    log_in(&mut console)?;
    console.ask("echo $(systemctl is-system-running --wait)-again", "running-again", DEADLINE)?;
    bed.virsh("reboot debian --mode initctl")?;
    events.expect("reboot debian", DEADLINE)?;
    console.expect("login: ", DEADLINE)?;
    bed.virsh("shutdown debian")?;
    next(&mut events, "debian", "stopped 0")?;
    equal("virsh console", console.end(DEADLINE)?, Some(0))
}

pub(crate) fn log_in(console: &mut Terminal) -> Outcome {
    for (question, answer) in [("login: ", "root\n"), ("Password: ", "virtus\n")] {
        console.expect(question, DEADLINE)?;
        console.keys(answer)?;
    }
    console.expect("root@", DEADLINE).map(drop)
}
