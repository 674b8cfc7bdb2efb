// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which jobs may run at the same time on one machine: libvirt's job table, as a pure function.
//!
//! A machine has room for one ordinary job (a query or a change) and one long operation (a start, a
//! save, a migration). While a long operation runs, only those ordinary jobs may start that it
//! permits. What may not start now waits in the machine's queue, in order, until its deadline.
//! Destroying a machine is not a job: it never waits.

use std::time::{Duration, Instant};

use virtus_api::{DomainJobOperation, Error, ErrorCode};

/// What an ordinary job does to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only asks.
    Query,
    /// Changes the machine or its definition.
    Modify,
    /// Stops or resumes the vCPUs.
    Suspend,
    /// Changes only what is on paper: runs beside everything but another of its kind.
    Define,
    /// Needs the machine for itself alone.
    Whole,
    /// Long: fills the slot of long operations.
    Long(Long),
}

/// A long operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Long {
    Start,
    Save,
    Dump,
    Snapshot,
    MigrateIn,
    MigrateOut,
    Backup,
}

impl Long {
    /// Whether an ordinary job may run beside it.
    #[must_use]
    pub fn permits(self, kind: Kind) -> bool {
        match kind {
            Kind::Query => self != Self::Start,
            Kind::Modify => self == Self::Backup,
            Kind::Suspend => matches!(self, Self::MigrateOut | Self::Backup),
            Kind::Define => true,
            Kind::Whole | Kind::Long(_) => false,
        }
    }

    /// The operation as clients know it.
    #[must_use]
    pub fn operation(self) -> DomainJobOperation {
        match self {
            Self::Start => DomainJobOperation::Start,
            Self::Save => DomainJobOperation::Save,
            Self::Dump => DomainJobOperation::Dump,
            Self::Snapshot => DomainJobOperation::Snapshot,
            Self::MigrateIn => DomainJobOperation::MigrationIn,
            Self::MigrateOut => DomainJobOperation::MigrationOut,
            Self::Backup => DomainJobOperation::Backup,
        }
    }
}

/// A job that runs, as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    pub kind: Kind,
    /// The call that started it.
    pub name: &'static str,
    pub since: Instant,
}

/// What runs on a machine now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Running {
    /// The ordinary job.
    pub short: Option<Busy>,
    /// The long operation.
    pub long: Option<Busy>,
    /// The change of what is on paper.
    pub define: Option<Busy>,
}

/// A job may not start now: what stands in its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied(pub Busy);

/// Whether a job may start beside what runs.
pub fn may_start(kind: Kind, running: &Running) -> Result<(), Denied> {
    let whole = running.short.filter(|busy| busy.kind == Kind::Whole);
    let in_the_way = match kind {
        Kind::Define => running.define.or(whole),
        Kind::Whole => running.short.or(running.long).or(running.define),
        Kind::Query | Kind::Modify | Kind::Suspend | Kind::Long(_) => {
            running.short.or_else(|| running.long.filter(|busy| !busy.permits(kind)))
        }
    };
    in_the_way.map_or(Ok(()), |busy| Err(Denied(busy)))
}

impl Busy {
    fn permits(&self, kind: Kind) -> bool {
        matches!(self.kind, Kind::Long(long) if long.permits(kind))
    }
}

/// What a caller asks the queue for.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub kind: Kind,
    /// The call, for "held by".
    pub name: &'static str,
    /// How long it may wait for its turn.
    pub wait: Duration,
    /// How long it may run; a backstop behind the deadlines of what it does.
    pub limit: Option<Duration>,
}

impl Job {
    /// How long jobs wait for their turn unless they say otherwise (libvirt's time).
    pub const WAIT: Duration = Duration::from_secs(30);
    /// How long queries and changes run unless they say otherwise.
    pub const LIMIT: Duration = Duration::from_secs(300);

