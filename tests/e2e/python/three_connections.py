# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Opens three connections where two are allowed, then one in the place of another; prints what it gets."""
import sys
import time

import libvirt

libvirt.registerErrorHandler(lambda _context, _error: None, None)
one = libvirt.open(sys.argv[1])
two = libvirt.open(sys.argv[1])
try:
    libvirt.open(sys.argv[1])
    print("three")
except libvirt.libvirtError as error:
    print(error.get_error_code(), error)
one.close()
deadline = time.monotonic() + 50
while time.monotonic() < deadline:
    try:
        libvirt.open(sys.argv[1])
        print("again")
        break
    except libvirt.libvirtError:
        time.sleep(0.05)
