# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Prints what the old list calls show, and the error codes of lookups by each of the further words."""
import sys

import libvirt

libvirt.registerErrorHandler(lambda _context, _error: None, None)
connection = libvirt.open(sys.argv[1])
print(connection.numOfDefinedDomains(), connection.listDefinedDomains())
print(connection.numOfDomains(), connection.listDomainsID())
for name in sys.argv[2:]:
    try:
        print(connection.lookupByName(name).UUIDString())
    except libvirt.libvirtError as error:
        print(error.get_error_code(), error.get_error_domain(), str(error).splitlines()[0])
