#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Registers for the lifecycle of one domain only, starts it and another, and prints what arrives for whom."""

import sys
import threading
import time

import libvirt


def main():
    uri, watched, other = sys.argv[1:]
    libvirt.virEventRegisterDefaultImpl()

    def loop():
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=loop, daemon=True).start()
    conn = libvirt.open(uri)
    domain = conn.lookupByName(watched)
    seen = []
    arrived = threading.Condition()

    def lifecycle(_conn, dom, event, _detail, _opaque):
        with arrived:
            seen.append((dom.name(), event))
            arrived.notify_all()

    number = conn.domainEventRegisterAny(domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle, None)
    conn.lookupByName(other).create()
    domain.create()
    wanted = (watched, libvirt.VIR_DOMAIN_EVENT_STARTED)
    with arrived:
        if not arrived.wait_for(lambda: wanted in seen, timeout=50):
            sys.exit(f"no start of {watched} among {seen}")
    conn.domainEventDeregisterAny(number)
    count = len(seen)
    domain.destroy()
    # After the deregistration has returned nothing may come; give it time to come wrongly.
    time.sleep(0.5)
    if len(seen) != count:
        sys.exit(f"events after deregistration: {seen}")
    strangers = [name for name, _ in seen if name != watched]
    if strangers:
        sys.exit(f"events of other domains: {strangers}")
    print("only its own")
    conn.close()


main()
