#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Leads pools of the test driver through their lives and checks what is told of them; prints `all good`."""

import sys
import threading

import libvirt

TOLD = []
NEWS = threading.Condition()


def tell(*what):
    with NEWS:
        TOLD.append(what)
        NEWS.notify()


def told(*expected):
    """The news that have come since the last time are exactly these."""
    with NEWS:
        assert NEWS.wait_for(lambda: len(TOLD) >= len(expected), 30), (TOLD, expected)
        assert TOLD == list(expected), (TOLD, expected)
        TOLD.clear()


def refused(code, text, call, *arguments):
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        assert error.get_error_code() == code and text in str(error), error
        return
    raise AssertionError(f"nothing refused: {text}")


def xml(name, path, rest=""):
    return f"<pool type='dir'><name>{name}</name>{rest}<target><path>{path}</path></target></pool>"


def life(conn):
    pool = conn.storagePoolDefineXML(xml("life", "/life"))
    told(("life", libvirt.VIR_STORAGE_POOL_EVENT_DEFINED))
    refused(libvirt.VIR_ERR_OPERATION_INVALID, "'life' is not active", pool.listVolumes)
    pool.build()
    pool.create()
    told(("life", libvirt.VIR_STORAGE_POOL_EVENT_CREATED), ("life", libvirt.VIR_STORAGE_POOL_EVENT_STARTED))
    refused(libvirt.VIR_ERR_OPERATION_INVALID, "'life' is active", pool.create)
    refused(libvirt.VIR_ERR_OPERATION_INVALID, "'life' is active", pool.undefine)
    vol = pool.createXML("<volume><name>v</name><capacity>1000</capacity></volume>")
    refused(libvirt.VIR_ERR_OPERATION_FAILED, "storage vol already exists", pool.createXML, vol.XMLDesc())
    copy = pool.createXMLFrom("<volume><name>copy</name></volume>", vol)
    assert copy.info() == [libvirt.VIR_STORAGE_VOL_FILE, 1000, 1000]
    assert pool.info()[2] == 2000
    pool.refresh()
    told(("life", "refresh"))
    assert conn.storageVolLookupByKey("/life/copy").name() == "copy"
    assert conn.storagePoolLookupByTargetPath("/life/").name() == "life"
    pool.destroy()
    refused(libvirt.VIR_ERR_NO_STORAGE_VOL, "'/life/copy'", conn.storageVolLookupByKey, "/life/copy")
    pool.create()
    assert pool.listVolumes() == ["copy", "v"], "volumes outlive the pool's activity"
    pool.destroy()
    pool.delete()
    pool.undefine()
    told(
        ("life", libvirt.VIR_STORAGE_POOL_EVENT_STOPPED),
        ("life", libvirt.VIR_STORAGE_POOL_EVENT_STARTED),
        ("life", libvirt.VIR_STORAGE_POOL_EVENT_STOPPED),
        ("life", libvirt.VIR_STORAGE_POOL_EVENT_DELETED),
        ("life", libvirt.VIR_STORAGE_POOL_EVENT_UNDEFINED),
    )
    refused(libvirt.VIR_ERR_NO_STORAGE_POOL, "(life)", pool.info)


def transient(conn):
    pool = conn.storagePoolCreateXML(xml("brief", "/brief"))
    assert pool.isActive() and not pool.isPersistent()
    refused(libvirt.VIR_ERR_INVALID_ARG, "pool has no config file", pool.setAutostart, 1)
    uuid = f"<uuid>{pool.UUIDString()}</uuid>"
    refused(libvirt.VIR_ERR_OPERATION_FAILED, "Storage source conflict with pool: 'brief'",
            conn.storagePoolDefineXML, xml("other", "/brief"))
    refused(libvirt.VIR_ERR_OPERATION_INVALID, "pool is already active as 'brief'",
            conn.storagePoolCreateXML, xml("brief", "/brief", uuid))
    conn.storagePoolDefineXML(xml("brief", "/other", uuid))
    assert pool.isPersistent() and "/brief" in pool.XMLDesc()
    assert "/other" in pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE)
    pool.destroy()
    pool.undefine()
    TOLD.clear()


def kinds(conn):
    defined = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE
    for kind, source in [("logical", "<device path='/dev/sdx'/>"), ("mpath", ""), ("zfs", "<name>z</name>")]:
        text = xml(kind, f"/{kind}", f"<source>{source}</source>").replace("'dir'", f"'{kind}'")
        conn.storagePoolDefineXML(text)
    names = lambda flags: sorted(pool.name() for pool in conn.listAllStoragePools(flags))
    assert names(defined) == ["logical", "mpath", "zfs"]
    assert names(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ZFS) == ["zfs"]
    assert names(defined | libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_DIR) == []
    assert "testvg2" in conn.findStoragePoolSources("logical", None)
    for spec in [None, "<source/>"]:
        refused(libvirt.VIR_ERR_INVALID_ARG, "hostname must be specified", conn.findStoragePoolSources, "netfs", spec)
    refused(libvirt.VIR_ERR_NO_SUPPORT, "does not support source discovery", conn.findStoragePoolSources, "dir", None)


def loop():
    while True:
        libvirt.virEventRunDefaultImpl()


def main():
    libvirt.virEventRegisterDefaultImpl()
    libvirt.registerErrorHandler(lambda *_: None, None)
    threading.Thread(target=loop, daemon=True).start()
    conn = libvirt.open(sys.argv[-1])
    lifecycle = lambda _c, pool, event, _detail, _o: tell(pool.name(), event)
    conn.storagePoolEventRegisterAny(None, libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, lifecycle, None)
    refresh = lambda _c, pool, _o: tell(pool.name(), "refresh")
    conn.storagePoolEventRegisterAny(None, libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH, refresh, None)
    life(conn)
    transient(conn)
    kinds(conn)
    print("all good")


main()
