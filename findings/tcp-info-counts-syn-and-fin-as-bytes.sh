#!/bin/sh
# TCP_INFO's byte counters count a SYN and a FIN as bytes: tcpi_bytes_acked of who connects, tcpi_bytes_received of who is closed to.
#
# Software:  Linux 4.2 and later (seen with 6.18), its own socket interface, from Debian's python3.
# Expected:  tcpi_bytes_received is what the other side has written, and tcpi_bytes_acked is what the other side has confirmed of
#            what this side has written: both are named bytes, and RFC 4898, whose counters they are, speaks of application octets.
# Behaviour: both count sequence numbers. With 10 bytes written each way the side that connected has 11 acknowledged (its SYN), the
#            side that accepted has 10; once the one side has closed, the other has 11 received (its FIN), and the number stays so
#            until the socket is closed. So whoever bills by these counters is one too high for each direction of half of the
#            connections, and has to look at the state (CLOSE_WAIT and behind it) to know which.
# Output seen:
#   written each way: 10
#   connecting side: acked 11, received 10
#   accepting side: acked 10, received 10
#   after the connecting side has closed, accepting side: acked 10, received 11, state 8
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
command -v python3 >/dev/null || { echo "no python3 here"; exit 2; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT
python3 - >"$out" <<'PROGRAM' || { cat "$out"; exit 2; }
import socket, struct, time

TCP_INFO, SIZE, AT_ACKED, AT_RECEIVED = 11, 256, 120, 128  # <linux/tcp.h>


def counters(sock):
    info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, SIZE)
    assert len(info) >= AT_RECEIVED + 8, "this kernel does not have the counters"
    return struct.unpack_from("QQ", info, AT_ACKED) + (info[0],)


listener = socket.create_server(("127.0.0.1", 0))
connecting = socket.create_connection(listener.getsockname())
accepting, _ = listener.accept()
for one, other in ((connecting, accepting), (accepting, connecting)):
    one.sendall(b"0123456789")
    assert other.recv(100) == b"0123456789"
time.sleep(0.2)  # for delayed acknowledgements
print("written each way: 10")
print("connecting side: acked %d, received %d" % counters(connecting)[:2])
print("accepting side: acked %d, received %d" % counters(accepting)[:2])
connecting.shutdown(socket.SHUT_WR)
assert accepting.recv(100) == b""
print("after the connecting side has closed, accepting side: acked %d, received %d, state %d" % counters(accepting))
PROGRAM
sed 's/^/  /' "$out"
cat >"$out.expected" <<'EXPECTED'
written each way: 10
connecting side: acked 11, received 10
accepting side: acked 10, received 10
after the connecting side has closed, accepting side: acked 10, received 11, state 8
EXPECTED
if cmp -s "$out" "$out.expected"; then
	rm -f "$out.expected"
	echo "holds: $(uname -sr)"
	exit 0
fi
rm -f "$out.expected"
echo "changed"
exit 1
