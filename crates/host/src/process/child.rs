// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What runs in the new process, between fork and exec.
//!
//! Invariant: after the fork this code makes system calls and reads and writes memory that was prepared
//! before; it allocates nothing, takes no lock and cannot panic, since other threads of the daemon may
//! have held locks at the moment of the fork.
#![expect(unsafe_code, reason = "fork, and what must happen before exec, have no safe form")]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulong, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::net::SocketAddrUnix;
use rustix::process::Pid;

use super::spawn::Limit;
use crate::user::Identity;

/// Where the new process failed. The numbers travel over the report pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    PidFile,
    Session,
    Signals,
    Cgroup,
    Limits,
    OomScore,
    Cpus,
    Folder,
    Capabilities,
    Identity,
    ParentDeath,
    Descriptors,
    Connection,
    Exec,
}

const STEPS: [Step; 14] = [
    Step::PidFile,
    Step::Session,
    Step::Signals,
    Step::Cgroup,
    Step::Limits,
    Step::OomScore,
    Step::Cpus,
    Step::Folder,
    Step::Capabilities,
    Step::Identity,
    Step::ParentDeath,
    Step::Descriptors,
    Step::Connection,
    Step::Exec,
];

impl Step {
    /// What it was about to do.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::PidFile => "wait for its PID file",
            Self::Session => "open a session of its own",
            Self::Signals => "reset its signals",
            Self::Cgroup => "join its cgroup",
            Self::Limits => "set its resource limits",
            Self::OomScore => "set its OOM score",
            Self::Cpus => "pin itself to its CPUs",
            Self::Folder => "enter its folder",
            Self::Capabilities => "drop its capabilities",
            Self::Identity => "change its user",
            Self::ParentDeath => "bind its life to the daemon's",
            Self::Descriptors => "arrange its descriptors",
            Self::Connection => "connect its socket",
            Self::Exec => "be executed",
        }
    }
}

/// What the new process needs to know.
pub(super) struct Facts {
    pub(super) program: CString,
    pub(super) argv: Vec<CString>,
    pub(super) envp: Vec<CString>,
    pub(super) folder: CString,
    /// Descriptor here, number there.
    pub(super) fds: Vec<(RawFd, RawFd)>,
    /// Held open because `fds` refers to it by number.
    pub(super) _null: File,
    pub(super) cgroups: Vec<File>,
    pub(super) own_session: bool,
    /// A socket, and the address that it is connected to.
    pub(super) connection: Option<(OwnedFd, SocketAddrUnix)>,
    pub(super) identity: Option<Identity>,
    pub(super) umask: Option<u32>,
    pub(super) limits: Vec<(Limit, u64)>,
    pub(super) oom_score_adj: Option<Vec<u8>>,
    pub(super) cpus: Option<BTreeSet<usize>>,
    pub(super) drop_capabilities: bool,
    pub(super) dies_with_daemon: bool,
    /// A pipe over which the daemon says that the PID file is written.
    pub(super) gate: Option<(OwnedFd, OwnedFd)>,
}

/// [`Facts`] in the form in which the kernel takes them.
pub(super) struct Prepared {
    facts: Facts,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    cpus: Option<Vec<c_ulong>>,
    parent: c_int,
}

// SAFETY: the pointers lead into the C strings that `facts` owns and never changes.
unsafe impl Send for Prepared {}
impl Prepared {
    pub(super) fn new(facts: Facts) -> Self {
        let pointers = |strings: &[CString]| {
            strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>()
        };
        let cpus = facts.cpus.as_ref().map(|cpus| {
            let bits = c_ulong::BITS as usize;
            let mut mask = vec![0; cpus.last().map_or(1, |last| last / bits + 1)];
            cpus.iter().for_each(|cpu| mask[cpu / bits] |= 1 << (cpu % bits));
            mask
        });
        Self {
            argv: pointers(&facts.argv),
            envp: pointers(&facts.envp),
            cpus,
            parent: rustix::process::getpid().as_raw_nonzero().get(),
            facts,
        }
    }

    /// The daemon's end of the gate, for after the fork.
    pub(super) fn take_gate(&mut self) -> Option<OwnedFd> {
        self.facts.gate.take().map(|(_, write)| write)
    }
}

