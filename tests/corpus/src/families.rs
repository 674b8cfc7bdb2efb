// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table of checks: one row for each family and kind that can be run.

mod addresses;
mod block;
mod containers;
mod cpu;
mod cpu_hosts;
mod descriptors;
mod documents;
mod host;
mod images;
mod moments;
mod networks;
mod node;
mod node_device;
mod qemucaps;
mod qemuxmlconf;
pub(crate) mod schemas;
mod status;
mod storage;
mod virsh;

use virtus_xml::{HostInterface, Network, NetworkPort, Nwfilter, NwfilterBinding, Secret};

use crate::{Case, Corpus, Verdict};

/// One kind of check of one family.
pub struct Row {
    pub family: &'static str,
    /// As the manifest names it, or a name of our own for what is checked besides.
    pub kind: &'static str,
    /// Which cases are checked although their manifest does not ask for this kind.
    pub besides: fn(&Case) -> bool,
    pub check: fn(&Corpus, &Case) -> Verdict,
}

/// A kind of check that manifests ask for.
const fn asked(
    family: &'static str,
    kind: &'static str,
    check: fn(&Corpus, &Case) -> Verdict,
) -> Row {
    Row { family, kind, besides: |_| false, check }
}

/// Something that is checked of each case for which `besides` holds.
const fn besides(
    family: &'static str,
    kind: &'static str,
    besides: fn(&Case) -> bool,
    check: fn(&Corpus, &Case) -> Verdict,
) -> Row {
    Row { family, kind, besides, check }
}

