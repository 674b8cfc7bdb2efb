#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Sends a byte into the console of a guest, and when that is `ready` three million, of which the guest says the MD5; prints
`all good` if that is right."""

import hashlib
import random
import sys

import libvirt

_, _, uri, guest = sys.argv
data = random.randbytes(3_000_000)
conn = libvirt.open(uri)
stream = conn.newStream()
conn.lookupByName(guest).openConsole(None, stream)


def send(left):
    while left:
        left = left[stream.send(left):]


def expect(text):
    seen = b""
    while text not in seen:
        part = stream.recv(4096)
        assert part, seen
        seen += part


send(b"!")
expect(b"ready")
send(data)
expect(hashlib.md5(data).hexdigest().encode())
stream.finish()
print("all good")
