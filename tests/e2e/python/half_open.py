# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Connects many times to a TCP port, says half a word or nothing, and waits until its input ends."""
import socket
import sys

port, count = sys.argv[2:]
held = []
for index in range(int(count)):
    held.append(socket.create_connection(("127.0.0.1", int(port))))
    if index % 2:
        held[-1].sendall(b"\x16\x03\x01\x02\x00\x01")
print("ready", flush=True)
sys.stdin.read()
