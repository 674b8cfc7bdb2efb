// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The second seam: what a hypervisor must do itself. Everything else about machines (definitions,
//! states, jobs, events, restore after a restart) is shared and lives in this crate.
//!
//! Contract for implementers:
//! - `complete` and `plan` are pure: they read their arguments only, and are golden-tested.
//! - `launch` and `reattach` return a `Running` that is alive; all later news of it (paused, reset,
//!   exited, device events) comes through the [`Notices`] sender that they were given.
//! - Every method that talks to the guest or its VMM keeps a deadline of its own and then fails with
//!   `VIR_ERR_OPERATION_TIMEOUT` or `VIR_ERR_AGENT_UNRESPONSIVE`; none waits without bound.
//! - Methods take `&Running`: the machine's actor runs one job at a time, but `stop` runs beside a
//!   job and the job is then cancelled (its future dropped), and statistics may be read beside one.
//! - Errors need no domain of their own; what has none gets [`Machine::ERROR_DOMAIN`].
//!
//! Order of a start, and what a daemon that dies in it leaves behind:
//! ```text
//! plan -> status file "starting up", no pid -> launch (vCPUs stopped) -> status file with pid
//!      -> resume -> status file "running" -> Undo::keep
//! ```
//! A daemon that finds a status file that says "starting up" does not adopt the machine: nobody was
//! told that it started. It calls `clean_up`, which ends a process that it may find (by its PID file,
//! which is written before the process becomes the VMM) and removes the rest. A guest never runs before its status file names it.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::mpsc;
use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_xml::Domain;

use crate::hooks::MachineHooks;
use crate::notice::{End, Notice};
use crate::status::{Private, Status};
use crate::undo::Undo;

/// Where a running machine's news goes; the machine's actor reads the other end.
pub type Notices = mpsc::UnboundedSender<Notice>;

/// How a machine is started.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// The id that the machine will have (positive).
    pub id: i32,
    /// Leave the vCPUs stopped after the start.
    pub paused: bool,
    /// Make a fresh NVRAM file from its template first.
    pub reset_nvram: bool,
    /// Continue from the memory that was saved when the machine last ran. Booting past it would let the
    /// guest's disks and its saved memory part ways, so a hypervisor that cannot refuses in `plan`.
    pub saved: bool,
    /// Descriptors that the first process of the machine inherits from 3 on.
    pub files: Files,
}

/// Descriptors of a client, on their way to a machine.
pub type Files = Arc<Vec<OwnedFd>>;

/// How a machine is ended or asked to end itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM, then SIGKILL when the deadline is over.
    Destroy,
    /// SIGTERM only; an error if the process outlives the deadline.
    DestroyGracefully,
}

/// Which channel carries a request to shut down or reboot to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestChannel {
    /// Agent if one is configured and answers, otherwise ACPI.
    Default,
    /// The ACPI power button.
    Acpi,
    /// The guest agent.
    Agent,
    /// The init process's own pipe (containers).
    Initctl,
    /// A signal to the init process (containers).
    Signal,
    /// A paravirtual channel.
    Paravirt,
}

/// What came of asking a guest to power off or to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It was asked; notices tell what it does.
    Later,
    /// It has obeyed already: the machine is to be ended, as [`Machine::stop`] does.
    Ended(End),
}

/// What can be read about a running machine without asking it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time used so far, in nanoseconds.
    pub cpu_time: u64,
    /// Memory in use, in KiB, where that is not what the definition says.
    pub memory: Option<u64>,
}

/// Where a definition comes from: what the guest sees of an old one must not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The user gives it now.
    User,
    /// It was completed before and is read again.
    Disk,
}

