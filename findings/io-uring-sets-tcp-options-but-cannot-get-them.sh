#!/bin/sh
# io_uring sets a socket option at the TCP level and refuses to read the same option back.
#
# Software:  Linux 6.7 or newer (seen on 6.18); nothing is installed.
# Expected:  SOCKET_URING_OP_SETSOCKOPT and SOCKET_URING_OP_GETSOCKOPT are setsockopt(2) and getsockopt(2): what one sets the
#            other gets. That matters for a direct descriptor, which has no number to call getsockopt(2) with.
# Behaviour: the set works at every level; the get works at SOL_SOCKET only and fails with EOPNOTSUPP at all others, for a direct
#            descriptor and an ordinary one alike. So TCP_INFO is out of reach for a socket that lives in io_uring alone, and a probe
#            "does this kernel have SETSOCKOPT" must not be answered by trying a get at the TCP level.
# Output seen (each with an ordinary and a direct descriptor):
#   set SOL_SOCKET SO_KEEPALIVE    0
#   get SOL_SOCKET SO_KEEPALIVE    4 bytes, value 1
#   set IPPROTO_TCP TCP_NODELAY    0
#   get IPPROTO_TCP TCP_NODELAY    Operation not supported (getsockopt(2) on the same socket: 1)
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
timeout 60 python3 - <<'PY' || exit $?
import ctypes, errno, mmap, os, platform, socket, struct, sys

# The numbers are the same on all architectures but alpha.
SETUP, ENTER, REGISTER = 425, 426, 427
OFFSET_SQES, REGISTER_FILES, ENTER_GETEVENTS = 0x10000000, 2, 1
URING_CMD, FIXED_FILE, GET, SET = 46, 1, 2, 3

if tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2]) < (6, 7):
    print("needs Linux 6.7")
    sys.exit(2)
libc = ctypes.CDLL(None, use_errno=True)
parameters = ctypes.create_string_buffer(120)
ring = libc.syscall(SETUP, 4, parameters)
if ring < 0:
    print("io_uring_setup:", os.strerror(ctypes.get_errno()))
    sys.exit(2)
words = struct.unpack("30I", parameters)
sq_entries, cq_entries = words[0], words[1]
sq_tail, sq_mask, sq_array = words[11], words[12], words[16]
cq_head, cq_mask, cq_entry = words[20], words[22], words[25]
# Both rings share one mapping (IORING_FEAT_SINGLE_MMAP, since 5.4).
rings = mmap.mmap(ring, max(sq_array + 4 * sq_entries, cq_entry + 16 * cq_entries))
sqes = mmap.mmap(ring, 64 * sq_entries, offset=OFFSET_SQES)


def word(at):
    return struct.unpack_from("I", rings, at)[0]


def command(operation, descriptor, direct, level, option, value):
    """Result of one socket command on value, a buffer of 4 bytes."""
    tail = word(sq_tail)
    index = tail & word(sq_mask)
    entry = struct.pack("=BBHiIIII", URING_CMD, FIXED_FILE if direct else 0, 0, descriptor, operation, 0, level, option)
    entry = entry.ljust(44, b"\0") + struct.pack("=IQ", len(value), ctypes.addressof(value))
    sqes[64 * index:64 * (index + 1)] = entry.ljust(64, b"\0")
    struct.pack_into("I", rings, sq_array + 4 * index, index)
    struct.pack_into("I", rings, sq_tail, tail + 1)
    assert libc.syscall(ENTER, ring, 1, 1, ENTER_GETEVENTS, None, 0) == 1, os.strerror(ctypes.get_errno())
    head = word(cq_head)
    result = struct.unpack_from("Qi", rings, cq_entry + 16 * (head & word(cq_mask)))[1]
    struct.pack_into("I", rings, cq_head, head + 1)
    return result


holds = True
for direct in (False, True):
    tcp = socket.socket()
    descriptor = tcp.fileno()
    if direct:
        files = ctypes.c_int(descriptor)
        assert libc.syscall(REGISTER, ring, REGISTER_FILES, ctypes.byref(files), 1) == 0, os.strerror(ctypes.get_errno())
        descriptor = 0
    print("direct descriptor:" if direct else "ordinary descriptor:")
    for level, option, name in ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, "SOL_SOCKET SO_KEEPALIVE"),
                                (socket.IPPROTO_TCP, socket.TCP_NODELAY, "IPPROTO_TCP TCP_NODELAY")):
        done = command(SET, descriptor, direct, level, option, ctypes.create_string_buffer(struct.pack("i", 1), 4))
        value = ctypes.create_string_buffer(4)
        got = command(GET, descriptor, direct, level, option, value)
        plain = tcp.getsockopt(level, option)
        print(f"  set {name}    {os.strerror(-done) if done < 0 else done}")
        print(f"  get {name}    " + (f"{got} bytes, value {struct.unpack('i', value)[0]}" if got >= 0 else
                                      f"{os.strerror(-got)} (getsockopt(2) on the same socket: {plain})"))
        expected = 4 if level == socket.SOL_SOCKET else -errno.EOPNOTSUPP
        holds = holds and done == 0 and plain == 1 and got == expected
if not holds:
    sys.exit("the behaviour has changed")
PY
echo "holds: io_uring of Linux $(uname -r | cut -d- -f1) sets TCP options and does not get them"
