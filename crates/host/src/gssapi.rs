// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Kerberos, as a service and its clients see it: GSSAPI (RFC 2743, RFC 4121) by MIT's library, where the host has that.
//!
//! ```text
//! Acceptor, Initiator ─ token ─▶ Step::More ─ token ─▶ … ─▶ Step::Done: Session, which wraps and unwraps
//! ```
//! Invariant: every handle has one owner, who alone uses it, from one thread at a time; what the library gives is copied
//! and given back at once.
#![expect(unsafe_code, reason = "the library is one of C")]

mod library;

use std::ffi::{CString, c_int};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};

use library::{Buffer, Buffers, Handle, Library, Oid, Oids, Pair, Store, library};

/// 1.2.840.113554.1.2.2: Kerberos.
const KERBEROS: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// 1.2.840.113554.1.2.1.4: the name of a service, on all hosts or, as `SERVICE@HOST`, on one.
const SERVICE: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04";
/// 1.2.840.113554.1.2.2.5.15: the bits of a context's key.
const STRENGTH: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x0f";

/// `GSS_C_ACCEPT`
const ACCEPT: c_int = 2;
/// What a client asks for: both prove who they are, what is said comes once and in order, is not changed and can be
/// encrypted (`GSS_C_MUTUAL_FLAG` and the four that follow).
const WISHES: u32 = 2 | 4 | 8 | 16 | 32;
/// `GSS_C_INDEFINITE`
const INDEFINITE: u32 = u32::MAX;
/// `GSS_S_CONTINUE_NEEDED`
const CONTINUE: u32 = 1;
/// The bits of a status that are errors; the others say more of a success.
const ERRORS: u32 = 0xffff_0000;
/// `GSS_C_GSS_CODE`
const GSS_STATUS: c_int = 1;
/// That, and `GSS_C_MECH_CODE`: whose texts are wanted.
const STATUS_KINDS: [c_int; 2] = [GSS_STATUS, 2];
/// `GSS_C_QOP_DEFAULT`
const USUAL_PROTECTION: u32 = 0;

/// A service that is about to learn who a client is.
pub struct Acceptor {
    credential: Owned,
    context: Context,
}

/// A client that is about to prove who it is.
pub struct Initiator {
    service: Owned,
    context: Context,
}

/// What the other side's token led to. What it is to be told may be empty.
pub enum Step<Side> {
    /// Another token is needed.
    More(Side, Vec<u8>),
    /// Who wants a proof has it.
    Done(Session, Vec<u8>),
}

/// The common secret of a service and a client.
pub struct Session {
    context: Context,
    user: String,
}

/// A credential or a name.
struct Owned {
    library: &'static Library,
    handle: Handle,
    release: unsafe extern "C" fn(*mut u32, *mut Handle) -> u32,
}

struct Context {
    library: &'static Library,
    handle: Handle,
}

// SAFETY: the library binds its handles to no thread; it only wants each used by one at a time.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Send for Context {}
// SAFETY: whatever uses the handle has its owner by value or by `&mut`; a shared reference leads to nothing.
unsafe impl Sync for Owned {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Acceptor {
    /// Accepts clients of `service`, on whatever host of its name, by the keys in the file `keytab`, or by those that the
    /// process's environment names. Blocks.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_UNAVAILABLE` if the host has no library, or there are no keys of the service.
    pub fn new(service: &str, keytab: Option<&Path>) -> Result<Self> {
        let no_keys = |why: String| {
            let keys = keytab.map_or("$KRB5_KTNAME".into(), Path::to_string_lossy);
            unavailable(format!("no keys of the service '{service}' can be had from {keys}: {why}"))
                .hint(format!("kadmin's 'ktadd -k {keys} {service}/HOST' puts them there"))
        };
        // Most hosts have none, and then need no library.
        keytab.map(fs::metadata).transpose().map_err(|cause| no_keys(cause.to_string()))?;
        let library = opened()?;
        let credential = credential(library, service, keytab).map_err(no_keys)?;
        Ok(Self { credential, context: library.context() })
    }

    /// Takes the client's next token. Blocks: the library looks into its files.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_FAILED` if the token is not one for this service.
    pub fn step(mut self, token: &[u8]) -> Result<Step<Self>> {
        let library = self.context.library;
        let input = Buffer::lend(token);
        let mut name = library.name();
        let mut output = Buffer::empty();
        // SAFETY: all pointers are to what lives here. The library makes the context with the first call, and changes or
        // ends it with the others, in its only place.
        let status = library.call(|minor| unsafe {
            (library.gss_accept_sec_context)(
                minor,
                &raw mut self.context.handle,
                self.credential.handle,
                &raw const input,
                ptr::null(),
                &raw mut name.handle,
                ptr::null_mut(),
                &raw mut output,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        });
        let answer = library.take(output);
        if status.map_err(failed("the client's ticket is not accepted"))? & CONTINUE != 0 {
            return Ok(Step::More(self, answer));
        }
        let mut shown = Buffer::empty();
        // SAFETY: the name is the library's own.
        let status = library.call(|minor| unsafe {
            (library.gss_display_name)(minor, name.handle, &raw mut shown, ptr::null_mut())
        });
        let shown = library.take(shown);
        status.map_err(failed("the client's name cannot be read"))?;
        let user = String::from_utf8(shown)
            .map_err(|cause| failed("the client's name is no text")(cause.to_string()))?;
        Ok(Step::Done(Session { context: self.context, user }, answer))
    }
}

impl Initiator {
    /// Will prove to the `service` on `host` who the user of this process is, by the user's ticket.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_UNAVAILABLE` if this host has no library.
    pub fn new(service: &str, host: &str) -> Result<Self> {
        let library = opened()?;
        let service = library
            .service(&format!("{service}@{host}"))
            .map_err(failed("the service's name is none"))?;
        Ok(Self { service, context: library.context() })
    }

