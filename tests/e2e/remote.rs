// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clients of other hosts: TCP.

use std::fs;

use virtus_tests::{Options, Outcome, Testbed};

use crate::{Case, contains, equal};

pub(crate) const CASES: &[Case] = &[("tcp_serves_whom_the_configuration_lets_in", tcp)];

/// A daemon that listens, with these lines of configuration.
fn listening(conf: &str) -> Options {
    Options {
        daemon_conf: format!("listen_addr = \"127.0.0.1\"\n{conf}"),
        arguments: vec!["--listen".to_owned()],
        daemon: Some("libvirtd"),
        ..Options::default()
    }
}

fn tcp() -> Outcome {
    let conf = "listen_tls = 0\nlisten_tcp = 1\nauth_tcp = \"none\"\ntcp_port = \"16999\"\n";
    let mut bed = Testbed::with(&listening(conf))?;
    let ask = |bed: &Testbed, words: &[&str]| {
        bed.run("virsh", &[&["--connect", "qemu+tcp://127.0.0.1:16999/system"], words].concat())
    };
    let done = ask(&bed, &["uri"])?;
    equal(&done.err, done.out.trim(), "qemu+tcp://127.0.0.1:16999/system")?;
    let done = ask(&bed, &["list", "--all"])?;
    equal(&done.err, done.ok(), true)?;
    // Nobody is let in by an oversight.
    if bed.is_ours() {
        bed.stop()?;
        fs::write(bed.path("etc/libvirt/libvirtd.conf"), "listen_tls = 0\nlisten_tcp = 1\n")?;
        let Err(error) = bed.start() else {
            return Err("an unguarded TCP socket is served".into());
        };
        contains(&error.to_string(), "auth_tcp: a TCP socket asks for SASL with encryption")?;
    }
    Ok(())
}
