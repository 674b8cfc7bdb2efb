// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The states of a machine and the lifecycle events between them.
//!
//! ```text
//!                  Starting                 Started
//!   shut off ------------------> paused --------------------> running   Started Booted
//!      ^                      (starting up)  Started(paused) > paused   … and Suspended Paused
//!      |
//!      | Ended:               running <------ Resumed -------- paused   Resumed Unpaused
//!      | Stopped …            running ------- Paused --------> paused   Suspended Paused/IOError/Watchdog
//!      |                      running ------- Slept ---------> pmsuspended   PMSuspended Memory/Disk
//!      +---- any active       running <------ Woken ---------- pmsuspended   Started Wakeup
//!                             any active ---- Crashed -------> crashed       Crashed Panicked
//!                             crashed ------- Reset ---------> paused (crashed)
//!                             any active ---- PoweringOff ---> in shutdown   Shutdown Guest/Host/Finished
//! ```
//! Invariant: [`State::after`] is the only place where a state changes and the only one that chooses
//! lifecycle events. It answers `None` for what changes nothing, such as the monitor's echo of a
//! pause that was asked for: so each change is told once.

use virtus_api::{
    DomainCrashedReason as Crashed, DomainEventCrashedDetailType as CrashedDetail,
    DomainEventPmSuspendedDetailType as SleptDetail, DomainEventResumedDetailType as ResumedDetail,
    DomainEventShutdownDetailType as ShutdownDetail, DomainEventStartedDetailType as StartedDetail,
    DomainEventStoppedDetailType as StoppedDetail,
    DomainEventSuspendedDetailType as SuspendedDetail, DomainEventType,
    DomainPausedReason as Paused, DomainRunningReason as Running, DomainShutdownReason as Shutdown,
    DomainShutoffReason as Shutoff, DomainState,
};

use crate::notice::{End, Pause, PowerOff};

/// What a machine does, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its vCPUs run.
    Running(Running),
    /// Its vCPUs are stopped.
    Paused(Paused),
    /// The guest has powered off; the VMM is about to end.
    Shutdown(Shutdown),
    /// It does not exist as a process.
    Shutoff(Shutoff),
    /// The guest panicked and is kept as it is.
    Crashed(Crashed),
    /// The guest sleeps until it is woken.
    Pmsuspended,
}

/// What can happen to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A start begins.
    Starting,
    /// A start succeeded; with the vCPUs stopped if asked so.
    Started { from: Begin, paused: bool },
    /// The vCPUs stopped.
    Paused(Pause),
    /// The vCPUs run again.
    Resumed,
    /// The guest went to sleep, to memory or to disk.
    Slept { disk: bool },
    /// The guest woke up.
    Woken,
    /// The guest panicked.
    Crashed,
    /// The reset button was pressed.
    Reset,
    /// The guest has powered off.
    PoweringOff(PowerOff),
    /// The process is gone.
    Ended(End),
}

/// From what a machine begins to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begin {
    /// It boots.
    #[default]
    Boot,
    /// It was there before anybody asked.
    Unknown,
    /// Memory that was saved.
    Restored,
    /// A snapshot.
    Snapshot,
}

/// A lifecycle event: kind and detail as clients know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle(pub DomainEventType, pub i32);

use DomainEventType as Kind;

const STARTED: Lifecycle = Lifecycle(Kind::Started, StartedDetail::Booted as i32);
const RESTORED: Lifecycle = Lifecycle(Kind::Started, StartedDetail::Restored as i32);
const REVERTED: Lifecycle = Lifecycle(Kind::Started, StartedDetail::FromSnapshot as i32);
const STILL_RESTORED: Lifecycle = Lifecycle(Kind::Suspended, SuspendedDetail::Restored as i32);
const STILL_REVERTED: Lifecycle = Lifecycle(Kind::Suspended, SuspendedDetail::FromSnapshot as i32);
const WOKEN: Lifecycle = Lifecycle(Kind::Started, StartedDetail::Wakeup as i32);
const PAUSED: Lifecycle = Lifecycle(Kind::Suspended, SuspendedDetail::Paused as i32);
const IO_ERROR: Lifecycle = Lifecycle(Kind::Suspended, SuspendedDetail::Ioerror as i32);
const WATCHDOG: Lifecycle = Lifecycle(Kind::Suspended, SuspendedDetail::Watchdog as i32);
const RESUMED: Lifecycle = Lifecycle(Kind::Resumed, ResumedDetail::Unpaused as i32);
const SLEPT: Lifecycle = Lifecycle(Kind::Pmsuspended, SleptDetail::Memory as i32);
const HIBERNATED: Lifecycle = Lifecycle(Kind::Pmsuspended, SleptDetail::Disk as i32);
const PANICKED: Lifecycle = Lifecycle(Kind::Crashed, CrashedDetail::Panicked as i32);

