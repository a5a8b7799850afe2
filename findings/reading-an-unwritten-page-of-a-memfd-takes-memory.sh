#!/bin/sh
# Reading memory that nobody wrote is free where it is anonymous, and takes a page for each page where it is a memfd.
#
# Software:  Linux (seen on 6.18); nothing is installed.
# Expected:  A program that moves its pools from anonymous memory to a memfd, so that they outlive execve(), uses as much
#            memory as before: both are zeroes until they are written, and a read brings in nothing.
# Behaviour: a read of an anonymous private page maps the kernel's one page of zeroes. A read of a memfd's page, mapped
#            shared or private, fills the hole with a page of its own, which stays in the file and counts as the file's
#            memory and as RssShmem. So a walk over a sparse table, a scan of flags for free places, or a page-table
#            warm-up that only reads makes all of it resident. MADV_REMOVE gives the pages back, MADV_DONTNEED does not.
# Output seen (64 MiB, one byte read in each page, nothing written):
#   anonymous, private          resident 0 MiB
#   memfd, shared               resident 64 MiB, file 64 MiB
#   memfd, private              resident 64 MiB, file 64 MiB
#   after MADV_DONTNEED         file 64 MiB
#   after MADV_REMOVE           file 0 MiB
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
timeout 60 python3 - <<'PY'
import mmap, os, sys

MIB = 1 << 20
SIZE = 64 * MIB

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * mmap.PAGESIZE

def read_all(memory):
    before = resident()
    total = 0
    for at in range(0, SIZE, mmap.PAGESIZE):
        total += memory[at]
    assert total == 0
    return round((resident() - before) / MIB)

def in_file(fd):
    return os.fstat(fd).st_blocks * 512 // MIB

if not hasattr(os, "memfd_create"):
    print("this Python has no memfd_create")
    sys.exit(2)
seen = []
anonymous = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
anonymous.madvise(mmap.MADV_NOHUGEPAGE)
seen.append(read_all(anonymous))
print(f"anonymous, private          resident {seen[-1]} MiB")
for name, flags in ("shared", mmap.MAP_SHARED), ("private", mmap.MAP_PRIVATE):
    fd = os.memfd_create("sparse")
    os.ftruncate(fd, SIZE)
    memory = mmap.mmap(fd, SIZE, flags=flags)
    seen += [read_all(memory), in_file(fd)]
    print(f"memfd, {name:20} resident {seen[-2]} MiB, file {seen[-1]} MiB")
    if flags == mmap.MAP_SHARED:
        kept, kept_fd = memory, fd
kept.madvise(mmap.MADV_DONTNEED)
seen.append(in_file(kept_fd))
print(f"after MADV_DONTNEED         file {seen[-1]} MiB")
kept.madvise(mmap.MADV_REMOVE)
seen.append(in_file(kept_fd))
print(f"after MADV_REMOVE           file {seen[-1]} MiB")
holds = seen[0] <= 1 and all(amount >= 63 for amount in seen[1:6]) and seen[6] == 0
print("the behaviour holds" if holds else "the behaviour has changed")
sys.exit(0 if holds else 1)
PY
