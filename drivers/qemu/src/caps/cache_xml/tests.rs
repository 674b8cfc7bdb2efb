// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Cache files are read and written without loss.

use super::*;

const SMALL: &str = "<qemuCaps>
  <emulator>/usr/bin/qemu-system-x86_64</emulator>
  <qemuctime>12</qemuctime>
  <selfctime>0</selfctime>
  <selfvers>11003000</selfvers>
  <flag name='kvm'/>
  <flag name='netdev.json'/>
  <version>10000002</version>
  <microcodeVersion>0</microcodeVersion>
  <package>Debian &quot;1&quot;</package>
  <kernelVersion>6.1</kernelVersion>
  <arch>x86_64</arch>
  <hostCPU type='kvm' model='base' migratability='yes'>
    <property name='cmov' type='boolean' value='true' migratable='no'/>
    <property name='family' type='number' value='-1'/>
    <property name='vendor' type='string' value='AuthenticAMD'/>
    <deprecatedFeatures>
      <property name='te'/>
    </deprecatedFeatures>
  </hostCPU>
  <cpu type='kvm' name='phenom' typename='phenom-x86_64-cpu' usable='no'>
    <blocker name='3dnow'/>
  </cpu>
  <machine type='kvm' name='pc-i440fx-10.0' alias='pc' hotplugCpus='yes' maxCpus='255' \
default='yes' defaultCPU='qemu64-x86_64-cpu' defaultRAMid='pc.ram' acpi='yes'/>
  <machine type='tcg' name='isapc' maxCpus='1' deprecated='yes'/>
  <gic version='2' kernel='no' emulated='yes'/>
  <sgx supported='yes'>
    <flc>yes</flc>
    <sgx1>yes</sgx1>
    <sgx2>no</sgx2>
    <section_size unit='KiB'>1024</section_size>
    <sections>
      <section node='0' size='1024' unit='KiB'/>
    </sections>
  </sgx>
  <hypervCapabilities supported='no'/>
</qemuCaps>
";

#[test]
fn what_is_read_is_written_again() {
    let caps = Capabilities::from_cache_xml(SMALL).unwrap();
    assert!(caps.has(Flag::Kvm));
    assert!(!caps.has(Flag::Spice));
    assert_eq!(caps.version_text(), "10.0.2");
    assert_eq!(caps.canonical_machine(Accel::Kvm, "pc"), "pc-i440fx-10.0");
    assert_eq!(caps.canonical_machine(Accel::Kvm, "unheard-of"), "unheard-of");
    assert_eq!(caps.to_cache_xml(), SMALL);
}

#[test]
fn unknown_flags_are_passed_over_and_bad_numbers_named() {
    let caps = Capabilities::from_cache_xml("<qemuCaps><flag name='later'/></qemuCaps>").unwrap();
    assert!(caps.flags.is_empty());
    let error =
        Capabilities::from_cache_xml("<qemuCaps><version>x</version></qemuCaps>").unwrap_err();
    assert!(error.to_string().contains("'x' is no number for version"), "{error}");
    assert!(Capabilities::from_cache_xml("<other/>").is_err());
}

#[test]
fn every_cache_of_the_corpus_survives_unchanged() {
    let Some(folder) = crate::corpus::folder("qemucapabilitiesdata") else { return };
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let caps = Capabilities::from_cache_xml(&text).unwrap();
            assert!(caps.to_cache_xml() == text, "{} does not survive", path.display());
            count += 1;
        }
    }
    assert!(count > 0);
}
