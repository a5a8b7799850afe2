#!/bin/sh
# A custom time slice outlives sched_setscheduler(), setpriority(), fork() and execve(), but not a sched_setattr() for a nice value.
#
# Software:  Linux 6.12 or newer (seen on 6.18); nothing is installed.
# Expected:  sched_setscheduler(SCHED_OTHER) makes a task ordinary again, and a program that knows nothing of slices does not change
#            them, the less so with SCHED_FLAG_KEEP_POLICY. A slice out of range is refused, as SCHED_DEADLINE refuses its own.
# Behaviour: since 6.12 sched_runtime of sched_setattr() is a slice for SCHED_OTHER and SCHED_BATCH. sched_setscheduler() hands the
#            old one on, whatever policy it sets, so the slice cannot be got rid of with it, and every child and program
#            started later has it too. But sched_setattr() reads sched_runtime 0 as "the default slice": a program of before 6.12
#            that sets only a nice value with it, having cleared the rest, undoes the slice without a word.
#            Values out of range are set to the nearest bound and reported as success.
# Output seen (the first figure is the machine's default):
#   default                                        1400000 ns
#   sched_setattr, sched_runtime 5000000           5000000 ns
#   sched_setscheduler BATCH, IDLE, OTHER          5000000 ns
#   setpriority, nice + 1                          5000000 ns
#   fork and execve                                5000000 ns
#   sched_setattr, nice + 2                        1400000 ns
#   sched_setattr, nice + 3, KEEP_POLICY           1400000 ns
#   sched_setattr, sched_runtime 1                 100000 ns
#   sched_setattr, sched_runtime 10000000000       100000000 ns
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
timeout 60 python3 - <<'PY' || exit $?
import ctypes, os, platform, struct, subprocess, sys

if tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2]) < (6, 12):
    print("needs Linux 6.12")
    sys.exit(2)
numbers = {"x86_64": (314, 315), "aarch64": (274, 275)}.get(platform.machine())
if numbers is None:
    print("the system call's number is not known for this machine")
    sys.exit(2)
SETATTR, GETATTR = numbers
LAYOUT = "=IIQiIQQQII"  # struct sched_attr with sched_util_min and sched_util_max
KEEP_POLICY = 0x08
READ = f"""
import ctypes, struct
attr = ctypes.create_string_buffer({struct.calcsize(LAYOUT)})
assert ctypes.CDLL(None).syscall({GETATTR}, 0, attr, len(attr), 0) == 0
print(struct.unpack("{LAYOUT}", attr)[5])
"""
libc = ctypes.CDLL(None, use_errno=True)
nice = os.getpriority(os.PRIO_PROCESS, 0)
ordinary = os.sched_param(0)


def slice_get():
    attr = ctypes.create_string_buffer(struct.calcsize(LAYOUT))
    assert libc.syscall(GETATTR, 0, attr, len(attr), 0) == 0, os.strerror(ctypes.get_errno())
    return struct.unpack(LAYOUT, attr)[5]


def setattr_(runtime=0, nice=nice, flags=0):
    size = struct.calcsize(LAYOUT)
    attr = ctypes.create_string_buffer(struct.pack(LAYOUT, size, os.SCHED_OTHER, flags, nice, 0, runtime, 0, 0, 0, 0), size)
    assert libc.syscall(SETATTR, 0, attr, 0) == 0, os.strerror(ctypes.get_errno())


changed = False


def show(what, seen, expected):
    global changed
    print(f"{what:46} {seen} ns")
    changed = changed or seen != expected


setattr_()
default = slice_get()
CUSTOM = 5000000 if default != 5000000 else 6000000
show("default", default, default)
setattr_(CUSTOM)
show(f"sched_setattr, sched_runtime {CUSTOM}", slice_get(), CUSTOM)
for policy in (os.SCHED_BATCH, os.SCHED_IDLE, os.SCHED_OTHER):
    os.sched_setscheduler(0, policy, ordinary)
show("sched_setscheduler BATCH, IDLE, OTHER", slice_get(), CUSTOM)
os.setpriority(os.PRIO_PROCESS, 0, nice + 1)
show("setpriority, nice + 1", slice_get(), CUSTOM)
show("fork and execve", int(subprocess.check_output([sys.executable, "-c", READ])), CUSTOM)
setattr_(nice=nice + 2)
show("sched_setattr, nice + 2", slice_get(), default)
setattr_(CUSTOM, nice + 2)
setattr_(nice=nice + 3, flags=KEEP_POLICY)
show("sched_setattr, nice + 3, KEEP_POLICY", slice_get(), default)
setattr_(1, nice + 3)
show("sched_setattr, sched_runtime 1", slice_get(), 100000)
setattr_(10 * 10**9, nice + 3)
show("sched_setattr, sched_runtime 10000000000", slice_get(), 100000000)
if changed:
    sys.exit("the behaviour has changed")
PY
echo "holds: on Linux $(uname -r | cut -d- -f1) only sched_setattr() forgets a custom slice"