/// Forks. Returns the child's number in the parent; never returns in the child.
pub(super) fn fork_and_exec(prepared: &mut Prepared, report: &OwnedFd) -> io::Result<Pid> {
    let report = report.as_raw_fd();
    // SAFETY: every signal is blocked around the fork, so that no handler of the daemon runs in the
    // child; the sets are initialised by sigfillset and by sigprocmask. The child calls `exec`, which is
    // async-signal-safe by this module's invariant, and never returns from there.
    let (pid, error) = unsafe {
        let (mut all, mut old) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
        let pid = libc::fork();
        if pid == 0 {
            exec(prepared, report);
        }
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, ptr::null_mut());
        (pid, error)
    };
    Pid::from_raw(pid).filter(|_| pid > 0).ok_or(error)
}

/// What the child reported: where it failed and why. `None` says that the program runs.
pub(super) fn read_report(report: &[u8]) -> Option<(Step, io::Error)> {
    let (step, errno) = report.split_first()?;
    let errno = i32::from_ne_bytes(errno.try_into().unwrap_or_default());
    let step = STEPS.into_iter().find(|known| *known as u8 == *step).unwrap_or(Step::Exec);
    Some((step, io::Error::from_raw_os_error(errno)))
}

/// Becomes the program, or reports why not.
///
/// # Safety
/// Only in a process that was just forked and has this one thread.
unsafe fn exec(prepared: &mut Prepared, mut report: RawFd) -> ! {
    // SAFETY: the caller's promise is passed on.
    let step = unsafe { try_exec(prepared, &mut report) };
    // SAFETY: system calls on a buffer that lives on this stack.
    unsafe {
        let errno = (*libc::__errno_location()).to_ne_bytes();
        let message = [step as u8, errno[0], errno[1], errno[2], errno[3]];
        libc::write(report, message.as_ptr().cast::<c_void>(), message.len());
        libc::_exit(127)
    }
}

/// Returns the step that failed, with `errno` still set.
///
/// # Safety
/// As [`exec`].
unsafe fn try_exec(prepared: &mut Prepared, report: &mut RawFd) -> Step {
    let facts = &mut prepared.facts;
    // SAFETY: every call is a plain system call (or its thin wrapper) with pointers into `prepared` or
    // into this stack frame, which live until exec replaces the process.
    unsafe {
        if let Some((read, write)) = &facts.gate
            && !pass_gate(read.as_raw_fd(), write.as_raw_fd(), prepared.parent)
        {
            return Step::PidFile;
        }
        if facts.own_session && libc::setsid() < 0 {
            return Step::Session;
        }
        if let Some(mask) = facts.umask {
            libc::umask(mask as libc::mode_t);
        }
        for cgroup in &facts.cgroups {
            if libc::write(cgroup.as_raw_fd(), c"0".as_ptr().cast::<c_void>(), 1) != 1 {
                return Step::Cgroup;
            }
        }
        if let Some((socket, address)) = &facts.connection
            && let Err(errno) = rustix::net::connect(socket, address)
        {
            *libc::__errno_location() = errno.raw_os_error();
            return Step::Connection;
        }
        if !arrange_fds(&mut facts.fds, report) {
            return Step::Descriptors;
        }
        for (limit, value) in &facts.limits {
            let value = libc::rlimit { rlim_cur: *value, rlim_max: *value };
            let which = match limit {
                Limit::LockedMemory => libc::RLIMIT_MEMLOCK,
                Limit::OpenFiles => libc::RLIMIT_NOFILE,
                Limit::Processes => libc::RLIMIT_NPROC,
                Limit::Core => libc::RLIMIT_CORE,
            };
            if libc::setrlimit(which, &raw const value) < 0 {
                return Step::Limits;
            }
        }
        if let Some(score) = &facts.oom_score_adj
            && !write_file(c"/proc/self/oom_score_adj", score)
        {
            return Step::OomScore;
        }
        if let Some(cpus) = &prepared.cpus {
            let size = size_of_val(cpus.as_slice());
            if libc::syscall(libc::SYS_sched_setaffinity, 0, size, cpus.as_ptr()) < 0 {
                return Step::Cpus;
            }
        }
        if facts.drop_capabilities && !drop_bounding_set() {
            return Step::Capabilities;
        }
        if let Some(identity) = &facts.identity
            && !become_user(identity)
        {
            return Step::Identity;
        }
        if facts.drop_capabilities && !drop_held_capabilities() {
            return Step::Capabilities;
        }
        // After the change of user: root's folder of NFS may be closed to root.
        if libc::chdir(facts.folder.as_ptr()) < 0 {
            return Step::Folder;
        }
        // The kernel forgets this when the user changes.
        if facts.dies_with_daemon
            && (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0
                || libc::getppid() != prepared.parent)
        {
            return Step::ParentDeath;
        }
        if !reset_signals() {
            return Step::Signals;
        }
        libc::execve(facts.program.as_ptr(), prepared.argv.as_ptr(), prepared.envp.as_ptr());
        Step::Exec
    }
}

