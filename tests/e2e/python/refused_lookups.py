# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Looks every object of a test driver's world up, in every way, a few times, as a user who may see none of them.

Prints `ready`, reads the UUIDs of a domain, a network and a pool on a line, prints `refused` and how often, and waits until its
input ends: the world ends with its last connection.
"""
import sys

import libvirt

POOL, VOLUME = "default-pool", "/default-pool/mine"


def of(call, *arguments):
    return lambda conn: getattr(conn, call)(*arguments)


def main():
    libvirt.registerErrorHandler(lambda *_: None, None)
    conn = libvirt.open(sys.argv[1])
    print("ready", flush=True)
    domain, network, pool = sys.stdin.readline().split()
    lookups = [
        of("lookupByName", "test"), of("lookupByID", 1), of("lookupByUUIDString", domain),
        of("networkLookupByName", "default"), of("networkLookupByUUIDString", network),
        of("storagePoolLookupByName", POOL), of("storagePoolLookupByUUIDString", pool),
        of("storagePoolLookupByTargetPath", "/" + POOL),
        of("storageVolLookupByPath", VOLUME), of("storageVolLookupByKey", VOLUME),
        of("interfaceLookupByName", "eth1"), of("interfaceLookupByMACString", "AA:BB:CC:DD:EE:FF"),
        of("nodeDeviceLookupByName", "scsi_host1"),
        of("nodeDeviceLookupSCSIHostByWWN", "2000000012341234", "1000000012341234"),
    ]
    refused = 0
    for lookup in lookups * 3:
        try:
            found = lookup(conn)
            print("found", found.name(), flush=True)
        except libvirt.libvirtError as error:
            assert error.get_error_code() == libvirt.VIR_ERR_ACCESS_DENIED, str(error)
            refused += 1
    for call in ("numOfDomains", "numOfNetworks", "numOfStoragePools", "numOfInterfaces", "listAllStoragePools"):
        assert not getattr(conn, call)(), call
    print("refused", refused, flush=True)
    sys.stdin.read()


main()
