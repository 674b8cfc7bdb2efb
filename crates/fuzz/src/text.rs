// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What people write by hand besides documents: URIs, `.conf` files, verifiers of passwords.
//!
//! What is read and written is read again as the same.

use std::path::Path;

use virtus_core::Uri;
use virtus_core::conf::Conf;
use virtus_rpc::sasl::scram::Verifier;
use virtus_wire::sample::Random;

use super::Target;

pub(crate) const TARGET: Target = Target { name: "text", run, seed };

const SEEDS: &[&str] = &[
    "qemu+ssh://user@[fe80::1%25eth0]:22/system?keyfile=/k&no_verify=1&command=a%20b#f",
    "test+unix:///default?socket=/run/a%2Fb&mode=legacy&x=&y",
    "esx://host.example/?transport=https",
    "# comment\nmax_clients = 5000\nunix_sock_dir = \"/run\"\ntls = 0 # why\nlist = [ \"a\", 1,\n \"b\" ]\n",
    "uri_aliases = [\n  \"a=qemu:///system\",\n]\ntext = 'one'\nlong = \"\"\"\nseveral\nlines\"\"\"\n",
    "SCRAM-SHA-256$4096:c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
];

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(uri) = Uri::parse(text) {
        let written = uri.to_string();
        let again = Uri::parse(&written).map(|uri| uri.to_string());
        assert_eq!(again.as_deref().ok(), Some(written.as_str()), "from {text:?}");
    }
    if let Ok(conf) = Conf::parse(Path::new("test.conf"), text) {
        for setting in conf.settings() {
            // Whatever it is, it has one of these kinds or is refused with its line.
            let _ = conf.text(&setting.name);
            let _ = conf.texts(&setting.name);
        }
    }
    if let Some(verifier) = Verifier::parse(text) {
        let written = verifier.to_string();
        let again = Verifier::parse(&written).map(|verifier| verifier.to_string());
        assert_eq!(again.as_deref(), Some(written.as_str()));
    }
}

fn seed(random: &mut Random) -> Vec<u8> {
    SEEDS[random.below(SEEDS.len())].as_bytes().to_vec()
}