    /// A job that only asks.
    #[must_use]
    pub fn query(name: &'static str) -> Self {
        Self { kind: Kind::Query, name, wait: Self::WAIT, limit: Some(Self::LIMIT) }
    }

    /// A job that changes something.
    #[must_use]
    pub fn modify(name: &'static str) -> Self {
        Self { kind: Kind::Modify, ..Self::query(name) }
    }

    /// A job that stops or resumes the vCPUs.
    #[must_use]
    pub fn suspend(name: &'static str) -> Self {
        Self { kind: Kind::Suspend, ..Self::query(name) }
    }

    /// A job that changes only what is on paper.
    #[must_use]
    pub fn define(name: &'static str) -> Self {
        Self { kind: Kind::Define, ..Self::query(name) }
    }

    /// A job that needs the machine for itself alone.
    #[must_use]
    pub fn whole(name: &'static str) -> Self {
        Self { kind: Kind::Whole, ..Self::query(name) }
    }

    /// A long operation; it has no limit of its own.
    #[must_use]
    pub fn long(long: Long, name: &'static str) -> Self {
        Self { kind: Kind::Long(long), name, wait: Self::WAIT, limit: None }
    }

    /// Waits at most this long for its turn.
    #[must_use]
    pub fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Runs at most this long.
    #[must_use]
    pub fn limited(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// The answer to a job whose turn did not come in time.
#[must_use]
pub fn not_in_time(job: &Job, holder: Option<Busy>, name: &str) -> Error {
    let text = match holder {
        Some(busy) => {
            format!("cannot acquire state change lock (held by monitor={})", busy.name)
        }
        None => "cannot acquire state change lock".to_owned(),
    };
    Error::new(ErrorCode::OperationTimeout, text).hint(format!(
        "'{}' waited {} s for another operation on domain '{name}'; see 'virsh domjobinfo {name}', \
         or end the guest with 'virsh destroy {name}', which does not wait",
        job.name,
        job.wait.as_secs(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(kind: Kind) -> Busy {
        Busy { kind, name: "x", since: Instant::now() }
    }

    #[test]
    fn one_ordinary_job_runs_at_a_time() {
        let running = Running { short: Some(busy(Kind::Query)), long: None, define: None };
        assert!(may_start(Kind::Query, &running).is_err());
        assert!(may_start(Kind::Long(Long::Save), &running).is_err());
        assert!(may_start(Kind::Modify, &Running::default()).is_ok());
    }

    #[test]
    fn long_operations_choose_their_company() {
        let beside =
            |long| Running { short: None, long: Some(busy(Kind::Long(long))), define: None };
        assert!(may_start(Kind::Query, &beside(Long::Start)).is_err());
        assert!(may_start(Kind::Query, &beside(Long::Save)).is_ok());
        assert!(may_start(Kind::Modify, &beside(Long::MigrateOut)).is_err());
        assert!(may_start(Kind::Suspend, &beside(Long::MigrateOut)).is_ok());
        assert!(may_start(Kind::Modify, &beside(Long::Backup)).is_ok());
        assert!(may_start(Kind::Long(Long::Save), &beside(Long::Dump)).is_err());
    }

    #[test]
    fn definitions_change_beside_everything_but_each_other() {
        let all = Running {
            short: Some(busy(Kind::Modify)),
            long: Some(busy(Kind::Long(Long::Start))),
            define: None,
        };
        assert!(may_start(Kind::Define, &all).is_ok());
        assert!(may_start(Kind::Whole, &all).is_err());
        let defining = Running { define: Some(busy(Kind::Define)), ..Running::default() };
        assert!(may_start(Kind::Define, &defining).is_err());
        assert!(may_start(Kind::Modify, &defining).is_ok());
        assert!(may_start(Kind::Whole, &defining).is_err());
        let whole = Running { short: Some(busy(Kind::Whole)), ..Running::default() };
        assert!(may_start(Kind::Define, &whole).is_err());
    }
}
