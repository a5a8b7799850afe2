"""A program started beneath a filter of system calls, as a container's profile or an older kernel would be:
filtered.py CALL:ERRNO[:ARGUMENT:VALUE]... -- PROGRAM [ARGUMENT...]. Numbers of calls that are the same on every machine."""

import ctypes
import errno
import os
import struct
import sys

CALLS = {"pidfd_open": 434, "pidfd_getfd": 438}
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
ALLOW, FAIL = 0x7FFF0000, 0x00050000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ARGUMENTS = 16  # where they begin in what a filter sees; the lower half of each comes first


def statement(code, value, when=0, otherwise=0):
    return struct.pack("HBBI", code, when, otherwise, value)


def refusal(call, error, argument=None, value=None):
    """Of that call: with any arguments, or where this one has that value."""
    fails = statement(RETURN, FAIL | getattr(errno, error))
    if argument is not None:
        fails = statement(LOAD, ARGUMENTS + 8 * int(argument)) + statement(EQUAL, int(value), 0, 1) + fails
    fails += statement(RETURN, ALLOW)
    return statement(LOAD, 0) + statement(EQUAL, CALLS[call], 0, len(fails) // 8) + fails


def main():
    at = sys.argv.index("--")
    code = b"".join(refusal(*rule.split(":")) for rule in sys.argv[1:at]) + statement(RETURN, ALLOW)
    libc = ctypes.CDLL(None, use_errno=True)
    program = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HP", len(code) // 8, ctypes.addressof(program))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    os.execv(sys.argv[at + 1], sys.argv[at + 1:])


if __name__ == "__main__":
    main()
