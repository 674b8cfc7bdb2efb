#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Walks through the calls of the bindings on one defined domain and checks that their answers agree with each other."""

import sys
import xml.etree.ElementTree as ET

import libvirt


def check(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r} instead of {wanted!r}")


def refused(code, call, *arguments):
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        check(f"error code of {call.__name__}", error.get_error_code(), code)
        return
    sys.exit(f"{call.__name__} was not refused")


def main():
    uri, name = sys.argv[1:]
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    conn = libvirt.open(uri)
    check("type", conn.getType(), "QEMU")
    check("library version", conn.getLibVersion(), 11003000)
    check("hypervisor version", conn.getVersion() >= 7000000, True)
    check("alive", conn.isAlive(), 1)
    check("encrypted", conn.isEncrypted(), 0)
    check("secure", conn.isSecure(), 1)
    host = ET.fromstring(conn.getCapabilities())
    check("host architecture", host.findtext("host/cpu/arch"), "x86_64")
    domain_types = {found.get("type") for found in host.iterfind("guest/arch[@name='x86_64']/domain")}
    check("emulation is offered", "qemu" in domain_types, True)
    info = conn.getInfo()
    check("architecture", info[0], "x86_64")
    check("host has CPUs", info[2] > 0, True)
    offers = ET.fromstring(conn.getDomainCapabilities(None, "x86_64", "q35", "qemu", 0))
    check("domain type", offers.findtext("domain"), "qemu")

    domain = conn.lookupByName(name)
    uuid = domain.UUIDString()
    check("by UUID", conn.lookupByUUIDString(uuid).name(), name)
    check("defined domains", conn.listDefinedDomains(), [name])
    check("count of defined domains", conn.numOfDefinedDomains(), 1)
    check("running domains", conn.listDomainsID(), [])
    check("state", domain.state(), [libvirt.VIR_DOMAIN_SHUTOFF, 0])
    check("active", domain.isActive(), 0)
    check("persistent", domain.isPersistent(), 1)
    check("id", domain.ID(), -1)
    check("operating system", domain.OSType(), "hvm")
    refused(libvirt.VIR_ERR_NO_DOMAIN, conn.lookupByName, "nobody")
    refused(libvirt.VIR_ERR_NO_DOMAIN, conn.lookupByID, 77)
    refused(libvirt.VIR_ERR_OPERATION_INVALID, domain.suspend)
    refused(libvirt.VIR_ERR_OPERATION_INVALID, domain.destroy)

    domain.create()
    number = domain.ID()
    check("by id", conn.lookupByID(number).UUIDString(), uuid)
    check("ids", conn.listDomainsID(), [number])
    check("state", domain.state()[0], libvirt.VIR_DOMAIN_RUNNING)
    refused(libvirt.VIR_ERR_OPERATION_INVALID, domain.create)
    state, maximum, memory, vcpus, cpu_time = domain.info()
    check("info", (state, maximum, memory, vcpus), (libvirt.VIR_DOMAIN_RUNNING, 32768, 32768, 1))
    check("max memory", domain.maxMemory(), maximum)
    check("CPU time grows", domain.info()[4] >= cpu_time, True)
    tree = ET.fromstring(domain.XMLDesc(0))
    check("id in the XML", tree.get("id"), str(number))
    check("uuid in the XML", tree.findtext("uuid"), uuid)
    check("active by flag", [d.name() for d in conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)], [name])
    check("inactive by flag", conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE), [])
    ((of, stats),) = conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_VCPU)
    check("stats of", of.name(), name)
    check("state in the stats", stats["state.state"], libvirt.VIR_DOMAIN_RUNNING)
    check("vCPUs in the stats", stats["vcpu.current"], 1)
    check("autostart", domain.autostart(), 0)
    domain.setAutostart(1)
    check("autostart", domain.autostart(), 1)
    domain.setAutostart(0)
    uri = "https://example.test/notes"
    text = "<note colour=\"red\">one</note>"
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, "n", uri, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    check("metadata", ET.fromstring(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, uri, libvirt.VIR_DOMAIN_AFFECT_CONFIG)).text, "one")
    domain.destroy()
    check("state", domain.state(), [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED])
    domain.undefine()
    check("domains", conn.listAllDomains(), [])
    refused(libvirt.VIR_ERR_NO_DOMAIN, domain.XMLDesc)
    print("all calls agree")


main()
