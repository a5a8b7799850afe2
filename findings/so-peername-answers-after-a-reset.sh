#!/bin/bash
# getsockopt(SOL_SOCKET, SO_PEERNAME) is no other name for getpeername(2), although both give the peer's address.
#
# One would guess: after the peer has reset the connection both fail with ENOTCONN; and SO_PEERNAME, like SO_PEERCRED and
# getpeername(2), takes any buffer that is large enough and says how much of it was used.
# Really: getpeername(2) fails with ENOTCONN, SO_PEERNAME still gives the address, so that a log can say who it was. But
# its length must not be more than the address has: with a sockaddr_storage it fails with EINVAL, also while connected.
# Seen on Linux 6.18.44, IPv4 and IPv6. Nothing to install but python3, which only makes the system calls.
set -euo pipefail

python3 - <<'PY'
import errno, select, socket, struct, sys

SO_PEERNAME = 28


def answer(call):
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno]


def peer_of(bytes_, family):
    port = struct.unpack("!H", bytes_[2:4])[0]
    host = bytes_[4:8] if family == socket.AF_INET else bytes_[8:24]
    return socket.inet_ntop(family, host), port


ok = True
for family, address, size in ((socket.AF_INET, "127.0.0.1", 16), (socket.AF_INET6, "::1", 28)):
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError:
        print(f"no {address} here")
        continue
    client = socket.create_connection(listener.getsockname()[:2])
    server, _ = listener.accept()
    mine = client.getsockname()[:2]
    too_long = answer(lambda: server.getsockopt(socket.SOL_SOCKET, SO_PEERNAME, 128))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()  # a reset
    select.select([server], [], [], 10)
    old = answer(lambda: server.getpeername())
    new = answer(lambda: peer_of(server.getsockopt(socket.SOL_SOCKET, SO_PEERNAME, size), family))
    print(f"{address}: connected, 128 bytes of room: {too_long}; after a reset: getpeername {old}, SO_PEERNAME {new}")
    ok = ok and too_long == "EINVAL" and old == "ENOTCONN" and new == mine
sys.exit(0 if ok else "this has changed")
PY
uname -r
