#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Registers for domain events by callback id and prints one line per event, after `ready`.

A line on the input ends it: the callbacks are deregistered and the connection closed, which prints `closed`. When nobody
is there any more to say or read a line it ends without a word, whatever has become of the daemon.
"""

import signal
import sys
import threading

import libvirt

NAMES = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutdown",
}


def lifecycle(_conn, dom, event, detail, _opaque):
    print("lifecycle", dom.name(), NAMES.get(event, event), detail, flush=True)


def reboot(_conn, dom, _opaque):
    print("reboot", dom.name(), flush=True)


def agent(_conn, dom, state, reason, _opaque):
    print("agent", dom.name(), state, reason, flush=True)


def balloon(_conn, dom, actual, _opaque):
    print("balloon", dom.name(), actual, flush=True)


def device_removed(_conn, dom, alias, _opaque):
    print("device-removed", dom.name(), alias, flush=True)


def loop():
    while True:
        libvirt.virEventRunDefaultImpl()


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=loop, daemon=True).start()
    conn = libvirt.open(sys.argv[1])
    conn.setKeepAlive(5, 3)
    conn.registerCloseCallback(lambda _c, reason, _o: print("lost", reason, flush=True), None)
    ids = [
        conn.domainEventRegisterAny(None, number, callback, None)
        for number, callback in [
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle),
            (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, reboot),
            (libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, agent),
            (libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, balloon),
            (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, device_removed),
        ]
    ]
    print("ready", flush=True)
    if sys.stdin.readline():
        for number in ids:
            conn.domainEventDeregisterAny(number)
        conn.unregisterCloseCallback()
        print("closed", conn.close(), flush=True)


main()
