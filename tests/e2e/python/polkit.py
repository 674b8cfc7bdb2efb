# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A system bus with a polkit of our own on it, whose policy is the words after the bus' socket: what each action gets.

A word is `ACTION=ANSWER`, or `ACTION@VALUE=ANSWER` for questions with this value among their details; `ACTION` may end
in `*`; the first word that fits counts. The answer `agent=FOLDER` is a challenge until there is the file FOLDER/agent,
and from then on that of the password in FOLDER/answer, as soon as that is there: right if it is `right`. Prints `ready`,
then a line for each question with the values of its details, and `typed PASSWORD` for each password that was judged; a
process that is not who it seems to be is refused. Root may do everything, as with polkit itself."""
import os
import sys
from fnmatch import fnmatch

import dbus
import dbus.service
from gi.repository import GLib

from bus import serve

_uri, path, *policy = sys.argv[1:]
policy = [word.split("=", 1) for word in policy]


def rule(action, values):
    for pattern, word in policy:
        wanted, _, value = pattern.partition("@")
        if fnmatch(action, wanted) and (not value or value in values):
            return word


def typed(folder, answer):
    """Whether to ask again whether somebody has typed a password."""
    try:
        with open(f"{folder}/answer") as file:
            word = file.read().strip()
    except FileNotFoundError:
        return True
    os.remove(f"{folder}/answer")
    print(f"typed {word}", flush=True)
    answer((word == "right", False, dbus.Dictionary({}, signature="ss")))
    return False


class Authority(dbus.service.Object):
    @dbus.service.method(
        "org.freedesktop.PolicyKit1.Authority", in_signature="(sa{sv})sa{ss}us", out_signature="(bba{ss})",
        async_callbacks=("answer", "_fail"),
    )
    def CheckAuthorization(self, subject, action, details, flags, _cancellation, answer, _fail):
        kind, about = subject
        with open(f"/proc/{about['pid']}/stat") as stat:
            started = int(stat.read().rsplit(")", 1)[1].split()[19])
        asks = 0 if action.startswith("org.libvirt.api.") else 1
        genuine = kind == "unix-process" and flags == asks and about["start-time"] == started
        values = [str(value) for _, value in sorted(details.items())]
        print(f"{action} {about['uid']} {genuine}", *values, flush=True)
        word = rule(action, values) if genuine else None
        if about["uid"] == 0:
            word = "yes"
        if word == "silence":
            return
        kind, _, folder = (word or "").partition("=")
        if kind == "agent" and os.path.exists(f"{folder}/agent"):
            GLib.timeout_add(20, typed, folder, answer)
            return
        details = {"polkit.dismissed": "true"} if word == "dismissed" else {}
        answer((word == "yes", kind in ("challenge", "agent"), dbus.Dictionary(details, signature="ss")))


serve(path, "org.freedesktop.PolicyKit1", lambda bus: Authority(bus, "/org/freedesktop/PolicyKit1/Authority"))
