// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Namespaces that a container shares: opened by the daemon, joined by the controller.

use std::fs::File;

use virtus_api::{Error, ErrorCode, Result};
use virtus_host::process::Spawn;
use virtus_xml::domain::lxc::{Share, ShareType, ShareWhat};

use crate::blueprint::Namespace;
use crate::driver::Lxc;
use crate::plan::Plan;

/// Opens what the definition names.
pub(super) fn open(lxc: &Lxc, plan: &mut Plan, spawn: &mut Spawn) -> Result<()> {
    for share in plan.def.lxc.iter().flat_map(|namespace| &namespace.shares) {
        let (name, place) = match share.what {
            ShareWhat::Net => ("net", &mut plan.blueprint.network),
            ShareWhat::Ipc => ("ipc", &mut plan.blueprint.ipc),
            ShareWhat::Uts => ("uts", &mut plan.blueprint.uts),
        };
        let Some(path) = path(lxc, share, name)? else { continue };
        let file = File::open(&path).map_err(|cause| {
            Error::system(format!("cannot open the namespace '{path}'"), &cause)
        })?;
        *place = Namespace::Shared(spawn.inherit(file));
    }
    Ok(())
}

/// The file of a namespace.
fn path(lxc: &Lxc, share: &Share, name: &str) -> Result<Option<String>> {
    let value = &share.value;
    let pid = match share.kind {
        ShareType::None => return Ok(None),
        ShareType::Netns if value.contains('/') => {
            let text = format!("'{value}' is not the name of a network namespace");
            return Err(Error::new(ErrorCode::InvalidArg, text));
        }
        ShareType::Netns => return Ok(Some(format!("/run/netns/{value}"))),
        ShareType::Pid => value.parse().map_err(|_| {
            Error::new(ErrorCode::InvalidArg, format!("'{value}' is not the number of a process"))
        })?,
        ShareType::Name => lxc.running(value).map(|other| other.init()).ok_or_else(|| {
            let text =
                format!("container '{value}', whose namespace is to be shared, does not run");
            Error::new(ErrorCode::OperationInvalid, text)
                .hint(format!("start it first: 'virsh start {value}'"))
        })?,
    };
    Ok(Some(format!("/proc/{pid}/ns/{name}")))
}
