// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Users and groups, by name and by number.
#![expect(unsafe_code, reason = "the C library alone knows every source of users (NSS)")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::ptr;

use virtus_api::{Error, ErrorCode, Result};

/// Under whose rights a process runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The main group.
    pub gid: u32,
    /// The other groups.
    pub groups: Vec<u32>,
}

impl Identity {
    /// Whether it is the superuser.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Whether it is in this group.
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// The rights of the daemon itself.
    #[must_use]
    pub fn current() -> Self {
        let raw = |group: rustix::process::Gid| group.as_raw();
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            groups: rustix::process::getgroups()
                .map(|groups| groups.into_iter().map(raw).collect())
                .unwrap_or_default(),
        }
    }

    /// The user, by name where it has one.
    #[must_use]
    pub fn user_name(&self) -> String {
        user_by_id(self.uid).map_or_else(|| self.uid.to_string(), |user| user.name)
    }
}

/// One line of the table of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The main group.
    pub gid: u32,
    /// The home folder.
    pub home: PathBuf,
}

/// The user with this name.
#[must_use]
pub fn user_by_name(name: &str) -> Option<User> {
    let name = CString::new(name).ok()?;
    // SAFETY: getpwnam_r fills `entry` with pointers into `buffer`; `look_up` keeps both alive until
    // the fields are copied.
    look_up(|entry, buffer, size, found| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, buffer, size, found)
    })
}

/// The user with this number.
#[must_use]
pub fn user_by_id(uid: u32) -> Option<User> {
    // SAFETY: as in `user_by_name`.
    look_up(|entry, buffer, size, found| unsafe {
        libc::getpwuid_r(uid, entry, buffer, size, found)
    })
}

fn look_up(
    ask: impl Fn(*mut libc::passwd, *mut c_char, usize, *mut *mut libc::passwd) -> c_int,
) -> Option<User> {
    with_buffer(|buffer| {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = ptr::null_mut();
        let status = ask(entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found);
        if status != 0 {
            return Err(status);
        }
        // SAFETY: where the lookup succeeds `found` is null or points to the filled `entry`, whose
        // strings lie in `buffer`.
        Ok(unsafe { found.as_ref() }.map(|entry| User {
            name: copy(entry.pw_name),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            home: copy(entry.pw_dir).into(),
        }))
    })
}

/// The number of the group with this name.
#[must_use]
pub fn group_by_name(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    with_buffer(|buffer| {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        let mut found = ptr::null_mut();
        // SAFETY: the entry is filled with pointers into `buffer`; only its number is used.
        let status = unsafe {
            libc::getgrnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
                &raw mut found,
            )
        };
        if status != 0 {
            return Err(status);
        }
        // SAFETY: as in `look_up`.
        Ok(unsafe { found.as_ref() }.map(|entry| entry.gr_gid))
    })
}

/// The name of the group with this number.
#[must_use]
pub fn group_name(gid: u32) -> Option<String> {
    with_buffer(|buffer| {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        let mut found = ptr::null_mut();
        // SAFETY: as in `group_by_name`; the name is copied while `buffer` lives.
        let status = unsafe {
            libc::getgrgid_r(
                gid,
                entry.as_mut_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
                &raw mut found,
            )
        };
        if status != 0 {
            return Err(status);
        }
        // SAFETY: as in `look_up`.
        Ok(unsafe { found.as_ref() }.map(|entry| copy(entry.gr_name)))
    })
}

/// Every group that `user` is in besides `gid`.
#[must_use]
pub fn groups_of(user: &str, gid: u32) -> Vec<u32> {
    let Ok(name) = CString::new(user) else { return Vec::new() };
    let mut groups = vec![0; 64];
    loop {
        let mut count = c_int::try_from(groups.len()).unwrap_or(c_int::MAX);
        // SAFETY: the list has `count` places, and the call writes no more.
        let status =
            unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        let count = usize::try_from(count).unwrap_or_default();
        if status >= 0 {
            groups.truncate(count);
            groups.retain(|group| *group != gid);
            return groups;
        }
        if groups.len() >= 1 << 16 {
            return Vec::new();
        }
        groups.resize(count.max(groups.len() * 2), 0);
    }
}

/// Tries with larger and larger buffers, as the C library asks for.
fn with_buffer<T>(ask: impl Fn(&mut [c_char]) -> Result<Option<T>, c_int>) -> Option<T> {
    let mut size = 1024;
    loop {
        match ask(&mut vec![0; size]) {
            Ok(found) => return found,
            Err(libc::ERANGE) if size < 1 << 20 => size *= 4,
            Err(libc::EINTR) => {}
            Err(_) => return None,
        }
    }
}

fn copy(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the C library ends its strings with a zero.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A user as configuration files name one: a name, a number, or a number after `+` where a name could
/// look like one. Names are tried first.
///
/// # Errors
/// Where there is no such user.
pub fn parse_user(text: &str) -> Result<u32> {
    if let Some(number) = text.strip_prefix('+') {
        return number.parse().map_err(|_| no_such("user", text));
    }
    match user_by_name(text) {
        Some(user) => Ok(user.uid),
        None => text.parse().map_err(|_| no_such("user", text)),
    }
}

/// A group as configuration files name one; see [`parse_user`].
///
/// # Errors
/// Where there is no such group.
pub fn parse_group(text: &str) -> Result<u32> {
    if let Some(number) = text.strip_prefix('+') {
        return number.parse().map_err(|_| no_such("group", text));
    }
    match group_by_name(text) {
        Some(gid) => Ok(gid),
        None => text.parse().map_err(|_| no_such("group", text)),
    }
}

fn no_such(what: &str, name: &str) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, format!("there is no {what} '{name}' on this host"))
        .hint(format!("create the {what}, or name another one in the configuration"))
}

/// The identity of a user and a group, with the user's other groups.
#[must_use]
pub fn identity(uid: u32, gid: u32) -> Identity {
    let groups = user_by_id(uid).map_or_else(Vec::new, |user| groups_of(&user.name, gid));
    Identity { uid, gid, groups }
}

/// Under whose rights guests run when the configuration does not say: the user that the distribution
/// made for it, else the daemon's own.
#[must_use]
pub fn default_guest_identity() -> Identity {
    let current = Identity::current();
    if !current.is_root() {
        return current;
    }
    for name in ["libvirt-qemu", "qemu"] {
        if let Some(user) = user_by_name(name) {
            let own_group = if name == "libvirt-qemu" { "kvm" } else { "qemu" };
            let gid = group_by_name(name)
                .filter(|_| name == "libvirt-qemu")
                .or_else(|| group_by_name(own_group))
                .unwrap_or(user.gid);
            return identity(user.uid, gid);
        }
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_nobody_else_is_made_up() {
        let root = user_by_name("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user_by_id(0).unwrap().name, "root");
        assert_eq!(group_name(0).unwrap(), "root");
        assert_eq!(group_by_name("root"), Some(0));
        assert_eq!(user_by_name("no such user"), None);
        assert_eq!(user_by_name("a\0b"), None);
        assert_eq!(parse_user("+77").unwrap(), 77);
        assert_eq!(parse_user("0").unwrap(), 0);
        assert!(parse_group("no such group").unwrap_err().to_string().contains("no such group"));
    }

    #[test]
    fn our_own_groups_are_found() {
        let identity = identity(0, 0);
        assert!(identity.is_root() && identity.in_group(0));
        assert_eq!(identity.user_name(), "root");
    }
}
