// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The file in which it is kept what a QEMU can do.
//!
//! What is read and written is read again as the same.

use virtus_qemu::caps::Capabilities;
use virtus_wire::sample::Random;

use super::Target;

pub(crate) const TARGET: Target = Target { name: "probed", run, seed };

const SEED: &str = "<qemuCaps><emulator>/q</emulator><qemuctime>1</qemuctime><selfctime>2</selfctime>\
     <selfvers>11003000</selfvers><flag name='kvm'/><flag name='query-hotpluggable-cpus'/><version>7002000</version>\
     <microcodeVersion>7</microcodeVersion><package>p</package><kernelVersion>k</kernelVersion><arch>x86_64</arch>\
     <hostCPU type='kvm' model='base' migratability='yes'><property name='a' type='boolean' value='true' migratable='yes'/>\
     <property name='b' type='number' value='7'/><property name='c' type='string' value='s'/></hostCPU>\
     <cpu type='kvm' name='max' typename='t' usable='no'><blocker name='x'/></cpu>\
     <machine type='kvm' name='q35' alias='a' hotplugCpus='yes' maxCpus='255' default='yes' numaMemSupported='yes'/>\
     <gic version='3' kernel='yes' emulated='no'/></qemuCaps>";

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(caps) = Capabilities::from_cache_xml(text) else { return };
    let written = caps.to_cache_xml();
    let again = Capabilities::from_cache_xml(&written).map(|caps| caps.to_cache_xml());
    assert_eq!(again.as_deref().ok(), Some(written.as_str()), "from {text}");
}

fn seed(_: &mut Random) -> Vec<u8> {
    SEED.as_bytes().to_vec()
}
