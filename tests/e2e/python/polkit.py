# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A system bus with a polkit of our own on it, whose policy is the words after the bus' socket: what each action gets.

Prints `ready`, then a line for each question; a process that is not who it seems to be is refused."""
import subprocess
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

_uri, path, *policy = sys.argv[1:]
policy = dict(word.split("=") for word in policy)


class Authority(dbus.service.Object):
    @dbus.service.method(
        "org.freedesktop.PolicyKit1.Authority", in_signature="(sa{sv})sa{ss}us", out_signature="(bba{ss})",
        async_callbacks=("answer", "_fail"),
    )
    def CheckAuthorization(self, subject, action, _details, flags, _cancellation, answer, _fail):
        kind, about = subject
        with open(f"/proc/{about['pid']}/stat") as stat:
            started = int(stat.read().rsplit(")", 1)[1].split()[19])
        genuine = kind == "unix-process" and flags == 1 and about["start-time"] == started
        print(f"{action} {about['uid']} {genuine}", flush=True)
        word = policy.get(action) if genuine else None
        if word == "silence":
            return
        details = {"polkit.dismissed": "true"} if word == "dismissed" else {}
        answer((word == "yes", word == "challenge", dbus.Dictionary(details, signature="ss")))


bus = subprocess.Popen(
    ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={path}", "--print-address"],
    stdout=subprocess.PIPE,
)
bus.stdout.readline()
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
connection = dbus.bus.BusConnection(f"unix:path={path}")
name = dbus.service.BusName("org.freedesktop.PolicyKit1", connection)
authority = Authority(connection, "/org/freedesktop/PolicyKit1/Authority")
print("ready", flush=True)
try:
    GLib.MainLoop().run()
finally:
    bus.kill()