/// One kind of machine this host can run.
pub trait Machine: Send + Sync + Sized + 'static {
    /// What `launch` will do, decided beforehand.
    type Plan: Send + 'static;
    /// The handle of a machine that runs.
    type Running: Send + Sync + 'static;

    /// The domain of errors that do not come from something closer to the cause.
    const ERROR_DOMAIN: ErrorDomain;
    /// The folder of its files below each of libvirt's folders, and its name in messages ("qemu").
    const NAME: &'static str;
    /// Whether libvirt's driver for this hypervisor tells of the first run of the vCPUs
    /// ("Resumed Unpaused" before "Started Booted"), as its QEMU driver does.
    const TELLS_FIRST_RESUME: bool;

    /// The administrator's scripts, where it has some. They are asked around a start, and `launch` asks
    /// [`crate::Before::Start`] itself, right before it starts the process.
    fn hooks(&self) -> Option<&MachineHooks> {
        None
    }

    /// Fills in what the user left open: defaults, controllers, addresses; refuses what this
    /// hypervisor cannot do. Pure; idempotent.
    fn complete(&self, def: &mut Domain, origin: Origin) -> Result<()>;

    /// Takes out of a definition what every such machine has by itself, so that an older peer that does not
    /// know it by name can read the rest.
    fn thin(&self, _def: &mut Domain) {}

    /// Decides everything about a start: the live definition (aliases, ports), command line,
    /// files and labels. Pure apart from reading the host view that the driver holds.
    fn plan(&self, def: &Domain, start: &Start) -> Result<Self::Plan>;

    /// Carries a plan out, up to a machine that is ready with its **vCPUs stopped**; the actor calls
    /// [`Machine::resume`] after the status file is on disk. Each step that leaves something behind
    /// pushes its inverse on `undo` (the process too); on an error, or when this future is dropped,
    /// the actor unwinds it.
    fn launch(
        &self,
        plan: Self::Plan,
        undo: &mut Undo,
        notices: Notices,
    ) -> impl Future<Output = Result<Launched<Self>>> + Send;

    /// Takes a machine over that a former daemon left running, and finds out how it is now: the
    /// answer's `status.state`. An error means that it is gone or lost; `clean_up` follows.
    fn reattach(
        &self,
        status: &Status,
        notices: Notices,
    ) -> impl Future<Output = Result<Launched<Self>>> + Send;

    /// Ends the machine and waits until its process is gone. Works whatever the VMM's state is.
    fn stop(&self, running: &Self::Running, how: Stop) -> impl Future<Output = Result<()>> + Send;

    /// Removes what a machine leaves on the host after it has ended by whatever cause (sockets,
    /// taps, labels, cgroups). Called once after the end of each `Running`, and for status files
    /// that cannot be reattached: then it first ends a process that may still be there, which it
    /// recognises by its PID file. `def` is the live definition and has its id; `private` is what the status file
    /// has beside it.
    fn clean_up(&self, def: &Domain, private: &Private) -> impl Future<Output = ()> + Send;

    /// Stops the vCPUs.
    fn pause(&self, running: &Self::Running) -> impl Future<Output = Result<()>> + Send;

    /// Lets the vCPUs run.
    fn resume(&self, running: &Self::Running) -> impl Future<Output = Result<()>> + Send;

    /// Presses the reset button.
    fn reset(&self, running: &Self::Running) -> impl Future<Output = Result<()>> + Send;

    /// Asks the guest to power off.
    fn shut_down(
        &self,
        running: &Self::Running,
        live: &Domain,
        by: GuestChannel,
    ) -> impl Future<Output = Result<Asked>> + Send;

    /// Asks the guest to reboot.
    fn reboot(
        &self,
        running: &Self::Running,
        live: &Domain,
        by: GuestChannel,
    ) -> impl Future<Output = Result<Asked>> + Send;

    /// Asks the guest to give back or take memory until it has `kib` (the balloon). What came of it at once is
    /// written into `live`; the rest is told by notices.
    fn set_memory(
        &self,
        running: &Self::Running,
        live: &mut Domain,
        kib: u64,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Changes how many vCPUs the running guest has; writes what came of it into `live`.
    fn set_vcpus(
        &self,
        running: &Self::Running,
        live: &mut Domain,
        count: u32,
    ) -> impl Future<Output = Result<()>> + Send;

    /// What the host knows of the machine, which need not run. Cheap; never waits for the guest or its VMM.
    fn usage(&self, running: Option<&Self::Running>) -> Usage;
}

/// What `launch` and `reattach` give back.
pub struct Launched<M: Machine> {
    /// The handle.
    pub running: Arc<M::Running>,
    /// What goes into the status file: the live definition (with id, maybe another than it was started with, aliases, allocated ports, pty
    /// paths), the process, the state.
    pub status: Status,
}

/// The answer of a machine that has no such channel or ability.
#[must_use]
pub fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::OperationUnsupported, what.to_string())
}
