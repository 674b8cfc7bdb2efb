#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Starts a daemon as systemd does on a socket's first connection: the socket listens before the daemon is there."""

import os
import select
import socket
import sys


def main():
    _uri, path, program, *unit = sys.argv[1:]
    name = unit[0] if unit else "virtqemud.socket"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    print("listening", flush=True)
    select.select([listener], [], [])
    os.dup2(listener.fileno(), 3)
    # dup2 leaves the flag alone if the number was right already.
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=name)
    os.execv(program, [program])


main()
