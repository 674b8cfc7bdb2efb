// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How fast packets may pass a guest's network device, by the kernel's traffic control.
//!
//! What the guest receives leaves the host by the device, and waits in a queue of its own; what it sends arrives
//! there and can only be dropped. `tc` writes both in one go.

use std::fmt::Write;
use std::time::Duration;

use virtus_api::{Error, ErrorDomain, Result};

use crate::process::Run;

/// How long `tc` may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Limits of a device, seen from the guest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// What it receives.
    pub inbound: Option<Rate>,
    /// What it sends.
    pub outbound: Option<Rate>,
}

/// A limit of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In KiB per second.
    pub average: u64,
    /// What a burst may reach, in KiB per second.
    pub peak: Option<u64>,
    /// How much may pass at once, in KiB.
    pub burst: Option<u64>,
}

impl Bandwidth {
    /// Limits the device `name`, the host's end of a guest's, which has no limits yet.
    ///
    /// # Errors
    /// Where `tc` is not there, or the kernel lacks a part of its traffic control.
    pub async fn limit(&self, name: &str) -> Result<()> {
        let lines = self.lines(name);
        if lines.is_empty() {
            return Ok(());
        }
        let done = Run::new("tc").args(["-batch", "-"]).input(lines).succeed(PATIENCE).await;
        done.map(drop).map_err(|error| failed(error, name))
    }

    /// Limits the device `name` in place of the limits that it has.
    ///
    /// # Errors
    /// As [`Self::limit`].
    pub async fn replace(&self, name: &str) -> Result<()> {
        let lifted = format!("qdisc del dev {name} root\nqdisc del dev {name} ingress\n");
        let lift = Run::new("tc").args(["-force", "-batch", "-"]).input(lifted);
        // It complains about what was not there; what is still there is in the way below.
        lift.output(PATIENCE).await.map_err(|error| failed(error, name))?;
        self.limit(name).await
    }

    /// What `tc` is told.
    fn lines(&self, name: &str) -> String {
        let mut lines = String::new();
        if let Some(Rate { average, peak, burst }) = self.inbound {
            let ceil = peak.map(|peak| format!(" ceil {peak}kbps")).unwrap_or_default();
            let burst = burst.map(|burst| format!(" burst {burst}kb")).unwrap_or_default();
            // Writing to a String cannot fail.
            let _infallible = write!(
                lines,
                "qdisc add dev {name} root handle 1: htb default 1\n\
                 class add dev {name} parent 1: classid 1:1 htb rate {average}kbps{ceil}{burst}\n"
            );
        }
        if let Some(Rate { average, burst, .. }) = self.outbound {
            let burst = burst.unwrap_or(average);
            let _infallible = write!(
                lines,
                "qdisc add dev {name} ingress\n\
                 filter add dev {name} parent ffff: protocol all u32 match u32 0 0 \
                 police rate {average}kbps burst {burst}kb mtu 64kb drop flowid :1\n"
            );
        }
        lines
    }
}

fn failed(error: Error, name: &str) -> Error {
    error
        .context(format!("cannot limit the bandwidth of network device '{name}'"))
        .in_domain(ErrorDomain::Network)
        .hint("it needs 'tc' (iproute2) and the kernel's htb, u32 and police modules")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_direction_is_limited_by_its_own_means() {
        let rate = |peak, burst| Some(Rate { average: 100, peak, burst });
        let both =
            Bandwidth { inbound: rate(Some(300), Some(64)), outbound: rate(Some(300), None) };
        let lines = both.lines("vnet0");
        assert!(
            lines.contains("classid 1:1 htb rate 100kbps ceil 300kbps burst 64kb\n"),
            "{lines}"
        );
        assert!(lines.contains("police rate 100kbps burst 100kb mtu 64kb drop"), "{lines}");
        assert_eq!(Bandwidth::default().lines("vnet0"), "");
    }
}
