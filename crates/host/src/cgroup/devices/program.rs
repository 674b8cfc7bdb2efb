// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The program that version 2 runs at each access to a device, made from rules.
#![expect(unsafe_code, reason = "bpf() has no safe form")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::DeviceRule;

const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_DETACH: libc::c_long = 9;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const PROG_QUERY: libc::c_long = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// All programs of a group and of those above it must agree.
const ALLOW_MULTI: u32 = 2;

/// One instruction: operation, registers (source << 4 | destination), jump offset, number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    number: i32,
}

const fn op(code: u8, destination: u8, source: u8, offset: i16, number: i32) -> Instruction {
    Instruction { code, registers: source << 4 | destination, offset, number }
}

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const MOVE: u8 = 0xbc;
const SET: u8 = 0xb4;
const UNLESS_EQUAL: u8 = 0x56;
const EXIT: u8 = 0x95;

/// Registers: 2 kind, 3 access, 4 major, 5 minor, 6 what is asked for beyond the rule.
fn compile(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        op(LOAD_WORD, 2, 1, 0, 0),
        op(MOVE, 3, 2, 0, 0),
        op(AND, 2, 0, 0, 0xffff),
        op(SHIFT_RIGHT, 3, 0, 0, 16),
        op(LOAD_WORD, 4, 1, 4, 0),
        op(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules {
        let refused =
            i32::from(!rule.make) | i32::from(!rule.read) << 1 | i32::from(!rule.write) << 2;
        let mut checks = vec![(2, if rule.block { 1 } else { 2 })];
        checks.extend(rule.major.map(|major| (4, major.cast_signed())));
        checks.extend(rule.minor.map(|minor| (5, minor.cast_signed())));
        checks.push((6, 0));
        // Each check that fails jumps behind the rule: over the checks after it, "yes" and "exit".
        let mut left = checks.len() as i16 + 1;
        program.extend([op(MOVE, 6, 3, 0, 0), op(AND, 6, 0, 0, refused)]);
        for (register, number) in checks {
            program.push(op(UNLESS_EQUAL, register, 0, left, number));
            left -= 1;
        }
        program.extend([op(SET, 0, 0, 0, 1), op(EXIT, 0, 0, 0, 0)]);
    }
    program.extend([op(SET, 0, 0, 0, 0), op(EXIT, 0, 0, 0, 0)]);
    program
}

/// Lets the group obey these rules in place of those it had.
pub(super) fn replace(group: &File, rules: &[DeviceRule]) -> io::Result<()> {
    let before = attached(group)?;
    let program = load(&compile(rules))?;
    let target = group.as_raw_fd().cast_unsigned();
    let new = program.as_raw_fd().cast_unsigned();
    call(PROG_ATTACH, &mut [target, new, ATTACH_CGROUP_DEVICE, ALLOW_MULTI])?;
    for id in before {
        let old = descriptor(call(PROG_GET_FD_BY_ID, &mut [id, 0, 0])?);
        let old = old.as_raw_fd().cast_unsigned();
        call(PROG_DETACH, &mut [target, old, ATTACH_CGROUP_DEVICE, 0])?;
    }
    Ok(())
}

/// The numbers of the programs that the group has.
fn attached(group: &File) -> io::Result<Vec<u32>> {
    let mut ids = [0_u32; 64];
    let place = ids.as_mut_ptr() as u64;
    let target = group.as_raw_fd().cast_unsigned();
    let mut query = [
        target,
        ATTACH_CGROUP_DEVICE,
        0,
        0,
        (place & 0xffff_ffff) as u32,
        (place >> 32) as u32,
        ids.len() as u32,
        0,
    ];
    call(PROG_QUERY, &mut query)?;
    Ok(ids.into_iter().take(query[6] as usize).collect())
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let code = program.as_ptr() as u64;
    let licence = c"Apache-2.0".as_ptr() as u64;
    let low = |place: u64| (place & 0xffff_ffff) as u32;
    let high = |place: u64| (place >> 32) as u32;
    let mut words = [0_u32; 32];
    words[0] = TYPE_CGROUP_DEVICE;
    words[1] = program.len() as u32;
    (words[2], words[3]) = (low(code), high(code));
    (words[4], words[5]) = (low(licence), high(licence));
    call(PROG_LOAD, &mut words).map(descriptor)
}

/// `bpf(what, words)`; the addresses in `words` are of things that outlive the call.
fn call(what: libc::c_long, words: &mut [u32]) -> io::Result<i32> {
    // The kernel's structure has members of eight bytes.
    let mut aligned = [0_u64; 16];
    let size = words.len() * 4;
    // SAFETY: both regions are `size` bytes, at most 128; the kernel reads and writes the first `size` bytes of
    // the aligned one, and the places that it names belong to callers, who hold them during the call.
    let answer = unsafe {
        let place = aligned.as_mut_ptr().cast::<u32>();
        place.copy_from_nonoverlapping(words.as_ptr(), words.len());
        let answer = libc::syscall(libc::SYS_bpf, what, place, size);
        place.copy_to_nonoverlapping(words.as_mut_ptr(), words.len());
        answer
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as i32) }
}

fn descriptor(number: i32) -> OwnedFd {
    // SAFETY: the kernel has just opened it for us, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULL: DeviceRule = DeviceRule {
        block: false,
        major: Some(1),
        minor: Some(3),
        read: true,
        write: true,
        make: false,
    };

    #[test]
    fn a_rule_is_its_checks_and_a_yes() {
        let program = compile(&[NULL]);
        let jumps: Vec<i16> =
            program.iter().filter(|i| i.code == UNLESS_EQUAL).map(|i| i.offset).collect();
        assert_eq!(jumps, [5, 4, 3, 2]);
        assert_eq!(program.len(), 6 + 2 + 4 + 2 + 2);
        assert_eq!(NULL.to_string(), "c 1:3 rw");
    }

    #[tokio::test]
    async fn the_kernel_obeys_it() {
        use std::path::Path;

        use crate::process::Spawn;
        let places = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let unified =
            places.into_iter().find(|place| Path::new(place).join("cgroup.procs").exists());
        let Some(unified) = unified else {
            eprintln!("skipped: there is no cgroup of version 2");
            return;
        };
        let folder = Path::new(unified).join(format!("virtus-devices-{}", std::process::id()));
        if std::fs::create_dir(&folder).is_err() {
            eprintln!("skipped: cgroups cannot be made here");
            return;
        }
        let group = File::open(&folder).unwrap();
        replace(&group, &[]).unwrap();
        replace(&group, &[NULL]).unwrap();
        assert_eq!(attached(&group).unwrap().len(), 1);
        let script = "true > /dev/null && ! true < /dev/zero";
        let shell = Spawn::new("sh").args(["-c", script]).cgroup(folder.join("cgroup.procs"));
        let exit = shell.start().await.unwrap().exited().await;
        std::fs::remove_dir(&folder).unwrap();
        assert!(exit.is_success());
    }
}
