#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Every list of a daemon, read while its objects come and go.

Two connections make and remove the same objects of a kind; two others ask for the names of those objects and for the objects, by
the old calls and the new ones, and look at what they got. Objects that are gone are told of as that. Arguments: the URI of a
test driver, and that of a hypervisor, for kinds that the former lacks. Prints `all lists agree` at the end.
"""

import sys
import threading

import libvirt

ROUNDS, OBJECTS = 40, 5
BROKEN = [libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_RPC, libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_NO_SUPPORT]
DOMAIN = """<domain type='{kind}'><name>many{n}</name><uuid>7e57ab1e-0000-4000-8000-0000000000d{n}</uuid><memory>8192</memory>
<os><type>hvm</type></os></domain>"""
NETWORK = "<network><name>many{n}</name><uuid>7e57ab1e-0000-4000-8000-0000000000a{n}</uuid><bridge name='many{n}'/></network>"
PORT = """<networkport><uuid>7e57ab1e-0000-4000-8000-0000000000b{n}</uuid><owner><name>guest</name>
<uuid>7e57ab1e-0000-4000-8000-0000000000c1</uuid></owner><mac address='52:54:00:00:00:0{n}'/></networkport>"""
POOL = """<pool type='dir'><name>many{n}</name><uuid>7e57ab1e-0000-4000-8000-0000000000e{n}</uuid>
<target><path>/many{n}</path></target></pool>"""
VOLUME = "<volume><name>many{n}</name><capacity>4096</capacity></volume>"
INTERFACE = "<interface type='ethernet' name='many{n}'/>"
DEVICE = """<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>
<wwnn>200000003456000{n}</wwnn><wwpn>100000003456000{n}</wwpn></capability></capability></device>"""
SECRET = """<secret><uuid>7e57ab1e-0000-4000-8000-0000000000f{n}</uuid><usage type='ceph'><name>many{n}</name></usage></secret>"""
SNAPSHOT = "<domainsnapshot><name>many{n}</name></domainsnapshot>"


def pool(conn):
    return conn.storagePoolLookupByName("default-pool")


def test(conn):
    return conn.lookupByName("test")


# What makes an object, what removes it, the calls that count and name such objects, the one that lists them, and one about an object.
KINDS = {
    "domains": (lambda c, n: c.defineXML(DOMAIN.format(kind="test", n=n)), lambda d: d.undefine(),
                lambda c: [c.numOfDefinedDomains(), c.listDefinedDomains(), c.listDomainsID()],
                lambda c: c.listAllDomains(), lambda d: d.info()),
    "snapshots": (lambda c, n: test(c).snapshotCreateXML(SNAPSHOT.format(n=n)), lambda s: s.delete(),
                  lambda c: [test(c).snapshotNum(), test(c).snapshotListNames()],
                  lambda c: test(c).listAllSnapshots(), lambda s: s.getXMLDesc()),
    "networks": (lambda c, n: c.networkDefineXML(NETWORK.format(n=n)), lambda n: n.undefine(),
                 lambda c: [c.numOfDefinedNetworks(), c.listDefinedNetworks(), c.listNetworks()],
                 lambda c: c.listAllNetworks(), lambda n: n.isActive()),
    "ports": (lambda c, n: c.networkLookupByName("default").portCreateXML(PORT.format(n=n)), lambda p: p.delete(),
              lambda c: [], lambda c: c.networkLookupByName("default").listAllPorts(), lambda p: p.XMLDesc()),
    "pools": (lambda c, n: c.storagePoolDefineXML(POOL.format(n=n)), lambda p: p.undefine(),
              lambda c: [c.numOfDefinedStoragePools(), c.listDefinedStoragePools(), c.listStoragePools()],
              lambda c: c.listAllStoragePools(), lambda p: p.info()),
    "volumes": (lambda c, n: pool(c).createXML(VOLUME.format(n=n)), lambda v: v.delete(),
                lambda c: [pool(c).numOfVolumes(), pool(c).listVolumes()],
                lambda c: pool(c).listAllVolumes(), lambda v: v.info()),
    "interfaces": (lambda c, n: c.interfaceDefineXML(INTERFACE.format(n=n)), lambda i: i.undefine(),
                   lambda c: [c.numOfDefinedInterfaces(), c.listDefinedInterfaces(), c.listInterfaces()],
                   lambda c: c.listAllInterfaces(), lambda i: i.XMLDesc()),
    "devices": (lambda c, n: c.nodeDeviceCreateXML(DEVICE.format(n=n)), lambda d: d.destroy(),
                lambda c: [c.numOfDevices(None), c.listDevices(None)], lambda c: c.listAllDevices(), lambda d: d.XMLDesc()),
}
OF_HYPERVISOR = {
    "secrets": (lambda c, n: c.secretDefineXML(SECRET.format(n=n)), lambda s: s.undefine(),
                lambda c: [c.numOfSecrets(), c.listSecrets()], lambda c: c.listAllSecrets(), lambda s: s.XMLDesc()),
}


def unless_gone(call, *arguments):
    """Another connection may have been faster, and the daemon say in any words that it was; but nothing may break."""
    try:
        return call(*arguments)
    except libvirt.libvirtError as error:
        assert error.get_error_code() not in BROKEN, str(error)
        return None


def change(conn, make, remove, start):
    for turn in range(ROUNDS):
        thing = unless_gone(make, conn, (turn + start) % OBJECTS)
        if thing is not None:
            unless_gone(remove, thing)


def read(conn, names, objects, look):
    for _ in range(ROUNDS):
        for found in names(conn):
            assert not isinstance(found, list) or None not in found, found
        for thing in objects(conn):
            unless_gone(look, thing)


def all_at_once(conns, make, remove, names, objects, look):
    failures = []

    def part(act, *arguments):
        try:
            act(*arguments)
        except Exception as error:
            failures.append(repr(error))

    parts = [threading.Thread(target=part, args=(change, conns[i], make, remove, 2 * i)) for i in (0, 1)]
    parts += [threading.Thread(target=part, args=(read, conns[i], names, objects, look)) for i in (2, 3)]
    for thread in parts:
        thread.start()
    for thread in parts:
        thread.join()
    return failures


def main():
    libvirt.registerErrorHandler(lambda *_: None, None)
    for uri, kinds in zip(sys.argv[2:], (KINDS, OF_HYPERVISOR)):
        conns = [libvirt.open(uri) for _ in range(4)]
        for kind, calls in kinds.items():
            failures = all_at_once(conns, *calls)
            assert not failures, (kind, failures)
        for conn in conns:
            assert conn.close() == 0
    print("all lists agree")


main()
