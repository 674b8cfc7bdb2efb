# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A system bus with a logind of our own on it, which puts nothing to sleep. The words after the bus' socket are what it
says to CanSuspend, CanHibernate and CanHybridSleep. Prints each request to sleep, `METHOD INTERACTIVE`, and answers it when
the test sends a line."""
import sys

import dbus.service

from bus import at_next_line, serve

_uri, path, suspend, hibernate, hybrid_sleep = sys.argv[1:]
NAME = "org.freedesktop.login1"


def question():
    return dbus.service.method(f"{NAME}.Manager", out_signature="s")


def order():
    return dbus.service.method(f"{NAME}.Manager", in_signature="b", async_callbacks=("answer", "_fail"))


def obey(what, interactive, answer):
    print(what, bool(interactive), flush=True)
    at_next_line(answer)


class Manager(dbus.service.Object):
    @question()
    def CanSuspend(self):
        return suspend

    @question()
    def CanHibernate(self):
        return hibernate

    @question()
    def CanHybridSleep(self):
        return hybrid_sleep

    @order()
    def Suspend(self, interactive, answer, _fail):
        obey("Suspend", interactive, answer)

    @order()
    def Hibernate(self, interactive, answer, _fail):
        obey("Hibernate", interactive, answer)

    @order()
    def HybridSleep(self, interactive, answer, _fail):
        obey("HybridSleep", interactive, answer)


serve(path, NAME, lambda bus: Manager(bus, "/org/freedesktop/login1"))
