# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A system bus with a machined of our own on it, which makes no scopes. Prints each call with the name of its machine;
answers those to create one when the test sends a line."""
import sys

import dbus.service

from bus import at_next_line, serve

_uri, path = sys.argv[1:]
NAME = "org.freedesktop.machine1"


class Manager(dbus.service.Object):
    @dbus.service.method(
        f"{NAME}.Manager", in_signature="sayssusaia(sv)", out_signature="o", async_callbacks=("answer", "_fail"),
    )
    def CreateMachineWithNetwork(self, name, _id, _service, _kind, _leader, _root, _links, _more, answer, _fail):
        print(f"CreateMachine {name}", flush=True)
        at_next_line(answer, "/org/freedesktop/machine1/machine/one")

    @dbus.service.method(f"{NAME}.Manager", in_signature="s")
    def UnregisterMachine(self, name):
        print(f"UnregisterMachine {name}", flush=True)


serve(path, NAME, lambda bus: Manager(bus, "/org/freedesktop/machine1"))
