// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a daemon can have changed in a container that runs. It goes through the controller, which is in the right
//! place for it: a daemon with its threads cannot enter namespaces.
//!
//! An order is a call on the monitor's socket, with a procedure of its own beside libvirt's; its body and that of a
//! refusal are JSON. What was changed is there again after a reboot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use crate::blueprint::{DeviceNode, Link};
use crate::failure::Failure;
use crate::monitor::{self, CALL, HEAD, ORDER};

/// How long the controller may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest order and the longest answer.
pub(crate) const LONGEST: usize = 64 << 10;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Makes a device file. That the device may be used is a matter of the control group.
    MakeDevice(DeviceNode),
    /// The same for a device that the controller has to hold: one from before it could do so refuses this.
    MakeHeldDevice(DeviceNode),
    /// Removes the device file at this path below `/dev`.
    RemoveDevice(PathBuf),
    /// Moves a network device into the container and sets it up.
    TakeLink(Link),
    /// Brings the network device with this name in the container back to the host.
    GiveLinkBack(String),
    /// Switches a network device that was moved in on or off.
    SwitchLink {
        /// Its name in the container.
        name: String,
        /// On.
        up: bool,
    },
}

/// Has the controller that listens at `socket` carry out an order.
///
/// # Errors
/// What failed there, or that no controller answers.
pub async fn give(socket: &Path, order: &Order) -> Result<()> {
    let lost = |cause: &std::io::Error| {
        let attempt = format!("cannot reach the controller at '{}'", socket.display());
        Error::system(attempt, cause).in_domain(ErrorDomain::Lxc)
    };
    let body = serde_json::to_vec(order).map_err(|cause| lost(&cause.into()))?;
    let call = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(&monitor::frame(ORDER, CALL, 0, &body)).await?;
        loop {
            let length = stream.read_u32().await? as usize;
            if !(HEAD..=HEAD + LONGEST).contains(&length) {
                return Err(std::io::ErrorKind::InvalidData.into());
            }
            let mut message = vec![0; length - 4];
            stream.read_exact(&mut message).await?;
            // News may come before it.
            if monitor::procedure(&message) == Some(ORDER) {
                return Ok(message.split_off(HEAD - 4));
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, call).await.map_err(|_| {
        let text = format!("the container's controller took longer than {PATIENCE:?}");
        Error::new(ErrorCode::OperationTimeout, text).in_domain(ErrorDomain::Lxc)
    })?;
    match answer.map_err(|cause| lost(&cause))? {
        answer if answer.is_empty() => Ok(()),
        answer => Err(serde_json::from_slice::<Failure>(&answer)
            .map_err(|cause| lost(&cause.into()))?
            .into()),
    }
}
