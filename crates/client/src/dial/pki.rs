// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where a client's certificates are.

use std::env;
use std::path::{Path, PathBuf};

use virtus_rpc::ClientFiles;

use crate::resolve::Surroundings;

/// Those in the folder that the URI names; otherwise the user's own, and for what is not there the
/// system's.
pub(super) fn files(named: Option<&Path>, around: &Surroundings<'_>) -> ClientFiles {
    let flat = |folder: &Path| ClientFiles {
        authority: folder.join("cacert.pem"),
        certificate: folder.join("clientcert.pem"),
        key: folder.join("clientkey.pem"),
    };
    if let Some(folder) = named {
        return flat(folder);
    }
    let pki = around.system.config.with_file_name("pki");
    let system = ClientFiles {
        authority: pki.join("CA/cacert.pem"),
        certificate: pki.join("libvirt/clientcert.pem"),
        key: pki.join("libvirt/private/clientkey.pem"),
    };
    let home = env::var_os("HOME").map(PathBuf::from).filter(|_| around.uid != 0);
    let Some(own) = home.map(|home| flat(&home.join(".pki/libvirt"))) else { return system };
    let there = |path: &Path| (around.exists)(path);
    let authority = if there(&own.authority) { own.authority } else { system.authority };
    if there(&own.certificate) && there(&own.key) {
        return ClientFiles { authority, certificate: own.certificate, key: own.key };
    }
    ClientFiles { authority, ..system }
}
