#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Moves data in and out of volumes of the test driver, and, without `--briefly`, does what a client should not; prints
`all good`."""

import random
import sys

import libvirt

MIB = 1 << 20
SPARSE = libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM


def volume(pool, name, capacity):
    return pool.createXML(
        f"<volume><name>{name}</name><capacity>{capacity}</capacity><allocation>0</allocation></volume>"
    )


def refused(expected, call, *arguments):
    try:
        call(*arguments)
    except libvirt.libvirtError as error:
        assert expected in error.get_error_message(), error
        return
    raise AssertionError(f"nothing refused: {expected}")


def send(stream, data):
    while data:
        data = data[stream.send(data):]


def upload(conn, vol, data, offset=0, length=0):
    stream = conn.newStream()
    vol.upload(stream, offset, length)
    send(stream, data)
    stream.finish()


def receive(stream):
    parts = []
    while part := stream.recv(262120):
        parts.append(part)
    stream.finish()
    return b"".join(parts)


def download(conn, vol, offset=0, length=0):
    stream = conn.newStream()
    vol.download(stream, offset, length)
    return receive(stream)


def round_trip(conn, pool):
    vol = volume(pool, "round", 10 * MIB)
    data = random.randbytes(7 * MIB + 13)
    upload(conn, vol, data)
    assert download(conn, vol) == data + bytes(3 * MIB - 13)
    upload(conn, vol, b"abc", MIB, 3)
    assert download(conn, vol, MIB - 1, 5) == data[MIB - 1:MIB] + b"abc" + data[MIB + 3:MIB + 4]
    assert download(conn, vol, 20 * MIB) == b""
    assert vol.info()[1:] == [10 * MIB, vol.info()[2]] and vol.info()[2] >= 7 * MIB
    upload(conn, vol, b"tail", 10 * MIB)
    assert vol.info()[1] == 10 * MIB + 4, "known before the upload was confirmed"


def holes(conn, pool):
    vol = volume(pool, "holes", 300 * MIB)
    upload(conn, vol, b"x" * (2 * MIB))
    stream = conn.newStream()
    vol.upload(stream, 0, 0, SPARSE)
    send(stream, b"begin")
    stream.sendHole(200 * MIB)
    send(stream, b"middle")
    stream.sendHole(100 * MIB)
    stream.finish()
    assert download(conn, vol, 0, 10) == b"begin" + bytes(5), "a hole reads as zeroes"
    assert download(conn, vol, 200 * MIB + 5, 8) == b"middle" + bytes(2)
    assert vol.info()[2] < MIB, vol.info()
    stream = conn.newStream()
    vol.download(stream, 0, 0, SPARSE)
    found = []
    while True:
        part = stream.recvFlags(262120, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE)
        if part == -3:
            found.append(stream.recvHole())
        elif part:
            found.append(part.strip(b"\0"))
        else:
            break
    stream.finish()
    assert [part for part in found if isinstance(part, bytes) and part] == [b"begin", b"middle"], found
    assert sum(part for part in found if isinstance(part, int)) > 290 * MIB, found


def misuse(conn, pool):
    vol = volume(pool, "misused", 50 * MIB)
    stream = conn.newStream()
    vol.upload(stream, 0, 4)
    send(stream, b"more than four")
    refused("cannot write to stream: No space left on device", stream.finish)
    assert download(conn, vol, 0, 20) == bytes(20), "none of it was written"
    stream = conn.newStream()
    vol.upload(stream, 0, 50 * MIB)
    send(stream, random.randbytes(5 * MIB))
    stream.abort()
    stream = conn.newStream()
    vol.download(stream, 0, 0)
    stream.recv(1000)
    stream.abort()
    stream = conn.newStream()
    vol.download(stream, 0, 0)
    stream.finish()
    refused("unsupported flags (0x4)", vol.upload, conn.newStream(), 0, 0, 4)


def stalled(conn, pool, uri):
    """Many that do not read, and one volume that is gone meanwhile: the daemon answers everybody."""
    vol = volume(pool, "stalled", 50 * MIB)
    streams = []
    others = [libvirt.open(uri) for _ in range(4)]
    for other in others:
        theirs = other.storageVolLookupByPath(vol.path())
        for _ in range(16):
            streams.append(other.newStream())
            theirs.download(streams[-1], 0, 0)
    assert len(download(conn, vol)) == 50 * MIB
    vol.delete()
    refused("no storage vol with matching name 'stalled'", vol.info)
    assert len(receive(streams[0])) == 50 * MIB, "what was opened can be read"
    for stream in streams[1:]:
        stream.abort()
    for other in others:
        other.close()


def main():
    conn = libvirt.open(sys.argv[-1])
    libvirt.registerErrorHandler(lambda *_: None, None)
    pool = conn.storagePoolLookupByName("default-pool")
    round_trip(conn, pool)
    if "--briefly" not in sys.argv:
        holes(conn, pool)
        misuse(conn, pool)
        stalled(conn, pool, sys.argv[-1])
    before = pool.info()
    for vol in pool.listAllVolumes():
        vol.delete()
    assert before[2] > 0 and pool.info()[2] == 0, pool.info()
    print("all good")


main()