impl State {
    /// A machine that has not run yet.
    pub const NEVER_RUN: Self = Self::Shutoff(Shutoff::Unknown);
    /// A machine whose start is under way.
    pub const STARTING: Self = Self::Paused(Paused::StartingUp);

    /// The state after `change` and the events to tell; `None` if nothing changes.
    /// `tells_first_resume`: see [`crate::Machine::TELLS_FIRST_RESUME`].
    #[must_use]
    pub fn after(
        self,
        change: Change,
        tells_first_resume: bool,
    ) -> Option<(Self, &'static [Lifecycle])> {
        match change {
            Change::Starting => (!self.is_active()).then_some((Self::STARTING, &[])),
            Change::Started { from, paused } => self.started(from, paused, tells_first_resume),
            Change::Paused(why) => self.paused(why),
            Change::Resumed => match self {
                Self::STARTING => None,
                Self::Paused(_) | Self::Crashed(_) => {
                    Some((Self::Running(Running::Unpaused), &[RESUMED]))
                }
                Self::Running(_) | Self::Shutdown(_) | Self::Shutoff(_) | Self::Pmsuspended => None,
            },
            Change::Slept { disk } => match self {
                Self::Running(_) | Self::Paused(_) => {
                    Some((Self::Pmsuspended, if disk { &[HIBERNATED] } else { &[SLEPT] }))
                }
                Self::Shutdown(_) | Self::Shutoff(_) | Self::Crashed(_) | Self::Pmsuspended => None,
            },
            Change::Woken => match self {
                Self::Pmsuspended => Some((Self::Running(Running::Wakeup), &[WOKEN])),
                Self::Running(_)
                | Self::Paused(_)
                | Self::Shutdown(_)
                | Self::Shutoff(_)
                | Self::Crashed(_) => None,
            },
            Change::Crashed => match self {
                Self::Running(_) | Self::Paused(_) | Self::Pmsuspended => {
                    Some((Self::Crashed(Crashed::Panicked), &[PANICKED]))
                }
                Self::Shutdown(_) | Self::Shutoff(_) | Self::Crashed(_) => None,
            },
            Change::Reset => match self {
                Self::Crashed(_) => Some((Self::Paused(Paused::Crashed), &[])),
                Self::Running(_)
                | Self::Paused(_)
                | Self::Shutdown(_)
                | Self::Shutoff(_)
                | Self::Pmsuspended => None,
            },
            Change::PoweringOff(by) => match self {
                Self::STARTING | Self::Shutdown(_) | Self::Shutoff(_) => None,
                Self::Running(_) | Self::Paused(_) | Self::Crashed(_) | Self::Pmsuspended => {
                    Some((Self::Shutdown(Shutdown::Unknown), powering_off(by)))
                }
            },
            Change::Ended(end) => match self {
                Self::STARTING => Some((Self::Shutoff(Shutoff::Failed), &[])),
                Self::Shutoff(_) => None,
                // A guest that said goodbye before its VMM went has not failed.
                Self::Shutdown(_) if end == End::Failed => Some(ended(End::Shutdown)),
                Self::Running(_)
                | Self::Paused(_)
                | Self::Shutdown(_)
                | Self::Crashed(_)
                | Self::Pmsuspended => Some(ended(end)),
            },
        }
    }

    fn started(
        self,
        from: Begin,
        paused: bool,
        first_resume: bool,
    ) -> Option<(Self, &'static [Lifecycle])> {
        if self != Self::STARTING {
            return None;
        }
        Some(match (from, paused) {
            (Begin::Unknown, true) => (Self::Paused(Paused::Unknown), &[STARTED, PAUSED]),
            (Begin::Unknown, false) => (Self::Running(Running::Unknown), &[STARTED]),
            (Begin::Boot, true) => (Self::Paused(Paused::User), &[STARTED, PAUSED]),
            (Begin::Boot, false) if first_resume => {
                (Self::Running(Running::Booted), &[RESUMED, STARTED])
            }
            (Begin::Boot, false) => (Self::Running(Running::Booted), &[STARTED]),
            (Begin::Restored, true) => (Self::Paused(Paused::User), &[RESTORED, STILL_RESTORED]),
            (Begin::Restored, false) => (Self::Running(Running::Restored), &[RESTORED]),
            (Begin::Snapshot, true) => {
                (Self::Paused(Paused::FromSnapshot), &[REVERTED, STILL_REVERTED])
            }
            (Begin::Snapshot, false) => (Self::Running(Running::FromSnapshot), &[REVERTED]),
        })
    }

