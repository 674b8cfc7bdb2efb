# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Passes TCP connections on, and writes all that goes either way into a file.

Arguments: the URI (not used), the port to listen on, the port to pass on to, the file.
"""

import socket
import sys
import threading


def carry(source, sink, record):
    while chunk := source.recv(65536):
        record.write(chunk)
        sink.sendall(chunk)
    sink.shutdown(socket.SHUT_WR)


def main():
    listen, onward, path = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    listener = socket.create_server(("127.0.0.1", listen))
    print("ready", flush=True)
    # Unbuffered: whoever has the answer finds it in the file.
    with open(path, "wb", buffering=0) as record:
        while True:
            client, _ = listener.accept()
            daemon = socket.create_connection(("127.0.0.1", onward))
            for ends in (client, daemon), (daemon, client):
                threading.Thread(target=carry, args=(*ends, record), daemon=True).start()


main()
