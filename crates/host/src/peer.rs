// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the kernel knows of the process at the other end of a unix socket, beside its numbers.
#![expect(unsafe_code, reason = "the socket option has no safe wrapper")]

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::OnceLock;

/// Room for a security context; policies make them of some 50 bytes, with many categories of a few hundred.
const LONGEST: usize = 4096;

/// The SELinux context of the process that connected `socket`; none where this kernel does not use SELinux.
#[must_use]
pub fn selinux_context(socket: impl AsFd) -> Option<String> {
    static USED: OnceLock<bool> = OnceLock::new();
    // Other security modules answer the same question, with labels of their own.
    let used = USED.get_or_init(|| Path::new("/sys/fs/selinux/enforce").exists());
    if *used { label(socket) } else { None }
}

/// The label that the security module of this kernel gives the peer.
fn label(socket: impl AsFd) -> Option<String> {
    let mut label = vec![0_u8; LONGEST];
    let mut length = libc::socklen_t::try_from(label.len()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `label`, which has as many, and says how many they were.
    let status = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERSEC,
            label.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if status != 0 {
        return None;
    }
    label.truncate(length.try_into().ok()?);
    let text = String::from_utf8(label).ok()?;
    Some(text.trim_end_matches(['\0', '\n']).to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_peer_of_this_process_has_its_context() {
        let (one, _other) = UnixStream::pair().unwrap();
        let own = std::fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
        let own = own.trim_end_matches(['\0', '\n']);
        if let Some(context) = selinux_context(&one) {
            assert_eq!(context, own);
        } else {
            assert!(!Path::new("/sys/fs/selinux/enforce").exists());
        }
        // Whatever module there is: its label is a text, and no part of the buffer behind it.
        assert!(label(&one).is_none_or(|label| !label.contains('\0')));
    }
}