    fn paused(self, why: Pause) -> Option<(Self, &'static [Lifecycle])> {
        match self {
            Self::Running(_) => Some(match why {
                Pause::User => (Self::Paused(Paused::User), &[PAUSED]),
                Pause::IoError => (Self::Paused(Paused::Ioerror), &[IO_ERROR]),
                Pause::Watchdog => (Self::Paused(Paused::Watchdog), &[WATCHDOG]),
                Pause::Crashed => (Self::Paused(Paused::Crashed), &[PAUSED]),
            }),
            Self::Paused(_)
            | Self::Shutdown(_)
            | Self::Shutoff(_)
            | Self::Crashed(_)
            | Self::Pmsuspended => None,
        }
    }

    /// Whether there is a process.
    #[must_use]
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Shutoff(_))
    }

    /// Whether the guest's vCPUs run.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// The state as clients know it.
    #[must_use]
    pub fn kind(self) -> DomainState {
        match self {
            Self::Running(_) => DomainState::Running,
            Self::Paused(_) => DomainState::Paused,
            Self::Shutdown(_) => DomainState::Shutdown,
            Self::Shutoff(_) => DomainState::Shutoff,
            Self::Crashed(_) => DomainState::Crashed,
            Self::Pmsuspended => DomainState::Pmsuspended,
        }
    }

    /// The number of the reason, within the state.
    #[must_use]
    pub fn reason(self) -> i32 {
        match self {
            Self::Running(reason) => reason as i32,
            Self::Paused(reason) => reason as i32,
            Self::Shutdown(reason) => reason as i32,
            Self::Shutoff(reason) => reason as i32,
            Self::Crashed(reason) => reason as i32,
            Self::Pmsuspended => 0,
        }
    }

    /// The state's word in a status file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Paused(_) => "paused",
            Self::Shutdown(_) => "shutdown",
            Self::Shutoff(_) => "shutoff",
            Self::Crashed(_) => "crashed",
            Self::Pmsuspended => "pmsuspended",
        }
    }

    /// The reason's word in a status file.
    #[must_use]
    pub fn reason_word(self) -> &'static str {
        let place = usize::try_from(self.reason()).unwrap_or_default();
        reason_words(self.word()).get(place).copied().unwrap_or("unknown")
    }

    /// The state that a status file names. A reason that is not known is "unknown".
    #[must_use]
    pub fn from_words(state: &str, reason: &str) -> Option<Self> {
        let place = reason_words(state).iter().position(|word| *word == reason).unwrap_or(0);
        let number = i32::try_from(place).unwrap_or_default();
        Some(match state {
            "running" => Self::Running(number.try_into().unwrap_or(Running::Unknown)),
            "paused" => Self::Paused(number.try_into().unwrap_or(Paused::Unknown)),
            "shutdown" => Self::Shutdown(number.try_into().unwrap_or(Shutdown::Unknown)),
            "shutoff" => Self::Shutoff(number.try_into().unwrap_or(Shutoff::Unknown)),
            "crashed" => Self::Crashed(number.try_into().unwrap_or(Crashed::Unknown)),
            "pmsuspended" => Self::Pmsuspended,
            _ => return None,
        })
    }
}

fn powering_off(by: PowerOff) -> &'static [Lifecycle] {
    const GUEST: Lifecycle = Lifecycle(Kind::Shutdown, ShutdownDetail::Guest as i32);
    const HOST: Lifecycle = Lifecycle(Kind::Shutdown, ShutdownDetail::Host as i32);
    const FINISHED: Lifecycle = Lifecycle(Kind::Shutdown, ShutdownDetail::Finished as i32);
    match by {
        PowerOff::Guest => &[GUEST],
        PowerOff::Host => &[HOST],
        PowerOff::Unknown => &[FINISHED],
    }
}

