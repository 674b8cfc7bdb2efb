# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A system bus of our own, with one service on it that stands in for a real one."""
import subprocess
import sys

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib


def serve(path, name, service):
    """Starts a bus at this socket with a `service`, made of a connection and its path on the bus, of this name; prints
    `ready` once it is there, and serves until it is killed."""
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={path}", "--print-address"],
        stdout=subprocess.PIPE,
    )
    bus.stdout.readline()
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    connection = dbus.bus.BusConnection(f"unix:path={path}")
    _name = dbus.service.BusName(name, connection)
    _service = service(connection)
    print("ready", flush=True)
    try:
        GLib.MainLoop().run()
    finally:
        bus.kill()


def at_next_line(answer, *values):
    """Answers when the test sends a line."""
    def read(_input, _condition):
        sys.stdin.readline()
        answer(*values)
        return False
    GLib.io_add_watch(sys.stdin, GLib.IO_IN, read)
