// SPDX-License-Identifier: Apache-2.0 OR MIT
//! News of a running machine, from its VMM to the machine's actor.
//!
//! The driver decides what `on_poweroff`, `on_reboot` and `on_crash` ask for and does it; the actor
//! only turns the news into states and events. What each notice does to the state stands in
//! [`crate::state`].

use virtus_api::{DomainEvent, DomainRef};
use virtus_xml::Domain;

/// Why a machine's vCPUs stopped without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Asked for (an echo of `pause`), or by somebody at the monitor.
    User,
    /// A disk or another device failed and its error policy is to stop.
    IoError,
    /// The watchdog device fired and its action is to pause.
    Watchdog,
    /// The guest crashed and `on_crash` is to preserve it.
    Crashed,
}

/// Who powered the machine off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerOff {
    /// The guest itself.
    Guest,
    /// Something on this host (SIGTERM to the VMM, a monitor command).
    Host,
    /// The VMM does not say.
    Unknown,
}

/// How a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The guest powered off.
    Shutdown,
    /// `stop` was called.
    Destroyed,
    /// The guest crashed (panic notifier) and `on_crash` is to destroy it.
    Crashed,
    /// Its memory was saved, to be continued from.
    Saved,
    /// It was ended to return to a snapshot, or after one was taken.
    Snapshot,
    /// The VMM died: killed from outside, or by a fault of its own.
    Failed,
}

impl End {
    /// What the last line of a machine's log calls it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Destroyed => "destroyed",
            Self::Crashed => "crashed",
            Self::Saved => "saved",
            Self::Snapshot => "from snapshot",
            Self::Failed => "failed",
        }
    }
}

/// Something that happened to a running machine.
pub enum Notice {
    /// The vCPUs stopped.
    Paused(Pause),
    /// The vCPUs run again.
    Resumed,
    /// The guest asked to power off; the process ends next.
    PoweringOff(PowerOff),
    /// The guest rebooted itself or was reset.
    Rebooted,
    /// The guest went to sleep (S3); it is woken by a wakeup call.
    Suspended,
    /// The guest saved itself to its disk (S4); it powers off next.
    SuspendedToDisk,
    /// The guest woke up.
    WokenUp,
    /// The guest panicked.
    Crashed,
    /// The VMM stopped answering its monitor, or answers again. `dominfo` and `domcontrol` tell.
    Answering(bool),
    /// The process is gone. Nothing follows.
    Ended(End),
    /// The live definition changed (a device was unplugged, the tray moved, the balloon resized).
    Changed(Box<dyn FnOnce(&mut Domain) + Send>),
    /// The machine has another number now: that of its process, where that is what numbers are.
    Renumbered(i32),
    /// An event for clients that does not change the machine's state.
    Event(Box<dyn FnOnce(DomainRef) -> DomainEvent + Send>),
}
