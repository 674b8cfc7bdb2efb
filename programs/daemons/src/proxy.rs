// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which daemon virtproxyd hands a client on to: the URI says it, or what is there.

use std::path::PathBuf;

use virtus_api::Result;
use virtus_core::{Paths, Uri};
use virtus_rpc::{Destination, Directory};

/// Hypervisors with a daemon of their own, in the order in which they are looked for.
const HYPERVISORS: [&str; 6] = ["xen", "qemu", "lxc", "vbox", "bhyve", "vz"];

/// What else has one.
const COMPANIONS: [&str; 6] = ["network", "nodedev", "nwfilter", "storage", "secret", "interface"];

/// The daemons of one place.
pub(crate) struct Neighbours {
    system: bool,
    run: PathBuf,
}

impl Neighbours {
    pub(crate) fn new(paths: &Paths) -> Self {
        Self { system: paths.system, run: paths.run.clone() }
    }

    fn destination(&self, scheme: &str, uri: String) -> Destination {
        let daemon = format!("virt{scheme}d");
        Destination { uri, socket: self.run.join(format!("{daemon}-sock")), daemon }
    }

    /// The hypervisor that a client gets who names none: the first whose daemon has a socket, or else the commonest.
    fn any(&self) -> Destination {
        let place = if self.system { "system" } else { "session" };
        let of = |scheme: &str| self.destination(scheme, format!("{scheme}:///{place}"));
        let mut there = HYPERVISORS.into_iter().map(of).filter(|found| found.socket.exists());
        there.next().unwrap_or_else(|| of("qemu"))
    }
}

impl Directory for Neighbours {
    fn find(&self, uri: &str) -> Result<Option<Destination>> {
        if uri.is_empty() {
            return Ok(Some(self.any()));
        }
        let parsed = Uri::parse(uri)?;
        let scheme = parsed.scheme.as_str();
        let ours = HYPERVISORS.iter().chain(&COMPANIONS).any(|known| *known == scheme);
        Ok(ours.then(|| self.destination(scheme, uri.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_tells_the_daemon() {
        let neighbours = Neighbours { system: true, run: PathBuf::from("/nowhere") };
        for (uri, daemon) in [
            ("qemu:///system", Some("virtqemud")),
            ("lxc:///", Some("virtlxcd")),
            ("secret:///system", Some("virtsecretd")),
            ("", Some("virtqemud")),
            ("test:///default", None),
            ("nonsense", None),
        ] {
            let found = neighbours.find(uri).ok().flatten().map(|found| found.daemon);
            assert_eq!(found.as_deref(), daemon, "{uri}");
        }
    }
}