/// All checks. What is not here counts as not passed.
pub const TABLE: &[Row] = &[
    besides("bhyveargv2xml", "identity", expects_xml, documents::raw_domain_identity),
    besides("bhyvexml2argv", "read", reads_domain, documents::domain_is_known),
    besides("bhyvexml2xml", "identity", expects_xml, documents::domain_identity),
    besides("chxml2xml", "identity", expects_xml, documents::raw_domain_identity),
    asked("conffile", "conf2conf", node::configuration),
    asked("cpu", "cpu-baseline", cpu::baseline),
    asked("cpu", "cpu-compare", cpu::comparison),
    asked("cpu", "cpu-guest", cpu::guest),
    asked("cpu", "cpu-hasfeature", cpu::has_feature),
    asked("cpu", "cpu-update", cpu::update),
    asked("cpu", "cpu-update-live", cpu::update_live),
    asked("cpu", "cpu-validate", cpu::validate),
    asked("cpu", "cpuid2cpu", cpu::decode),
    asked("cpu", "cpuid2signature", cpu::signature),
    asked("cpu", "qmp2cpu", cpu::qemu),
    asked("cpu", "qmp2signature", cpu::qemu_signature),
    asked("domaincaps", "caps2domcaps", qemucaps::domain),
    asked("backingstore", "string2xml", images::backing),
    asked("domainbackup", "xml2xml", moments::backup),
    asked("domaincheckpoint", "xml2xml", moments::checkpoint),
    asked("domaincheckpoint", "xml-parse-error", moments::checkpoint_refused),
    asked("domainsnapshot", "xml2xml", moments::snapshot),
    besides("domaincaps", "identity", expects_xml, documents::domain_capabilities_identity),
    asked("domainconf", "xml-query", documents::filesystem_at),
    asked("genericxml2xml", "xml2xml", documents::generic),
    asked("genericxml2xml", "xml-parse-error", documents::generic_refused),
    asked("hostcpu", "cpuinfo2signature", node::signature),
    asked("hostcpu", "cpuinfo2text", node::information),
    asked("hostcaps", "sysfs2xml", node::capabilities),
    besides("hostcaps", "identity", expects_xml, documents::capabilities_identity),
    asked("schemas", "accepts", schemas::accepts),
    asked("schemas", "refuses", schemas::refuses),
    asked("interfacexml2xml", "xml2xml", networks::xml2xml::<HostInterface>),
    asked("networkport", "xml2xml", networks::xml2xml::<NetworkPort>),
    asked("networkxml2xml", "xml2xml", networks::xml2xml::<Network>),
    asked("networkxml2xml", "xml-parse-error", networks::refused::<Network>),
    asked("networkxml2xmlupdate", "xml-update", networks::update),
    asked("networkxml2xmlupdate", "update-error", networks::update_refused),
    asked("nwfilterbinding", "xml2xml", networks::xml2xml::<NwfilterBinding>),
    asked("nwfilterxml2xml", "xml2xml", networks::xml2xml::<Nwfilter>),
    asked("nwfilterxml2xml", "xml-parse-error", networks::refused::<Nwfilter>),
    besides("libxlxml2domconfig", "read", reads_domain, documents::domain_is_known),
    asked("lxcconf2xml", "lxc2xml", containers::from_native),
    asked("lxcconf2xml", "lxc2xml-error", containers::not_from_native),
    besides("lxcconf2xml", "identity", expects_xml, documents::domain_identity),
    asked("lxcxml2xml", "xml2xml", documents::generic),
    besides("lxcxml2xml", "complete", expects_xml, containers::completed),
    asked("nodedevxml2xml", "xml2xml", node_device::document),
    asked("qemucapabilities", "qmp2caps", qemucaps::cache),
    asked("qemucaps2xml", "caps2xml", qemucaps::guests),
    besides("qemucaps2xml", "identity", expects_xml, documents::capabilities_identity),
    asked("json", "json2json", images::json),
    asked("qemublock", "json2json", block::json),
    asked("qemublock", "json2text", block::bitmaps),
    asked("qemublock", "json2value", block::soundness),
    asked("qemublock", "xml2json", block::nodes),
    asked("qemublock", "xml2json-error", block::nodes_refused),
    asked("qemunbdkit", "xml2argv", block::nbdkit),
    asked("qemufirmware", "json2json", descriptors::firmware),
    asked("qemufirmware", "json-parse-error", descriptors::firmware_refused),
    asked("qemufirmware", "tree2list", descriptors::firmwares),
    asked("qemumemlock", "xml2value", qemuxmlconf::memory_lock),
    asked("qemuvhostuser", "json2json", descriptors::program),
    asked("qemuvhostuser", "tree2list", descriptors::programs),
    asked("qemustatus", "statusxml2statusxml", status::status),
    asked("qemuxmlactive", "activexml2activexml", qemuxmlconf::active),
    asked("qemuxmlactive", "activexml2inactivexml", qemuxmlconf::active_to_inactive),
    besides("qemuxmlconf", "identity", expects_xml, documents::domain_identity),
    besides("qemuxmlconf", "redefine", expects_xml, qemuxmlconf::document_again),
    besides(
        "qemuxmlconf",
        "redefine-argv",
        |case| case.expected("argv").is_some(),
        qemuxmlconf::command_line_again,
    ),
    asked("qemuxmlconf", "xml2xml", qemuxmlconf::document),
    asked("qemuxmlconf", "xml-parse-error", qemuxmlconf::refused),
    asked("qemuxmlconf", "xml2argv", qemuxmlconf::command_line),
    asked("qemuxmlconf", "xml2argv-error", qemuxmlconf::not_planned),
    asked("storagechain", "image2chain", images::chain),
    asked("storagechain", "image2chain-error", images::chain),
    asked("storagepoolcaps", "call2xml", storage::capabilities),
    asked("storagepoolxml2xml", "xml2xml", storage::pool),
    asked("storagesourcejson", "xml2json2xml", block::round_trip),
    asked("storageutil", "xml2xml", storage::gluster),
    asked("storagevolxml2xml", "xml2xml", storage::volume),
    asked("secretxml2xml", "xml2xml", networks::xml2xml::<Secret>),
    asked("sockaddr", "sockaddr-format", addresses::format),
    asked("sockaddr", "sockaddr-islocalhost", addresses::is_localhost),
    asked("sockaddr", "sockaddr-masknetwork", addresses::mask_network),
    asked("sockaddr", "sockaddr-netmask", addresses::netmask),
    asked("sockaddr", "sockaddr-numeric", addresses::numeric),
    asked("sockaddr", "sockaddr-parse", addresses::parse),
    asked("sockaddr", "sockaddr-range", addresses::range),
    asked("sockaddr", "sockaddr-wildcard", addresses::wildcard),
    asked("sysinfo", "text2xml", host::sysinfo),
    asked("uri", "uri", addresses::uri),
    asked("virsh", "argv2output", virsh::transcript),
    besides("vmx2xml", "identity", expects_xml, documents::raw_domain_identity),
    besides("xlconfig", "read", reads_domain, documents::domain_is_known),
    besides("xlconfig", "identity", expects_xml, documents::domain_identity),
    besides("xmconfig", "read", reads_domain, documents::domain_is_known),
    besides("xmconfig", "identity", expects_xml, documents::domain_identity),
    besides("xml2vmx", "read", reads_domain, documents::domain_is_known),
];

fn expects_xml(case: &Case) -> bool {
    case.expected("xml").is_some()
}

/// Whether the input is a domain document that is accepted.
fn reads_domain(case: &Case) -> bool {
    case.expect == "ok" && case.kinds.iter().any(|kind| kind.starts_with("xml2"))
}
