// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who init is, and what it may do.

use std::fs;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::super::sys;
use crate::blueprint::{Account, Blueprint, Capability};
use crate::failure::{Attempt, Failure, Step};

/// Gives up every capability that the blueprint does not leave, and becomes init's user.
pub(super) fn assume(blueprint: &Blueprint) -> Step<()> {
    let kept = &blueprint.capabilities;
    // The kernel may know newer ones, which nobody has asked for.
    for number in 0..64 {
        let known = Capability::ALL.get(number as usize);
        if known.is_some_and(|capability| kept.contains(capability)) {
            continue;
        }
        match sys::drop_from_bounding_set(number) {
            Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => break,
            other => other.attempt(|| format!("give up capability {number}"))?,
        }
    }
    let user = number(blueprint.init.user.as_ref(), "/etc/passwd", "user")?;
    let group = number(blueprint.init.group.as_ref(), "/etc/group", "group")?;
    if user != 0 || group != 0 {
        sys::become_user(user, group).attempt(|| format!("become user {user}, group {group}"))?;
    }
    // Another user has lost them all.
    if user == 0 {
        let bits = kept.iter().fold(0, |bits, capability| bits | 1_u64 << capability.number());
        // The controller may have fewer than there are.
        let own = capabilities(None).attempt(|| "look at the capabilities that there are")?;
        let kept = CapabilitySet::from_bits_retain(bits) & own.permitted;
        let sets = CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets).attempt(|| "give up capabilities")?;
    }
    Ok(())
}

/// The number of an account of the container; 0 where none is named.
fn number(account: Option<&Account>, file: &str, kind: &str) -> Step<u32> {
    let name = match account {
        None => return Ok(0),
        Some(Account::Id(id)) => return Ok(*id),
        Some(Account::Name(name)) => name,
    };
    let text = fs::read_to_string(file).attempt(|| format!("read the container's '{file}'"))?;
    find(&text, name).ok_or_else(|| {
        Failure::refused(format!("the container has no {kind} '{name}'"))
            .hint(format!("its {kind}s are in '{file}' of its root file system"))
    })
}

/// In lines of `name:password:number:…`.
fn find(text: &str, name: &str) -> Option<u32> {
    let line = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    line.into_iter().find(|fields| fields.first() == Some(&name))?.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let text = "root:x:0:0::/:/bin/sh\nrooty:x:7:7\nodd\nbad:x:seven";
        assert_eq!(find(text, "root"), Some(0));
        assert_eq!(find(text, "rooty"), Some(7));
        assert_eq!(find(text, "odd"), None);
        assert_eq!(find(text, "bad"), None);
        assert_eq!(find(text, "x"), None);
    }
}