fn ended(end: End) -> (State, &'static [Lifecycle]) {
    const SHUTDOWN: Lifecycle = Lifecycle(Kind::Stopped, StoppedDetail::Shutdown as i32);
    const DESTROYED: Lifecycle = Lifecycle(Kind::Stopped, StoppedDetail::Destroyed as i32);
    const CRASHED: Lifecycle = Lifecycle(Kind::Stopped, StoppedDetail::Crashed as i32);
    const SAVED: Lifecycle = Lifecycle(Kind::Stopped, StoppedDetail::Saved as i32);
    const SNAPSHOT: Lifecycle = Lifecycle(Kind::Stopped, StoppedDetail::FromSnapshot as i32);
    const FAILED: Lifecycle = Lifecycle(Kind::Stopped, StoppedDetail::Failed as i32);
    match end {
        End::Shutdown => (State::Shutoff(Shutoff::Shutdown), &[SHUTDOWN]),
        End::Destroyed => (State::Shutoff(Shutoff::Destroyed), &[DESTROYED]),
        End::Crashed => (State::Shutoff(Shutoff::Crashed), &[CRASHED]),
        End::Saved => (State::Shutoff(Shutoff::Saved), &[SAVED]),
        End::Snapshot => (State::Shutoff(Shutoff::FromSnapshot), &[SNAPSHOT]),
        // libvirt's pair for a VMM that went without a word.
        End::Failed => (State::Shutoff(Shutoff::Crashed), &[FAILED]),
    }
}

/// The words of a state's reasons, in the order of their numbers.
fn reason_words(state: &str) -> &'static [&'static str] {
    match state {
        "running" => &[
            "unknown",
            "booted",
            "migrated",
            "restored",
            "from snapshot",
            "unpaused",
            "migration canceled",
            "save canceled",
            "wakeup",
            "crashed",
            "post-copy",
            "post-copy failed",
        ],
        "paused" => &[
            "unknown",
            "user",
            "migration",
            "save",
            "dump",
            "ioerror",
            "watchdog",
            "from snapshot",
            "shutdown",
            "snapshot",
            "panicked",
            "starting up",
            "post-copy",
            "post-copy failed",
            "api error",
        ],
        "shutdown" => &["unknown", "user"],
        "shutoff" => &[
            "unknown",
            "shutdown",
            "destroyed",
            "crashed",
            "migrated",
            "saved",
            "failed",
            "from snapshot",
            "daemon",
        ],
        "crashed" => &["unknown", "panicked"],
        _ => &["unknown"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: State = State::Running(Running::Booted);

    #[test]
    fn every_state_and_reason_has_a_word_of_its_own() {
        let mut states = vec![State::Pmsuspended];
        states.extend(Running::ALL.iter().map(|r| State::Running(*r)));
        states.extend(Paused::ALL.iter().map(|r| State::Paused(*r)));
        states.extend(Shutdown::ALL.iter().map(|r| State::Shutdown(*r)));
        states.extend(Shutoff::ALL.iter().map(|r| State::Shutoff(*r)));
        states.extend(Crashed::ALL.iter().map(|r| State::Crashed(*r)));
        for state in states {
            let back = State::from_words(state.word(), state.reason_word());
            assert_eq!(back, Some(state));
        }
        assert_eq!(State::from_words("running", "new"), Some(State::Running(Running::Unknown)));
        assert_eq!(State::from_words("new", "unknown"), None);
    }

    #[test]
    fn an_echo_changes_nothing() {
        let paused = State::Paused(Paused::User);
        assert_eq!(RUNNING.after(Change::Paused(Pause::User), true), Some((paused, &[PAUSED][..])));
        assert_eq!(paused.after(Change::Paused(Pause::User), true), None);
        assert_eq!(State::STARTING.after(Change::Resumed, true), None);
        assert_eq!(RUNNING.after(Change::Resumed, true), None);
    }

    #[test]
    fn a_guest_that_powered_off_has_not_failed() {
        let (state, told) = RUNNING.after(Change::PoweringOff(PowerOff::Guest), true).unwrap();
        assert_eq!(told, [Lifecycle(Kind::Shutdown, 1)]);
        let (state, told) = state.after(Change::Ended(End::Failed), true).unwrap();
        assert_eq!(told, [Lifecycle(Kind::Stopped, 0)]);
        assert_eq!(state, State::Shutoff(Shutoff::Shutdown));
        let killed = RUNNING.after(Change::Ended(End::Failed), true).unwrap();
        assert_eq!(killed, (State::Shutoff(Shutoff::Crashed), &[Lifecycle(Kind::Stopped, 5)][..]));
    }

    #[test]
    fn a_start_that_fails_is_not_told() {
        let (state, told) = State::STARTING.after(Change::Ended(End::Failed), true).unwrap();
        assert_eq!((state, told), (State::Shutoff(Shutoff::Failed), &[][..]));
    }
}
