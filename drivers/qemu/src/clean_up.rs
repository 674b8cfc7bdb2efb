// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Removes what a run leaves on the host: its folders, sockets, PID file, ports, TPM, cgroup.

use virtus_domain::{filter_bindings, network_ports, switch_ports};
use virtus_xml::Domain;

use crate::driver::Qemu;
use crate::given::Given;
use crate::launch::{cgroup, display, files, tpm};
use crate::{reattach, stop};

/// Cleans up after a guest that has ended by whatever cause. A process that is still there (a start that
/// was broken off by the daemon's death) is ended first.
pub(crate) async fn clean_up(qemu: &Qemu, def: &Domain) {
    let places = &qemu.places;
    let (name, id) = (def.name.as_str(), def.id.unwrap_or(-1));
    match reattach::find_left_over(places, name).await {
        Ok(Some(process)) => {
            tracing::warn!("QEMU of domain '{name}' is still there and is ended");
            if let Err(error) = stop::kill(&process).await {
                tracing::error!("{error}");
            }
        }
        Ok(None) => {}
        Err(error) => tracing::warn!("{error}"),
    }
    for graphics in &def.devices.graphics {
        display::in_use(graphics).into_iter().for_each(|port| qemu.ports.give_back(port));
    }
    if !def.devices.tpms.is_empty() {
        tpm::end(&places.swtpm_pid_file(id, name), &places.swtpm_socket(id, name)).await;
    }
    let uuid = def.uuid.unwrap_or_default();
    match qemu.given.forget(uuid) {
        Some(given) => given.take_back().await,
        None => Given::found(files::given_by(def, &qemu.config())).take_back().await,
    }
    filter_bindings::unbind(&qemu.peers, &def.devices.interfaces).await;
    switch_ports::leave(&network_ports::owner(def), &def.devices.interfaces).await;
    network_ports::release(&qemu.peers, &def.devices.interfaces).await;
    cgroup::remove(&qemu.cgroups, id, name).await;
    files::remove(vec![places.domain(id, name), places.channel(id, name), places.pid_file(name)])
        .await;
}
