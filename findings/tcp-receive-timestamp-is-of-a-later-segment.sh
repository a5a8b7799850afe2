#!/bin/sh
# The receive timestamp of a byte on a TCP socket can be that of a later segment, which the read did not touch.
#
# Software:  Linux (seen on 6.18); nothing is installed.
# Expected:  SO_TIMESTAMPNS works on TCP as on UDP: recvmsg() gives, as socket(7) puts it, "the reception time of the last packet
#            passed to the user in this call". Reading one byte at a time one gets each segment's own arrival.
# Behaviour: segments that wait in the receive queue are merged, and the merged one keeps only the newest arrival. A read of the
#            first byte then returns a time later than its own arrival: the third segment had not even been sent when the
#            first arrived. A server that measures how long a request waited in the socket measures too little, the more so the
#            longer it lets the queue grow. Only a reader that empties the queue between two arrivals gets true times.
# Output seen:
#   read after each segment:   each of 3 reads has the time of its own segment (20 of 20 rounds)
#   read after all segments:   the read of byte 1 alone has the time of segment 3 (20 of 20 rounds)
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
timeout 60 python3 - <<'PY' || exit $?
import array, fcntl, select, socket, struct, sys, termios, time

SO_TIMESTAMPNS = 35
SEGMENTS_IN = 152  # tcpi_data_segs_in in struct tcp_info
ROUNDS = 20


def queued(connection, request):
    count = array.array("i", [0])
    fcntl.ioctl(connection, request, count)
    return count[0]


def arrived(count):
    """Waits until count bytes are in the server's receive queue, unread, and the client has their ACK.

    Over loopback a segment is shared with its sender until then, and the kernel merges nothing into a shared one.
    """
    give_up = time.monotonic() + 5
    while queued(server, termios.FIONREAD) < count or queued(client, termios.TIOCOUTQ) > 0:
        assert time.monotonic() < give_up, "the bytes do not arrive"
        select.select([], [], [], 0.001)


def read_one(connection):
    """The next byte and its time in ns, or 0 where the kernel gave none."""
    data, control, _, _ = connection.recvmsg(1, 64)
    for level, kind, value in control:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, ns = struct.unpack("qq", value)
            return data, seconds * 10**9 + ns
    return data, 0


def segments(connection):
    return struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232), SEGMENTS_IN)[0]


with socket.create_server(("127.0.0.1", 0)) as listener:
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
server.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

# The kernel begins to stamp packets a moment after the first socket asks for it.
for _ in range(100):
    client.sendall(b"0")
    arrived(1)
    if read_one(server)[1]:
        break
else:
    sys.exit("no timestamps on TCP at all")

own = late = 0
for _ in range(ROUNDS):
    true = True
    for byte in (b"1", b"2", b"3"):
        sent = time.time_ns()
        client.sendall(byte)
        arrived(1)
        there = time.time_ns()
        data, stamp = read_one(server)
        true = true and data == byte and sent <= stamp <= there
    own += true

    before = segments(server)
    client.sendall(b"1")
    arrived(1)
    client.sendall(b"2")
    arrived(2)
    third_sent = time.time_ns()
    client.sendall(b"3")
    arrived(3)
    assert segments(server) - before == 3, "three segments"
    data, stamp = read_one(server)
    late += data == b"1" and stamp >= third_sent
    assert read_one(server)[0] + read_one(server)[0] == b"23"

print(f"read after each segment:   each of 3 reads has the time of its own segment ({own} of {ROUNDS} rounds)")
print(f"read after all segments:   the read of byte 1 alone has the time of segment 3 ({late} of {ROUNDS} rounds)")
if own != ROUNDS or late != ROUNDS:
    sys.exit("the behaviour has changed")
PY
echo "holds: Linux $(uname -r | cut -d- -f1) gives a TCP byte the time of a later segment"
