// SPDX-License-Identifier: Apache-2.0 OR MIT
//! systemd's managers on the system bus: of machines, and of what the host itself does.

use serde::Serialize;
use zbus::connection::Builder;
use zbus::{Connection, Message, Result, Type};

/// A manager, by the last part of its name on the bus: `machine1`, `login1`. Its callers keep deadlines.
pub(crate) struct Manager {
    bus: Connection,
    name: &'static str,
}

impl Manager {
    /// Connects to the bus; whether the manager is there is not known yet.
    pub(crate) async fn open(name: &'static str) -> Result<Self> {
        Ok(Self { bus: Builder::system().build().await?, name })
    }

    pub(crate) async fn call<B: Serialize + Type>(
        &self,
        method: &str,
        body: &B,
    ) -> Result<Message> {
        let name = format!("org.freedesktop.{}", self.name);
        let path = format!("/org/freedesktop/{}", self.name);
        let interface = format!("{name}.Manager");
        self.bus.call_method(Some(name), path, Some(interface), method, body).await
    }
}
