// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The system calls of a controller that have no safe form elsewhere.
//!
//! All of them rely on one fact: the controller has one thread, so that a copy of it (a fork) is whole.
#![expect(unsafe_code, reason = "this is where the controller's unsafe calls are")]

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// A process that the controller has cloned.
#[derive(Debug)]
pub(super) struct Cloned {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
}

/// Copies this process into new namespaces (`CLONE_NEW…`) and, with `group`, into that control group of version
/// 2. The parent gets the child; the child gets `None`.
pub(super) fn clone(flags: i32, group: Option<BorrowedFd<'_>>) -> io::Result<Option<Cloned>> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: RawFd = -1;
    // SAFETY: a structure of numbers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (flags | libc::CLONE_PIDFD) as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(group) = group {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = group.as_raw_fd() as u64;
    }
    // SAFETY: without a stack of its own and without shared memory this is a fork; the process has one thread.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match pid {
        ..0 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => {
            // SAFETY: the kernel has just opened it for us.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = Pid::from_raw(pid as i32).ok_or(io::ErrorKind::Other)?;
            Ok(Some(Cloned { pid, pidfd }))
        }
    }
}

/// Leaves namespaces for new ones.
pub(super) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: none of the callers unshares descriptors, and there is one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// What [`set_mount`] changes.
#[derive(Default)]
pub(super) struct MountChange<'a> {
    /// `MOUNT_ATTR_…`.
    pub(super) set: u64,
    /// `MOUNT_ATTR_…`.
    pub(super) clear: u64,
    /// No mount in it has anything to do with those it was copied from.
    pub(super) private: bool,
    /// Owners on the disk are ids of this user namespace.
    pub(super) id_map: Option<BorrowedFd<'a>>,
    /// Takes along the mounts below.
    pub(super) recursive: bool,
}

/// Changes a mount.
pub(super) fn set_mount(mount: impl AsFd, change: &MountChange<'_>) -> io::Result<()> {
    let mut attributes = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: if change.private { libc::MS_PRIVATE } else { 0 },
        userns_fd: 0,
    };
    if let Some(users) = change.id_map {
        attributes.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attributes.userns_fd = users.as_raw_fd() as u64;
    }
    let flags = libc::AT_EMPTY_PATH | if change.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and the attributes live here; both outlive the call.
    let status = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw mut attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A descriptor that becomes readable when one of these signals comes; they do nothing else from now on.
pub(super) fn signals(which: &[i32]) -> io::Result<OwnedFd> {
    // SAFETY: a set of signals is an array of numbers, which sigemptyset makes valid; all pointers are to it.
    let fd = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in which {
            libc::sigaddset(&raw mut set, *signal);
        }
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives a child the signals that a new program expects: none blocked.
pub(super) fn unblock_signals() {
    // SAFETY: a set of signals is an array of numbers, which sigemptyset makes valid; it lives here.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
    // SAFETY: Rust ignores this signal; the default is what programs expect to find.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// A descriptor that this process inherited by number, and that somebody else closes or nobody does.
pub(super) fn inherited(number: RawFd) -> io::Result<BorrowedFd<'static>> {
    // SAFETY: asks about a number, whatever it means.
    if number <= 2 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, and what the blueprint names stays open as long as the controller runs.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Takes such a descriptor over.
pub(super) fn taken(number: RawFd) -> io::Result<OwnedFd> {
    let number = inherited(number)?.as_raw_fd();
    // SAFETY: it is open, and each is taken over once: the command line names each for one purpose.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Marks every descriptor but the standard ones to be closed at exec.
pub(super) fn close_at_exec() -> io::Result<()> {
    const CLOEXEC: u32 = 1 << 2;
    // SAFETY: it closes nothing yet.
    let status = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, CLOEXEC) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Puts `fd` at `number`, where it survives exec; what was there is closed.
pub(super) fn place(fd: impl AsFd, number: RawFd) -> io::Result<()> {
    // SAFETY: callers place what a new program inherits, right before they execute it, on numbers that no owned
    // descriptor of theirs has.
    let status = unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Executes the program at `path`, or the one that `fd` is. Comes back only with why it failed.
pub(super) fn execute(program: Program<'_>, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: the path and both arrays, which end with a null pointer, outlive the call.
    unsafe {
        match program {
            Program::Path(path) => {
                libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr());
            }
            Program::Open(fd) => {
                let empty = c"".as_ptr();
                let (args, env) = (args.as_ptr(), env.as_ptr());
                let fd = fd.as_raw_fd();
                libc::syscall(libc::SYS_execveat, fd, empty, args, env, libc::AT_EMPTY_PATH);
            }
        }
    }
    io::Error::last_os_error()
}

/// What to execute.
pub(super) enum Program<'a> {
    Path(&'a CStr),
    Open(BorrowedFd<'a>),
}

/// Becomes this user and group, with no others.
pub(super) fn become_user(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: these calls take numbers, and an empty list of groups.
    let status = unsafe {
        libc::setgroups(0, std::ptr::null())
            | libc::setresgid(group, group, group)
            | libc::setresuid(user, user, user)
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Does something with files as this user and group.
pub(super) fn as_owner<T>((user, group): (u32, u32), work: impl FnOnce() -> T) -> T {
    // SAFETY: these calls take numbers, and tell nothing of how they went: the work fails then.
    let (user, group) = unsafe { (libc::setfsuid(user), libc::setfsgid(group)) };
    let done = work();
    // SAFETY: as above; the controller always may go back.
    unsafe { (libc::setfsgid(group.cast_unsigned()), libc::setfsuid(user.cast_unsigned())) };
    done
}

/// Takes a capability away for good.
pub(super) fn drop_from_bounding_set(capability: u32) -> io::Result<()> {
    // SAFETY: this option takes a number.
    let status = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, u64::from(capability), 0, 0, 0) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Installs a filter of system calls.
pub(super) fn filter_calls(filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the filter and its description outlive the call; the kernel checks what is in it.
    let status = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ends this process at once: a copy must not run what its original would on its way out.
pub(super) fn leave(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}
