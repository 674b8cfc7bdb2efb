// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pools and volumes of the test driver, and the streams that carry what volumes hold.

use std::os::unix::fs::{FileExt, MetadataExt};

use virtus_tests::{Options, Outcome, Testbed};

use crate::{Case, Skip, contains, equal};

pub(crate) const CASES: &[Case] = &[
    ("virsh_gets_back_what_it_uploads", round_trip),
    ("streams_of_the_bindings_in_use_and_misuse", streams),
    ("pools_live_and_what_happens_is_told", lives),
];

const MIB: u64 = 1 << 20;

/// libvirtd, and the URI of its test driver.
fn world() -> Outcome<(Testbed, String)> {
    let bed = Testbed::with(&Options { daemon: Some("libvirtd"), ..Options::default() })?;
    if !bed.is_ours() {
        return Err(Skip("stock's test driver keeps nothing in volumes".to_owned()).into());
    }
    let uri = bed.uri_of("test", "/default");
    Ok((bed, uri))
}

/// One virsh does it all: the world ends with its last session.
fn round_trip() -> Outcome {
    let (bed, uri) = world()?;
    let from = std::fs::File::create(bed.path("from"))?;
    let data: Vec<u8> = (0..5 * MIB).map(|at| (at * 31 % 241) as u8).collect();
    from.write_all_at(&data, 0)?;
    from.write_all_at(&data, 90 * MIB)?;
    from.set_len(100 * MIB)?;
    let done = bed.try_virsh(&format!(
        "-q -c {uri} 'cd {}; vol-create-as default-pool v 100M --allocation 0; \
         vol-upload --pool default-pool v from --sparse; vol-info --pool default-pool v; \
         vol-download --pool default-pool v sparse --sparse; \
         vol-download --pool default-pool v whole; \
         vol-download --pool default-pool v part --offset 94371839 --length 5; \
         vol-clone --pool default-pool v copy; \
         vol-wipe --pool default-pool v; vol-download --pool default-pool v wiped; \
         vol-download --pool default-pool copy copied; \
         vol-resize --pool default-pool copy 120M; vol-info --pool default-pool copy --bytes'",
        bed.path("").display()
    ))?;
    // A virsh that is given many commands answers for the last of them.
    equal("complaints", done.err.as_str(), "")?;
    contains(&done.out, "Allocation:     10.00 MiB")?;
    contains(&done.out, "Capacity:       125829120 bytes")?;
    let original = std::fs::read(bed.path("from"))?;
    for name in ["sparse", "whole", "copied"] {
        equal(name, std::fs::read(bed.path(name))? == original, true)?;
    }
    let blocks = std::fs::metadata(bed.path("sparse"))?.blocks();
    equal("holes stay holes", blocks * 512 < 20 * MIB, true)?;
    equal("a part", std::fs::read(bed.path("part"))?, [&[0], &data[..4]].concat())?;
    let wiped = std::fs::read(bed.path("wiped"))?;
    equal("wiped", (wiped.len(), wiped.iter().all(|byte| *byte == 0)), (original.len(), true))
}

fn streams() -> Outcome {
    let (bed, uri) = world()?;
    contains(&bed.python_done("volume_streams.py", &[&uri])?, "all good")
}

fn lives() -> Outcome {
    let (bed, uri) = world()?;
    contains(&bed.python_done("pool_life.py", &[&uri])?, "all good")
}