/// Waits until the daemon opens the gate; false if it gives up or dies instead. Its death is seen by a
/// descriptor of it: another child may hold the pipe open.
///
/// # Safety
/// As [`exec`].
unsafe fn pass_gate(read: RawFd, write: RawFd, parent: c_int) -> bool {
    // SAFETY: system calls on descriptors and buffers of this stack frame. Every signal is blocked.
    unsafe {
        libc::close(write);
        let daemon = libc::syscall(libc::SYS_pidfd_open, parent, 0) as c_int;
        // A number that was given to somebody else meanwhile is not our parent's.
        if daemon < 0 || libc::getppid() != parent {
            return false;
        }
        let wait_for = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut either = [wait_for(read), wait_for(daemon)];
        let mut word = 0_u8;
        libc::poll(either.as_mut_ptr(), 2, -1) > 0
            && either[0].revents & libc::POLLIN != 0
            && libc::read(read, (&raw mut word).cast::<c_void>(), 1) == 1
    }
}

/// Moves every descriptor out of the way of the wanted numbers, then puts each under its number, where
/// it is no longer closed by exec.
///
/// # Safety
/// As [`exec`].
unsafe fn arrange_fds(fds: &mut [(RawFd, RawFd)], report: &mut RawFd) -> bool {
    let highest = fds.iter().fold(2, |highest, (_, to)| if *to > highest { *to } else { highest });
    // SAFETY: fcntl and dup2 on numbers only; the kernel refuses what is not open.
    unsafe {
        for fd in fds.iter_mut().map(|(from, _)| from).chain([report]) {
            *fd = libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, highest + 1);
            if *fd < 0 {
                return false;
            }
        }
        // What the daemon itself inherited without the mark must not leak. Kernels before 5.11 cannot
        // do this at once; there, that the daemon marks all its own descriptors has to suffice.
        libc::syscall(libc::SYS_close_range, 3, c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        fds.iter().all(|(from, to)| libc::dup2(*from, *to) >= 0)
    }
}

/// An ordinary user may not set groups; where that user is meant, the groups are right already.
///
/// # Safety
/// As [`exec`].
unsafe fn become_user(identity: &Identity) -> bool {
    // SAFETY: system calls; the list of groups lives in the prepared facts.
    unsafe {
        let (user, group) = (libc::geteuid(), libc::getegid());
        if user != 0 && user == identity.uid && group == identity.gid {
            return true;
        }
        libc::setgroups(identity.groups.len(), identity.groups.as_ptr()) == 0
            && libc::setresgid(identity.gid, identity.gid, identity.gid) == 0
            && libc::setresuid(identity.uid, identity.uid, identity.uid) == 0
    }
}

/// Takes every capability out of what programs of this process can ever get. An ordinary user may not
/// do this and need not: what such a user starts has no capability, and set-user-ID helpers (QEMU's own
/// for bridges) must go on working.
///
/// # Safety
/// As [`exec`].
unsafe fn drop_bounding_set() -> bool {
    for capability in 0..64 {
        // SAFETY: a system call without pointers.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if result < 0 {
            // SAFETY: reads this thread's errno, and the user.
            let (errno, user) = unsafe { (*libc::__errno_location(), libc::geteuid()) };
            // The kernel knows no more capabilities than this.
            let done = errno == libc::EINVAL && capability > 0;
            return done || (errno == libc::EPERM && user != 0);
        }
    }
    true
}

/// Gives up every capability that this process holds.
///
/// # Safety
/// As [`exec`].
unsafe fn drop_held_capabilities() -> bool {
    /// The kernel's third and current layout: two words of each set.
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: both arrays have the layout and size of version 3 and live on this stack.
    unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) == 0 }
}

/// # Safety
/// As [`exec`].
unsafe fn reset_signals() -> bool {
    // SAFETY: the set is initialised by sigemptyset; signals that cannot be changed are passed over.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) == 0
    }
}

fn write_file(path: &CStr, bytes: &[u8]) -> bool {
    // SAFETY: open, write and close on a constant path and a prepared buffer.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = libc::write(fd, bytes.as_ptr().cast::<c_void>(), bytes.len());
        libc::close(fd);
        usize::try_from(written) == Ok(bytes.len())
    }
}
