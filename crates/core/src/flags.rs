// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The flags of calls: which are known, which exclude each other, and which objects of a list they let through.

use virtus_api::{Error, Result};

/// Refuses flags that a call does not know.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG` with libvirt's text.
pub fn check_flags(flags: u32, known: u32, call: &str) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => {
            let text = format!("unsupported flags (0x{unknown:x}) in function {call}");
            Err(Error::bad_argument(text))
        }
    }
}

/// Refuses two flags that contradict each other.
///
/// # Errors
/// `VIR_ERR_INVALID_ARG`.
pub fn exclusive(flags: u32, a: (u32, &str), b: (u32, &str)) -> Result<()> {
    if flags & a.0 != 0 && flags & b.0 != 0 {
        let text = format!("Flags '{}' and '{}' are mutually exclusive", a.1, b.1);
        return Err(Error::bad_argument(text));
    }
    Ok(())
}

/// Whether an object passes one group of a list's filters: each flag stands with whether the object is what it
/// asks for. No flag of the group lets all pass, several let those pass that fit any of them.
#[must_use]
pub fn passes(flags: u32, group: impl IntoIterator<Item = (u32, bool)>) -> bool {
    let mut asked = group.into_iter().filter(|(flag, _)| flags & flag != 0).peekable();
    asked.peek().is_none() || asked.any(|(_, fits)| fits)
}
