// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `<tpm>`: a module of the host, or one that swtpm emulates behind a socket.

use virtus_api::Result;
use virtus_xml::domain::tpm::{Tpm, TpmBackendType, TpmModel};

use super::argv::{Opts, Props};
use super::chardev::{Backend, Socket};
use super::context::FdKey;
use super::device::{alias, place};
use super::line::Line;
use super::storage::unsupported;
use crate::machine::is_x86;

/// Writes all modules.
pub(crate) fn write(line: &mut Line<'_>) -> Result<()> {
    for tpm in &line.domain.devices.tpms {
        let id = alias(&tpm.info)?.to_owned();
        if tpm.model == Some(TpmModel::SpaprProxy) {
            let proxy = proxy(tpm, &id)?;
            line.device(proxy);
            continue;
        }
        backend(line, tpm, &id)?;
        let name = match tpm.model {
            Some(TpmModel::Tis) if !is_x86(line.domain) => "tpm-tis-device",
            Some(model) if model != TpmModel::Default => model.as_str(),
            _ => return Err(unsupported("a TPM without a model")),
        };
        let mut props = Props::device(name);
        props.set("tpmdev", format!("tpm-{id}"));
        props.set("id", id);
        props.extend(place(line.domain, &tpm.info)?);
        line.device(props);
    }
    Ok(())
}

/// A proxy forwards to the host's device by itself.
fn proxy(tpm: &Tpm, id: &str) -> Result<Props> {
    let device = tpm.backend.as_ref().and_then(|backend| backend.device.as_ref());
    let path = device.and_then(|device| device.path.as_deref());
    let path = path.ok_or_else(|| unsupported("a TPM proxy without <device path>"))?;
    Ok(Props::device("spapr-tpm-proxy").with("id", id).with("host-path", path))
}

fn backend(line: &mut Line<'_>, tpm: &Tpm, id: &str) -> Result<()> {
    let backend = tpm.backend.as_ref().ok_or_else(|| unsupported("a TPM without a <backend>"))?;
    let opts = match backend.kind {
        TpmBackendType::Passthrough => {
            let (device, cancel) = (line.cx.fd(&FdKey::Tpm)?, line.cx.fd(&FdKey::TpmCancel)?);
            let path = line.fd_set(device, &format!("{id}-tpm"));
            let cancel = line.fd_set(cancel, &format!("{id}-cancel"));
            Opts::new("passthrough")
                .with("id", format!("tpm-{id}"))
                .with("path", path)
                .with("cancel-path", cancel)
        }
        TpmBackendType::Emulator | TpmBackendType::External => {
            let stated = backend.source.as_ref().map(|source| source.path.clone());
            let path = match backend.kind {
                TpmBackendType::External => stated,
                _ => line.cx.peers.get(id).cloned(),
            };
            let path =
                path.ok_or_else(|| unsupported("a TPM without the socket of its emulator"))?;
            Backend::socket("chrtpm", Socket::call(path)).write(line);
            Opts::new("emulator").with("id", format!("tpm-{id}")).with("chardev", "chrtpm")
        }
    };
    line.argv.pair("-tpmdev", opts);
    Ok(())
}
