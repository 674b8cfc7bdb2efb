#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Every kind of event that a test driver can be brought to tell, by every way to ask for it.

Four connections ask for each kind: for all objects, for one, for another one, and for all and one at the same time. Each hears
what it asked for, in order, once for each registration, and nothing after a deregistration has returned. All other kinds are
registered for and deregistered. The second argument is the URI. Given `ours`, kinds that libvirt's own test driver does not
tell are among them. Prints `each heard its own` at the end.
"""

import sys

import libvirt

DOMAIN = """<domain type='test'><name>{}</name><memory>8192</memory><os><type>hvm</type></os>
<devices><disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk></devices></domain>"""
NETWORK = "<network><name>{0}</name><bridge name='br{0}'/></network>"
POOL = "<pool type='dir'><name>{0}</name><target><path>/{0}</path></target></pool>"
VPORT = """<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>
<wwnn>2000000034560001</wwnn><wwpn>1000000034560001</wwpn></capability></capability></device>"""


def restart(thing):
    """Of a domain, a network or a pool: two events."""
    thing.destroy()
    thing.create()


def title(domain):
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "a", None, None, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def tune(domain):
    domain.setBlockIoTune("vda", {"read_iops_sec": 5, "read_iops_sec_max": 6}, libvirt.VIR_DOMAIN_AFFECT_LIVE)


FAMILIES = {
    # How to register and deregister, how many kinds there are, how to define an object, and how to find it.
    "domain": ("domainEvent", libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE + 1,
               lambda conn, name: conn.defineXML(DOMAIN.format(name)), lambda conn: conn.lookupByName),
    "network": ("networkEvent", 1,
                lambda conn, name: conn.networkDefineXML(NETWORK.format(name)), lambda conn: conn.networkLookupByName),
    "pool": ("storagePoolEvent", 2,
             lambda conn, name: conn.storagePoolDefineXML(POOL.format(name)), lambda conn: conn.storagePoolLookupByName),
    "device": ("nodeDeviceEvent", 2, None, lambda conn: conn.nodeDeviceLookupByName),
}

# The kind, what brings it, and what its callback is told besides the object, twice over.
BOTH = [
    ("domain", libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lambda d: (d.suspend(), d.resume()), [3, 4]),
    ("domain", libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, title, [libvirt.VIR_DOMAIN_METADATA_TITLE]),
    ("network", libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, restart, None),
    ("pool", libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, restart, None),
    ("pool", libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH, lambda p: p.refresh(), [None]),
]
OURS = [("domain", libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE, tune, None)]


def drain(*conns):
    """What was sent before the answers to these calls has arrived, and is handed on."""
    for conn in conns:
        conn.getHostname()
    for _ in range(3):
        libvirt.virEventRunDefaultImpl()


class Ear:
    """A registration, and what it has heard."""

    def __init__(self, conn, family, kind, only=None):
        self.conn, self.calls, self.heard = conn, FAMILIES[family][0], []
        register = getattr(conn, self.calls + "RegisterAny")
        thing = only and FAMILIES[family][3](conn)(only)
        self.number = register(thing, kind, lambda _conn, thing, *told: self.heard.append((thing.name(), told[0])), None)

    def leave(self):
        getattr(self.conn, self.calls + "DeregisterAny")(self.number)


def kind_of_event(conns, family, kind, bring, told):
    one, other = (FAMILIES[family][2](conns[0], name) for name in ("one", "other"))
    one.create()
    other.create()
    asked = [(conns[0], None), (conns[1], "one"), (conns[2], "other"), (conns[3], None), (conns[3], "one")]
    ears = [Ear(conn, family, kind, only) for conn, only in asked]
    bring(one)
    bring(one)
    bring(other)
    drain(*conns)
    names = [name for name, _ in ears[0].heard]
    of_one = names.count("one") // 2
    assert of_one and names == ["one"] * 2 * of_one + ["other"] * of_one, (family, kind, names)
    if told is not None:
        found = [what for _, what in ears[0].heard if what is None or isinstance(what, int)]
        assert told == [None] or found == told * 3, (family, kind, found)
    everything = list(ears[0].heard)
    only = {name: [event for event in everything if event[0] == name] for name in ("one", "other")}
    wanted = [everything, only["one"], only["other"], everything, only["one"]]
    assert [ear.heard for ear in ears] == wanted, (family, kind)
    # One registration of a connection ends, the other stays.
    ears[3].leave()
    bring(one)
    drain(*conns)
    assert len(ears[3].heard) == len(everything) and len(ears[4].heard) == 3 * of_one, (family, kind)
    for ear in ears[:3] + ears[4:]:
        ear.leave()
        ear.heard.clear()
    bring(one)
    drain(*conns)
    assert not any(ear.heard for ear in ears[:3] + ears[4:]), (family, kind, "after the deregistration")
    for ear in ears:
        refused(ear.leave)
    for thing in one, other:
        thing.destroy()
        thing.undefine()


def refused(call, *arguments):
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        assert error.get_error_code() == libvirt.VIR_ERR_INVALID_ARG, str(error)
        return
    raise AssertionError("not refused")


def node_devices(conns):
    """A device is there only while it is told of: those who ask for one ask for one that is there already."""
    ears = [Ear(conns[0], "device", 0), Ear(conns[1], "device", 0, "scsi_host1")]
    update = Ear(conns[2], "device", libvirt.VIR_NODE_DEVICE_EVENT_ID_UPDATE)
    conns[3].nodeDeviceCreateXML(VPORT, 0).destroy()
    drain(*conns)
    assert [event for _, event in ears[0].heard] == [0, 1] and not ears[1].heard, [ear.heard for ear in ears]
    for ear in ears + [update]:
        ear.leave()
    conns[3].nodeDeviceCreateXML(VPORT, 0).destroy()
    drain(*conns)
    assert len(ears[0].heard) == 2 and not update.heard


def the_old_call(conns):
    """The call without kinds and numbers, in one connection, beside the modern one in another."""
    heard, last = [], conns[1].lookupByName("test")
    hear = lambda _conn, dom, event, *_: heard.append((dom.name(), event))
    conns[0].domainEventRegister(hear, None)
    modern = Ear(conns[1], "domain", 0)
    last.suspend()
    last.resume()
    drain(*conns)
    assert heard == modern.heard == [("test", 3), ("test", 4)], (heard, modern.heard)
    conns[0].domainEventDeregister(hear)
    last.suspend()
    last.resume()
    drain(*conns)
    assert len(heard) == 2 and len(modern.heard) == 4, (heard, modern.heard)
    modern.leave()


def every_kind(conn):
    """All kinds can be asked for, those too that nothing here brings about."""
    for family, name in ("domain", "test"), ("network", "default"), ("pool", "default-pool"), ("device", "scsi_host1"):
        for kind in range(FAMILIES[family][1]):
            for ear in [Ear(conn, family, kind), Ear(conn, family, kind, name)]:
                ear.leave()


def main():
    libvirt.virEventRegisterDefaultImpl()
    libvirt.registerErrorHandler(lambda *_: None, None)
    # Wakes the loop when no event comes.
    libvirt.virEventAddTimeout(50, lambda *_: None, None)
    conns = [libvirt.open(sys.argv[2]) for _ in range(4)]
    for row in BOTH + (OURS if "ours" in sys.argv else []):
        kind_of_event(conns, *row)
    node_devices(conns)
    the_old_call(conns)
    every_kind(conns[0])
    for conn in conns:
        assert conn.close() == 0
    print("each heard its own")


main()
