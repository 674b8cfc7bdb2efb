// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A process that becomes another program.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;

use super::signal::ignore_requests;

/// Becomes `program`, with all descriptors that are not marked close-on-exec. Signals that ask for a reload do nothing
/// until it listens for them. Returns only if it fails.
#[expect(unsafe_code, reason = "exec without a child has no safe form")]
pub fn replace(program: &Path, arguments: impl IntoIterator<Item = OsString>) -> io::Error {
    let texts: Result<Vec<CString>, _> =
        arguments.into_iter().map(|argument| CString::new(argument.into_vec())).collect();
    let (Ok(texts), Ok(program)) = (texts, CString::new(program.as_os_str().as_bytes())) else {
        return io::ErrorKind::InvalidInput.into();
    };
    let pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
    ignore_requests();
    // SAFETY: the pointers lead into strings that live on.
    unsafe { libc::execv(program.as_ptr(), pointers.as_ptr()) };
    io::Error::last_os_error()
}
