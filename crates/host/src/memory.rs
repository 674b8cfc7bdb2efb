// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a program that lives for months holds its memory, and gives back what it does not need.

use std::ops::Range;

/// Keeps the heap together: without this glibc gives each thread an arena of its own, and what a start or a burst
/// of work has freed in one of them is neither given back nor used by the others. Measured on a daemon that has
/// just started: 37 MiB resident with an arena per thread, 13 MiB with a single one.
///
/// Large buffers (data of streams) go back to the kernel as soon as they are freed: left to itself, glibc takes
/// them from the heap after the first time, and keeps them.
///
/// To be called before there are threads. Does nothing with another C library.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the allocator's settings have no safe wrapper")
)]
pub fn keep_together() {
    #[cfg(target_env = "gnu")]
    {
        /// One for the runtime's threads, one for those that wait for files.
        const ARENAS: libc::c_int = 2;
        /// Bytes from which on a buffer is large; where glibc begins, too.
        const LARGE: libc::c_int = 128 * 1024;
        for (setting, value) in [(libc::M_ARENA_MAX, ARENAS), (libc::M_MMAP_THRESHOLD, LARGE)] {
            // SAFETY: `mallopt` only sets a number in the allocator, which it guards itself.
            let _taken = unsafe { libc::mallopt(setting, value) };
        }
    }
}

/// Gives back to the kernel what only a burst of work has needed that will not come again soon, such as a start: of the heap
/// what was freed, and of the program and its libraries what was never changed.
///
/// The latter stands in the page cache too. From there the kernel maps what is used again, which costs a few microseconds
/// for each 64 KiB, and may now take the rest when others need memory.
pub fn give_back() {
    give_back_heap();
    give_back_program();
}

/// Gives back what was freed: left to itself, glibc gives back only what lies behind the last thing in use. Takes about a
/// millisecond for each ten MiB that go; whoever allocates meanwhile waits for it. Does nothing with another C library.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the allocator's order has no safe wrapper")
)]
pub fn give_back_heap() {
    #[cfg(target_env = "gnu")]
    {
        /// What the heap keeps at its end.
        const NOTHING: libc::size_t = 0;
        // SAFETY: `malloc_trim` only unmaps pages of which nothing is in use, and takes the allocator's own locks.
        let _released = unsafe { libc::malloc_trim(NOTHING) };
    }
}

#[expect(unsafe_code, reason = "the loader's list has no safe wrapper")]
fn give_back_program() {
    let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    let mut unchanged = unchanged(&smaps);
    // SAFETY: the callback gets the pointer as what it is, and only until the call returns.
    unsafe { libc::dl_iterate_phdr(Some(give_back_segments), (&raw mut unchanged).cast()) };
}

/// Lets go of the segments of one file that are not to be written and stand in a list.
#[expect(unsafe_code, reason = "it is called by the loader")]
extern "C" fn give_back_segments(
    file: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    unchanged: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader passes a file that it has mapped, with all its headers, and what `give_back_program` gave it.
    let (base, headers, unchanged) = unsafe {
        let libc::dl_phdr_info { dlpi_addr, dlpi_phdr, dlpi_phnum, .. } = *file;
        let headers = std::slice::from_raw_parts(dlpi_phdr, usize::from(dlpi_phnum));
        (dlpi_addr as usize, headers, &*unchanged.cast::<Vec<Range<usize>>>())
    };
    // SAFETY: `sysconf` only answers a number. Other ways to it read what is hidden from a program under valgrind.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let start = base.wrapping_add(header.p_vaddr as usize);
        let range = start / page * page..(start + header.p_memsz as usize).next_multiple_of(page);
        if unchanged.contains(&range) {
            // SAFETY: the loader keeps the file mapped while it calls us, and nothing writes to such a segment: what is
            // read of it next comes from the file, and is what was there.
            unsafe { libc::madvise(range.start as *mut _, range.len(), libc::MADV_DONTNEED) };
        }
    }
    0
}

/// The mappings, by their addresses, of which no page differs from the file's. A breakpoint or a probe makes one differ.
fn unchanged(smaps: &str) -> Vec<Range<usize>> {
    let mut mapping = None;
    let mut unchanged = Vec::new();
    for line in smaps.lines() {
        if let Some(amount) = line.strip_prefix("Anonymous:") {
            unchanged.extend(mapping.take().filter(|_| amount.trim() == "0 kB"));
        } else if let Some(range) = line.split(' ').next().and_then(|word| word.split_once('-')) {
            let [start, end] = [range.0, range.1].map(|word| usize::from_str_radix(word, 16).ok());
            mapping = start.zip(end).map(|(start, end)| start..end);
        }
    }
    unchanged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mappings_without_pages_of_their_own_are_unchanged() {
        let smaps = "\
            1000-3000 r-xp 00001000 fe:00 7 /bin/true\n\
            Rss:                   8 kB\n\
            Anonymous:             0 kB\n\
            VmFlags: rd ex mr mw me\n\
            3000-4000 r--p 00003000 fe:00 7 /bin/true\n\
            Anonymous:             4 kB\n\
            ff000-100000 r-xp 00000000 00:00 0 [vdso]\n\
            Anonymous:             0 kB\n";
        assert_eq!(unchanged(smaps), [0x1000..0x3000, 0xff000..0x100000]);
    }
}
