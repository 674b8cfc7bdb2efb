// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Emulated TPMs: one `swtpm` process for each, behind a socket.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use virtus_api::{Error, ErrorCode, Result};
use virtus_domain::Undo;
use virtus_host::process::{Run, find_program};
use virtus_xml::Domain;
use virtus_xml::domain::tpm::{TpmBackendType, TpmVersion};

use super::{Plan, files};
use crate::config::swtpm_identity;
use crate::paths::Places;

/// How long the first set-up may take: it makes keys.
const SETUP: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(10);

/// The alias of the emulated TPM, if there is one.
pub(crate) fn emulated(def: &Domain) -> Option<(&str, TpmVersion)> {
    def.devices.tpms.iter().find_map(|tpm| {
        let backend = tpm.backend.as_ref()?;
        let alias = tpm.info.alias.as_deref()?;
        (backend.kind == TpmBackendType::Emulator)
            .then_some((alias, backend.version.unwrap_or(TpmVersion::V20)))
    })
}

/// The sockets by the aliases of their TPMs.
pub(crate) fn peers(places: &Places, def: &Domain, id: i32) -> BTreeMap<String, String> {
    let socket = places.swtpm_socket(id, &def.name).to_string_lossy().into_owned();
    emulated(def).map(|(alias, _)| (alias.to_owned(), socket)).into_iter().collect()
}

/// Starts the emulator, if the guest has one.
pub(super) async fn start(places: &Places, plan: &Plan, undo: &mut Undo) -> Result<()> {
    let Some((_, version)) = emulated(&plan.def) else { return Ok(()) };
    let Some(program) = find_program(Path::new("swtpm")) else {
        return Err(missing("swtpm"));
    };
    let identity = plan.config.swtpm.clone().unwrap_or_else(swtpm_identity);
    let uuid = plan.def.uuid.unwrap_or_default().to_string();
    let folder_name = if version == TpmVersion::V20 { "tpm2" } else { "tpm1.2" };
    let own = places.swtpm.join(uuid);
    let state = own.join(folder_name);
    let (id, name) = (plan.start.id, plan.def.name.as_str());
    let (socket, pid) = (places.swtpm_socket(id, name), places.swtpm_pid_file(id, name));
    let log = places.swtpm_log.join(format!("{name}-swtpm.log"));
    let fresh = !state.is_dir();
    // The TPM's user passes through the first, and writes into the other two.
    make_folder(&own, 0o711)?;
    make_folder(&state, 0o700)?;
    if let Some(above) = places.swtpm_log.parent() {
        make_folder(above, 0o711)?;
    }
    make_folder(&places.swtpm_log, 0o730)?;
    files::give(&state, &identity)?;
    files::give(&places.swtpm_log, &identity)?;
    if fresh {
        let made = state.clone();
        let result = set_up(&state, &log, version, &identity).await;
        if result.is_err() {
            // What is half set up would be taken for a TPM the next time.
            files::remove(vec![made]).await;
        }
        result?;
    }
    let stop = (pid.clone(), socket.clone());
    undo.push("software TPM", async move { end(&stop.0, &stop.1).await });
    let mut run = Run::new(program)
        .args(["socket", "--ctrl"])
        .arg(format!("type=unixio,path={},mode=0600", socket.display()))
        .arg("--tpmstate")
        .arg(format!("dir={},mode=0600", state.display()))
        .arg("--log")
        .arg(format!("file={}", log.display()))
        .args(["--terminate", "--daemon", "--pid"])
        .arg(format!("file={}", pid.display()));
    if version == TpmVersion::V20 {
        run = run.arg("--tpm2");
    }
    run.succeed(START)
        .await
        .map(drop)
        .map_err(|error| error.context(format!("cannot start the TPM of domain '{name}'")))?;
    files::give(&socket, &plan.config.identity)
}

async fn set_up(
    state: &Path,
    log: &Path,
    version: TpmVersion,
    identity: &virtus_host::user::Identity,
) -> Result<()> {
    let Some(program) = find_program(Path::new("swtpm_setup")) else {
        return Err(missing("swtpm_setup"));
    };
    let mut run = Run::new(program)
        .arg("--tpm-state")
        .arg(state.as_os_str())
        .arg("--logfile")
        .arg(log.as_os_str())
        .args(["--createek", "--create-ek-cert", "--create-platform-cert", "--lock-nvram"])
        .arg("--not-overwrite");
    if version == TpmVersion::V20 {
        run = run.arg("--tpm2");
    }
    let identity = identity.clone();
    run.change(|spawn| spawn.identity(identity))
        .succeed(SETUP)
        .await
        .map(drop)
        .map_err(|error| error.context("cannot set up a new TPM"))
}

/// Ends the emulator of a run; it ends by itself when QEMU does, so mostly it is gone.
pub(crate) async fn end(pid_file: &Path, socket: &Path) {
    let pid = std::fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(pid) = pid
        && let Ok(Some(process)) = virtus_host::process::Process::open(pid, None)
        && process.stat().is_some_and(|stat| stat.name.starts_with("swtpm"))
        && let Err(error) = crate::stop::kill(&process).await
    {
        tracing::warn!("{error}");
    }
    files::remove(vec![pid_file.to_owned(), socket.to_owned()]).await;
}

fn make_folder(folder: &Path, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(|cause| {
        Error::system(format!("cannot create folder '{}'", folder.display()), &cause)
    })
}

fn missing(program: &str) -> Error {
    let text = format!("the domain has an emulated TPM, but '{program}' is not installed");
    Error::new(ErrorCode::ConfigUnsupported, text).hint("install swtpm and swtpm-tools")
}
