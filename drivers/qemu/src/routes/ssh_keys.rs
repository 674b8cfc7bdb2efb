// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The SSH keys that let a guest's users in.

use std::sync::Arc;

use serde_json::json;
use virtus_api::{
    DomainAuthorizedSshKeysGet, DomainAuthorizedSshKeysSet,
    DomainAuthorizedSshKeysSetFlags as KeyFlags, Result, limits,
};
use virtus_core::{Call, Routes};
use virtus_domain::routes::{check_flags, exclusive};

use super::agent::malformed;
use super::{by, running};
use crate::driver::QemuDriver;
use crate::guest::AGENT;

const GET: &str = "guest-ssh-get-authorized-keys";

/// The routes of this file.
pub(super) fn routes() -> Routes<QemuDriver> {
    Routes::new().on(by(get_keys)).on(by(set_keys))
}

async fn get_keys(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainAuthorizedSshKeysGet,
) -> Result<Vec<String>> {
    check_flags(request.flags, 0, "virDomainAuthorizedSSHKeysGet")?;
    let arguments = json!({ "username": request.user });
    let (guest, _) = running(&driver, &request.dom)?;
    let reply = guest.agent_execute(GET, arguments, AGENT).await?;
    let keys = reply["keys"].as_array().ok_or_else(|| malformed(GET))?;
    keys.iter()
        .take(limits::DOMAIN_AUTHORIZED_SSH_KEYS_MAX)
        .map(|key| key.as_str().map(|key| key.replace('\0', "")).ok_or_else(|| malformed(GET)))
        .collect()
}

async fn set_keys(
    driver: Arc<QemuDriver>,
    _: Call,
    request: DomainAuthorizedSshKeysSet,
) -> Result<()> {
    let (append, remove) = (KeyFlags::APPEND.bits(), KeyFlags::REMOVE.bits());
    check_flags(request.flags, append | remove, "virDomainAuthorizedSSHKeysSet")?;
    exclusive(
        request.flags,
        (append, "VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND"),
        (remove, "VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE"),
    )?;
    let mut arguments = json!({ "username": request.user, "keys": request.keys });
    let command = if request.flags & remove != 0 {
        "guest-ssh-remove-authorized-keys"
    } else {
        arguments["reset"] = (request.flags & append == 0).into();
        "guest-ssh-add-authorized-keys"
    };
    let (guest, _) = running(&driver, &request.dom)?;
    guest.agent_execute(command, arguments, AGENT).await.map(drop)
}
