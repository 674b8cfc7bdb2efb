// SPDX-License-Identifier: Apache-2.0 OR MIT
//! MIT's `libgssapi_krb5.so.2`, opened when it is first needed: types and functions as RFC 2744 and MIT's headers
//! declare them.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use libloading::Library as Shared;

const NAME: &str = "libgssapi_krb5.so.2";

/// A credential, a context or a name; the library's own.
pub(super) type Handle = *mut c_void;

/// Bytes that one side lends the other.
#[repr(C)]
pub(super) struct Buffer {
    pub(super) length: usize,
    pub(super) value: *mut c_void,
}

impl Buffer {
    pub(super) const fn empty() -> Self {
        Self { length: 0, value: ptr::null_mut() }
    }

    /// For functions that only read: valid as long as `bytes` is borrowed elsewhere.
    pub(super) const fn lend(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
    }

    /// What is in it.
    pub(super) fn copied(&self) -> Vec<u8> {
        if self.value.is_null() {
            return Vec::new();
        }
        // SAFETY: whoever fills a buffer, the library or we, says its true length.
        unsafe { std::slice::from_raw_parts(self.value.cast::<u8>(), self.length) }.to_vec()
    }
}

#[repr(C)]
pub(super) struct Buffers {
    pub(super) count: usize,
    pub(super) elements: *mut Buffer,
}

/// The name of a mechanism or a kind, in DER.
#[repr(C)]
pub(super) struct Oid {
    length: u32,
    elements: *const u8,
}

impl Oid {
    pub(super) fn new(der: &'static [u8]) -> Self {
        Self { length: u32::try_from(der.len()).unwrap_or_default(), elements: der.as_ptr() }
    }
}

#[repr(C)]
pub(super) struct Oids {
    pub(super) count: usize,
    pub(super) elements: *const Oid,
}

#[repr(C)]
pub(super) struct Pair {
    pub(super) key: *const c_char,
    pub(super) value: *const c_char,
}

/// Where credentials come from.
#[repr(C)]
pub(super) struct Store {
    pub(super) count: u32,
    pub(super) elements: *const Pair,
}

macro_rules! functions {
    ($($name:ident($($kind:ty),* $(,)?);)*) => {
        /// The functions that are used; each answers a status, whose upper half is an error.
        pub(super) struct Library {
            $(pub(super) $name: unsafe extern "C" fn($($kind),*) -> u32,)*
            /// Keeps the functions where they are.
            _shared: Shared,
        }

        impl Library {
            fn open() -> Result<Self, libloading::Error> {
                // SAFETY: what the library runs when it is opened prepares its own state only.
                let shared = unsafe { Shared::new(NAME)? };
                Ok(Self {
                    // SAFETY: the library's headers declare each function with these types.
                    $($name: unsafe { *shared.get(stringify!($name).as_bytes())? },)*
                    _shared: shared,
                })
            }
        }
    };
}

functions! {
    gss_import_name(*mut u32, *const Buffer, *const Oid, *mut Handle);
    gss_display_name(*mut u32, Handle, *mut Buffer, *mut *const Oid);
    gss_release_name(*mut u32, *mut Handle);
    gss_acquire_cred_from(
        *mut u32, Handle, u32, *const Oids, c_int, *const Store, *mut Handle, *mut Handle, *mut u32,
    );
    gss_release_cred(*mut u32, *mut Handle);
    gss_accept_sec_context(
        *mut u32, *mut Handle, Handle, *const Buffer, *const c_void, *mut Handle, *mut *const Oid,
        *mut Buffer, *mut u32, *mut u32, *mut Handle,
    );
    gss_init_sec_context(
        *mut u32, Handle, *mut Handle, Handle, *const Oid, u32, u32, *const c_void, *const Buffer,
        *mut *const Oid, *mut Buffer, *mut u32, *mut u32,
    );
    gss_delete_sec_context(*mut u32, *mut Handle, *mut Buffer);
    gss_inquire_sec_context_by_oid(*mut u32, Handle, *const Oid, *mut *mut Buffers);
    gss_release_buffer_set(*mut u32, *mut *mut Buffers);
    gss_wrap(*mut u32, Handle, c_int, u32, *const Buffer, *mut c_int, *mut Buffer);
    gss_unwrap(*mut u32, Handle, *const Buffer, *mut Buffer, *mut c_int, *mut u32);
    gss_wrap_size_limit(*mut u32, Handle, c_int, u32, u32, *mut u32);
    gss_release_buffer(*mut u32, *mut Buffer);
    gss_display_status(*mut u32, u32, c_int, *const Oid, *mut u32, *mut Buffer);
}

/// The library of this process, or why there is none.
pub(super) fn library() -> Result<&'static Library, &'static libloading::Error> {
    static LIBRARY: OnceLock<Result<Library, libloading::Error>> = OnceLock::new();
    LIBRARY.get_or_init(Library::open).as_ref()
}
