// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Puts this host to sleep for a while: systemd-logind does it, or where that does not answer pm-utils.
//!
//! ```text
//! who and how -> alarm of the hardware clock -> (the client has its answer) -> sleep
//! ```

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use virtus_api::{Error, ErrorCode, NodeSuspendTarget, Result};
use virtus_host::process::Run;
use virtus_xml::capabilities::PowerManagement;

use crate::systemd::Manager;

/// The shortest sleep, in seconds: the alarm must not come before the host has fallen asleep.
const SHORTEST: u64 = 60;
/// How long the answer may be on its way to the client.
const ON_ITS_WAY: Duration = Duration::from_secs(3);
/// How long logind, or a program, may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the host may take to fall asleep and to wake up. Between, its clock stands still.
const NODDING: Duration = Duration::from_secs(600);

/// A way to sleep, by what it is called.
struct Way {
    target: NodeSuspendTarget,
    name: &'static str,
    logind: &'static str,
    pm_utils: &'static str,
}

const WAYS: [Way; 3] = [
    Way {
        target: NodeSuspendTarget::Mem,
        name: "Suspend-to-RAM",
        logind: "Suspend",
        pm_utils: "suspend",
    },
    Way {
        target: NodeSuspendTarget::Disk,
        name: "Suspend-to-Disk",
        logind: "Hibernate",
        pm_utils: "hibernate",
    },
    Way {
        target: NodeSuspendTarget::Hybrid,
        name: "Hybrid-Suspend",
        logind: "HybridSleep",
        pm_utils: "suspend-hybrid",
    },
];

/// Who puts this host to sleep.
struct Sleeper {
    /// Where there is none, pm-utils do.
    logind: Option<Manager>,
    ways: Vec<&'static Way>,
}

impl Sleeper {
    async fn find() -> Self {
        match timeout(PATIENCE, Self::logind()).await {
            Ok(Ok(found)) => found,
            _ => Self::pm_utils().await,
        }
    }

    async fn logind() -> zbus::Result<Self> {
        let logind = Manager::open("login1").await?;
        let mut ways = Vec::new();
        for way in &WAYS {
            let answer = logind.call(&format!("Can{}", way.logind), &()).await?;
            // The latter to whom polkit would ask for a password.
            if matches!(answer.body().deserialize()?, "yes" | "challenge") {
                ways.push(way);
            }
        }
        Ok(Self { logind: Some(logind), ways })
    }

    async fn pm_utils() -> Self {
        let mut ways = Vec::new();
        for way in &WAYS {
            let asked = Run::new("pm-is-supported").arg(format!("--{}", way.pm_utils));
            if asked.succeed(PATIENCE).await.is_ok() {
                ways.push(way);
            }
        }
        Self { logind: None, ways }
    }

    fn can(&self, target: NodeSuspendTarget) -> bool {
        self.ways.iter().any(|way| way.target == target)
    }

    /// Ends when the host falls asleep, or has woken up again.
    async fn put_to_sleep(&self, way: &Way) -> Result<()> {
        let Some(logind) = &self.logind else {
            return Run::new(format!("pm-{}", way.pm_utils)).succeed(NODDING).await.map(drop);
        };
        let interactive = false;
        let failed = |cause: &dyn std::fmt::Display| {
            Error::new(ErrorCode::OperationFailed, format!("systemd-logind: {cause}"))
        };
        match timeout(NODDING, logind.call(way.logind, &interactive)).await {
            Ok(answer) => answer.map(drop).map_err(|cause| failed(&cause)),
            Err(cause) => Err(failed(&cause)),
        }
    }
}

/// How this host can sleep.
pub async fn power_management() -> PowerManagement {
    let sleeper = Sleeper::find().await;
    PowerManagement {
        suspend_mem: sleeper.can(NodeSuspendTarget::Mem),
        suspend_disk: sleeper.can(NodeSuspendTarget::Disk),
        suspend_hybrid: sleeper.can(NodeSuspendTarget::Hybrid),
    }
}

/// Sets the alarm for `seconds` from now, and lets the host fall asleep soon after this has returned.
///
/// # Errors
/// `VIR_ERR_OPERATION_INVALID` while it is about to sleep already; `VIR_ERR_ARGUMENT_UNSUPPORTED` for a way in which
/// it cannot; `VIR_ERR_INVALID_ARG` for one that is none, or too short a time; why there is no alarm.
pub(crate) async fn suspend(target: u32, seconds: u64) -> Result<()> {
    /// Of all drivers in this daemon.
    static TURN: Semaphore = Semaphore::const_new(1);
    let sleeper = Sleeper::find().await;
    let turn = TURN.try_acquire().map_err(|_| {
        Error::new(ErrorCode::OperationInvalid, "Suspend operation already in progress")
    })?;
    let way = WAYS.iter().find(|way| way.target as u32 == target);
    let way = way.ok_or_else(|| Error::new(ErrorCode::InvalidArg, "Invalid suspend target"))?;
    if !sleeper.can(way.target) {
        return Err(Error::new(ErrorCode::ArgumentUnsupported, way.name)
            .hint("see <power_management> in 'virsh capabilities' for how this host can sleep"));
    }
    if seconds < SHORTEST {
        let text = format!("Suspend duration is too short, must be at least {SHORTEST} seconds");
        return Err(Error::new(ErrorCode::InvalidArg, text));
    }
    let alarm = Run::new("rtcwake").args(["-m", "no", "-s", &seconds.to_string()]);
    alarm.succeed(PATIENCE).await?;
    tokio::spawn(async move {
        sleep(ON_ITS_WAY).await;
        if let Err(error) = sleeper.put_to_sleep(way).await {
            tracing::warn!("the host does not sleep ({}): {error}", way.name);
        }
        drop(turn);
    });
    Ok(())
}
