#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Networks, interfaces and devices of a test driver: what each call answers, and which events it brings.

The second argument is the URI. Given `ours`, it also asks for what libvirt's own test driver does not answer. Prints `all answered` at the end.
"""

import sys

import libvirt

NETWORK = """<network><name>own</name><uuid>7e57ab1e-0000-4000-8000-0000000000a1</uuid>
<bridge name='virbr7'/><ip address='192.168.150.1' netmask='255.255.255.0'>
<dhcp><range start='192.168.150.2' end='192.168.150.99'/></dhcp></ip></network>"""
PORT = """<networkport><uuid>7e57ab1e-0000-4000-8000-0000000000b1</uuid><owner><name>guest</name>
<uuid>7e57ab1e-0000-4000-8000-0000000000c1</uuid></owner><mac address='52:54:00:00:00:01'/>
<bandwidth><inbound average='100'/></bandwidth></networkport>"""
VPORT = """<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>
<wwnn>2000000034560001</wwnn><wwpn>1000000034560001</wwpn></capability></capability></device>"""

heard = []


def listen(conn):
    network = lambda _c, net, event, _d, _o: heard.append((net.name(), event))
    device = lambda _c, dev, event, _d, _o: heard.append((dev.name(), event))
    lifecycle = libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE
    return (
        conn.networkEventRegisterAny(None, lifecycle, network, None),
        conn.nodeDeviceEventRegisterAny(None, libvirt.VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE, device, None),
    )


def told(*events):
    """Exactly these events have come, in this order."""
    for _ in range(1000):
        if len(heard) >= len(events):
            break
        libvirt.virEventRunDefaultImpl()
    assert heard == list(events), (heard, events)
    heard.clear()


def refused(code, call, *arguments):
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        assert error.get_error_code() == code, (error.get_error_code(), str(error))
        return
    raise AssertionError("not refused")


def networks(conn):
    defined, undefined, started, stopped = range(4)
    net = conn.networkDefineXML(NETWORK)
    told(("own", defined))
    refused(libvirt.VIR_ERR_OPERATION_FAILED, conn.networkDefineXML, NETWORK.replace("<name>own", "<name>other"))
    net.create()
    told(("own", started))
    refused(libvirt.VIR_ERR_OPERATION_INVALID, net.create)
    add, host = libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
    both = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE | libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG
    net.update(add, host, -1, "<host mac='52:54:00:00:00:01' ip='192.168.150.7'/>", both)
    assert "192.168.150.7" in net.XMLDesc()
    net.setAutostart(1)
    names = lambda flags: [net.name() for net in conn.listAllNetworks(flags)]
    assert names(libvirt.VIR_CONNECT_LIST_NETWORKS_AUTOSTART) == ["own"]
    assert sorted(names(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)) == ["default", "own"]
    assert sorted(conn.listNetworks()) == ["default", "own"] and conn.numOfDefinedNetworks() == 0
    net.destroy()
    told(("own", stopped))
    net.undefine()
    told(("own", undefined))
    refused(libvirt.VIR_ERR_NO_NETWORK, net.XMLDesc)
    net = conn.networkCreateXML(NETWORK)
    told(("own", started))
    assert net.isPersistent() == 0
    if "ours" in sys.argv:
        refused(libvirt.VIR_ERR_OPERATION_INVALID, net.setAutostart, 1)
    net.destroy()
    told(("own", stopped))
    refused(libvirt.VIR_ERR_NO_NETWORK, conn.networkLookupByName, "own")


def ports(conn):
    net = conn.networkLookupByName("default")
    port = net.portCreateXML(PORT)
    refused(libvirt.VIR_ERR_NETWORK_PORT_EXIST, net.portCreateXML, PORT)
    port.setParameters({"inbound.average": 200, "outbound.peak": 0})
    assert "average='200'" in port.XMLDesc() and "outbound" not in port.XMLDesc()
    assert [port.UUIDString() for port in net.listAllPorts()] == [port.UUIDString()]
    port.delete()
    refused(libvirt.VIR_ERR_NO_NETWORK_PORT, port.XMLDesc)
    assert net.DHCPLeases() == []


def interfaces(conn):
    eth = conn.interfaceLookupByMACString("AA:BB:CC:DD:EE:FF")
    assert eth.name() == "eth1" and eth.isActive() == 1
    conn.changeBegin()
    refused(libvirt.VIR_ERR_OPERATION_INVALID, conn.changeBegin)
    conn.interfaceDefineXML("<interface type='ethernet' name='eth7'/>", 0)
    assert conn.listDefinedInterfaces() == ["eth7"]
    conn.changeRollback()
    refused(libvirt.VIR_ERR_NO_INTERFACE, conn.interfaceLookupByName, "eth7")
    refused(libvirt.VIR_ERR_OPERATION_INVALID, conn.changeCommit)


def devices(conn):
    created, deleted = range(2)
    device = conn.nodeDeviceCreateXML(VPORT, 0)
    told(("scsi_host12", created))
    assert device.parent() == "scsi_host1"
    assert "scsi_host1" in conn.listDevices("scsi_host", 0) and conn.listDevices("pci", 0) == []
    device.destroy()
    told(("scsi_host12", deleted))
    refused(libvirt.VIR_ERR_NO_NODE_DEVICE, conn.nodeDeviceLookupByName, "scsi_host12")


def main():
    libvirt.virEventRegisterDefaultImpl()
    libvirt.registerErrorHandler(lambda *_: None, None)
    # Wakes the loop when no event comes.
    libvirt.virEventAddTimeout(50, lambda *_: None, None)
    conn = libvirt.open(sys.argv[2])
    network, device = listen(conn)
    networks(conn)
    interfaces(conn)
    devices(conn)
    if "ours" in sys.argv:
        ports(conn)
    conn.networkEventDeregisterAny(network)
    conn.nodeDeviceEventDeregisterAny(device)
    conn.networkCreateXML(NETWORK).destroy()
    told()
    print("all answered")


main()
