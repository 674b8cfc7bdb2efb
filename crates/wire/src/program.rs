// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Programs, calls and their numbers.

use virtus_api::{CallId, Program};

use crate::generated::numbers::{ADDRESSES, CALLS, PROGRAMS};

/// What a message says it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    pub program: u32,
    pub version: u32,
    pub procedure: i32,
}

/// The keepalive program, answered below the dispatcher; its messages have empty bodies.
pub const KEEPALIVE: u32 = 0x6b65_6570;
pub const KEEPALIVE_VERSION: u32 = 1;
pub const KEEPALIVE_PING: i32 = 1;
pub const KEEPALIVE_PONG: i32 = 2;

/// The number of a program.
#[must_use]
pub fn number(program: Program) -> u32 {
    PROGRAMS[program as usize].0
}

/// The only version of a program.
#[must_use]
pub fn version(program: Program) -> u32 {
    PROGRAMS[program as usize].1
}

/// The program with this number.
#[must_use]
pub fn from_number(number: u32) -> Option<Program> {
    Program::ALL.into_iter().find(|program| self::number(*program) == number)
}

/// Which call a procedure is. Numbers of events are not calls.
#[must_use]
pub fn lookup(program: u32, procedure: i32) -> Option<CallId> {
    let calls = CALLS[from_number(program)? as usize];
    *calls.get(usize::try_from(procedure).ok()?)?
}

/// Where a call is addressed to.
#[must_use]
pub fn address(call: CallId) -> Address {
    let program = call.meta().program;
    Address {
        program: number(program),
        version: version(program),
        procedure: ADDRESSES[call.index()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_found_at_its_address() {
        for call in CallId::ALL {
            let Address { program, version, procedure } = address(call);
            assert_eq!(lookup(program, procedure), Some(call));
            assert_eq!(version, 1);
        }
    }

    #[test]
    fn events_and_nonsense_are_no_calls() {
        for procedure in [0, -1, 107, 318, 454, i32::MAX, i32::MIN] {
            assert_eq!(lookup(0x2000_8086, procedure), None, "{procedure}");
        }
        assert_eq!(lookup(1, 1), None);
    }
}