    /// Takes the service's next token, an empty one at first. Blocks: the library may ask the KDC for a ticket.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_FAILED` if there is no ticket, or the service has proven nothing.
    pub fn step(mut self, token: &[u8]) -> Result<Step<Self>> {
        let library = self.context.library;
        let (input, kerberos) = (Buffer::lend(token), Oid::new(KERBEROS));
        let mut output = Buffer::empty();
        // SAFETY: all pointers are to what lives here; no credential means the user's own. The library makes the context
        // with the first call, and changes or ends it with the others, in its only place.
        let status = library.call(|minor| unsafe {
            (library.gss_init_sec_context)(
                minor,
                ptr::null_mut(),
                &raw mut self.context.handle,
                self.service.handle,
                &raw const kerberos,
                WISHES,
                0,
                ptr::null(),
                &raw const input,
                ptr::null_mut(),
                &raw mut output,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        });
        let answer = library.take(output);
        if status.map_err(failed("there is no ticket for the service"))? & CONTINUE != 0 {
            return Ok(Step::More(self, answer));
        }
        // Who we are, the library knows.
        Ok(Step::Done(Session { context: self.context, user: String::new() }, answer))
    }
}

fn opened() -> Result<&'static Library> {
    library().map_err(|cause| {
        unavailable(format!("Kerberos' library cannot be opened: {cause}"))
            .hint("install MIT Kerberos (libgssapi-krb5-2)")
    })
}

fn credential(
    library: &'static Library,
    service: &str,
    keytab: Option<&Path>,
) -> std::result::Result<Owned, String> {
    let place = keytab.map(|file| CString::new([b"FILE:", file.as_os_str().as_bytes()].concat()));
    let place = place.transpose().map_err(|cause| cause.to_string())?;
    let pair = place.as_ref().map(|p| Pair { key: c"keytab".as_ptr(), value: p.as_ptr() });
    let store = pair.as_ref().map(|pair| Store { count: 1, elements: pair });
    let kerberos = Oid::new(KERBEROS);
    let mechanisms = Oids { count: 1, elements: &raw const kerberos };
    let name = library.service(service)?;
    let release = library.gss_release_cred;
    let mut credential = Owned { library, handle: ptr::null_mut(), release };
    // SAFETY: all pointers are to what lives here, also those within `store` and `mechanisms`; a null store is allowed.
    library.call(|minor| unsafe {
        (library.gss_acquire_cred_from)(
            minor,
            name.handle,
            INDEFINITE,
            &raw const mechanisms,
            ACCEPT,
            store.as_ref().map_or(ptr::null(), ptr::from_ref),
            &raw mut credential.handle,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    })?;
    Ok(credential)
}

impl Session {
    /// Who the client is: `NAME@REALM`. Empty with the client itself.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// How well it encrypts, in bits of a key; 0 if the library does not say.
    #[must_use]
    pub fn strength(&mut self) -> u32 {
        let Context { library, handle } = self.context;
        let what = Oid::new(STRENGTH);
        let mut found: *mut Buffers = ptr::null_mut();
        // SAFETY: the context is established, and the answer goes to a variable of ours.
        let status = library.call(|minor| unsafe {
            (library.gss_inquire_sec_context_by_oid)(minor, handle, &raw const what, &raw mut found)
        });
        // SAFETY: after a success it is null or leads to a set, which is released below.
        let set = unsafe { found.as_ref() }.filter(|set| status.is_ok() && set.count > 0);
        // SAFETY: the set has a first element.
        let first = set.map(|set| unsafe { (*set.elements).copied() });
        // SAFETY: the set is the library's or null, and nothing leads into it any more.
        let _released = library
            .call(|minor| unsafe { (library.gss_release_buffer_set)(minor, &raw mut found) });
        first.and_then(|bits| bits.try_into().ok()).map_or(0, u32::from_be_bytes)
    }

    /// The most bytes that [`wrap`](Self::wrap) makes a token of at most `token` bytes of, encrypted.
    pub fn room(&mut self, token: u32) -> Result<u32> {
        let Context { library, handle } = self.context;
        let mut room = 0;
        // SAFETY: the context is established, and the answer goes to a variable of ours.
        let status = library.call(|minor| unsafe {
            (library.gss_wrap_size_limit)(minor, handle, 1, USUAL_PROTECTION, token, &raw mut room)
        });
        status.map(|_| room).map_err(failed("the room in a token cannot be found out"))
    }

    /// A token that proves to the other side what we say; nobody else can read it if it is to be `secret`.
    pub fn wrap(&mut self, bytes: &[u8], secret: bool) -> Result<Vec<u8>> {
        let Context { library, handle } = self.context;
        let input = Buffer::lend(bytes);
        let (mut output, mut encrypted) = (Buffer::empty(), 0);
        // SAFETY: the context is established and used by nobody else now; all pointers are to what lives here.
        let status = library.call(|minor| unsafe {
            (library.gss_wrap)(
                minor,
                handle,
                c_int::from(secret),
                USUAL_PROTECTION,
                &raw const input,
                &raw mut encrypted,
                &raw mut output,
            )
        });
        let token = library.take(output);
        status.map_err(failed("a message cannot be protected"))?;
        if secret && encrypted == 0 {
            return Err(failed("a message cannot be protected")("it is not encrypted".to_owned()));
        }
        Ok(token)
    }

    /// What the other side says with a token, and whether nobody else could read it.
    ///
    /// # Errors
    /// `VIR_ERR_AUTH_FAILED` if it is not the other side's next one.
    pub fn unwrap(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool)> {
        let Context { library, handle } = self.context;
        let input = Buffer::lend(token);
        let (mut output, mut encrypted) = (Buffer::empty(), 0);
        // SAFETY: the context is established and used by nobody else now; all pointers are to what lives here.
        let status = library.call(|minor| unsafe {
            (library.gss_unwrap)(
                minor,
                handle,
                &raw const input,
                &raw mut output,
                &raw mut encrypted,
                ptr::null_mut(),
            )
        });
        let bytes = library.take(output);
        let not_next = failed("a message is not the other side's");
        match status.map_err(&not_next)? {
            0 => Ok((bytes, encrypted != 0)),
            _ => Err(not_next("it was sent out of turn".to_owned())),
        }
    }
}

impl Library {
    /// Calls a function of the library; its status, or the texts of its error.
    fn call(&self, function: impl FnOnce(*mut u32) -> u32) -> std::result::Result<u32, String> {
        let mut minor = 0;
        let status = function(&raw mut minor);
        if status & ERRORS == 0 {
            return Ok(status);
        }
        let texts = STATUS_KINDS.map(|kind| {
            let (mut more, mut text) = (0, Buffer::empty());
            let code = if kind == GSS_STATUS { status } else { minor };
            let (mut ignored, kerberos) = (0, Oid::new(KERBEROS));
            // SAFETY: all pointers are to what lives here.
            unsafe {
                (self.gss_display_status)(
                    &raw mut ignored,
                    code,
                    kind,
                    &raw const kerberos,
                    &raw mut more,
                    &raw mut text,
                );
            }
            String::from_utf8_lossy(&self.take(text)).into_owned()
        });
        Err(texts.join(": "))
    }

    /// No context yet.
    fn context(&'static self) -> Context {
        Context { library: self, handle: ptr::null_mut() }
    }

    /// The name of a service.
    fn service(&'static self, text: &str) -> std::result::Result<Owned, String> {
        let (text, kind) = (Buffer::lend(text.as_bytes()), Oid::new(SERVICE));
        let mut name = self.name();
        // SAFETY: all pointers are to what lives here.
        self.call(|minor| unsafe {
            (self.gss_import_name)(minor, &raw const text, &raw const kind, &raw mut name.handle)
        })?;
        Ok(name)
    }

    /// No name yet.
    fn name(&'static self) -> Owned {
        Owned { library: self, handle: ptr::null_mut(), release: self.gss_release_name }
    }

    /// Copies what the library has given, and gives it back.
    fn take(&self, mut buffer: Buffer) -> Vec<u8> {
        let bytes = buffer.copied();
        let mut minor = 0;
        // SAFETY: the buffer is the library's or empty, and used no more.
        unsafe { (self.gss_release_buffer)(&raw mut minor, &raw mut buffer) };
        bytes
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the handle is the library's or null, of the kind that `release` takes, and used no more.
        let _released =
            self.library.call(|minor| unsafe { (self.release)(minor, &raw mut self.handle) });
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the handle is the library's or null, and used no more; no last token is wanted.
        let _released = self.library.call(|minor| unsafe {
            (self.library.gss_delete_sec_context)(minor, &raw mut self.handle, ptr::null_mut())
        });
    }
}

fn unavailable(text: String) -> Error {
    Error::new(ErrorCode::AuthUnavailable, text).in_domain(ErrorDomain::Rpc)
}

fn failed(what: &'static str) -> impl Fn(String) -> Error {
    move |why| {
        Error::new(ErrorCode::AuthFailed, format!("{what}: {why}")).in_domain(ErrorDomain::Rpc)
    }
}
