"""Each shard and gate has a descriptor table to itself: any other thread in it would take of its places."""

import ctypes
import errno
from pathlib import Path

import pytest

KCMP, KCMP_FILES = 312, 2
SHARDS, GATES = 3, 2


def same_table(one, other):
    libc = ctypes.CDLL(None, use_errno=True)
    order = libc.syscall(KCMP, one, other, KCMP_FILES, 0, 0)
    if order < 0:
        assert ctypes.get_errno() in (errno.ENOSYS, errno.EPERM), errno.errorcode[ctypes.get_errno()]
        pytest.skip("the kernel does not compare descriptor tables for us")
    return order == 0


def tables(pid):
    """The process's threads, those with one table together. io_uring's own workers belong to the thread that they work for."""
    groups = []
    for task in sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda path: int(path.name)):
        if (task / "comm").read_text().startswith("iou-"):
            continue
        for group in groups:
            if same_table(group[0], int(task.name)):
                group.append(int(task.name))
                break
        else:
            groups.append([int(task.name)])
    return groups


@pytest.mark.roost_only("threads are Roost's own affair")
def test_nobody_else_is_in_it(serve):
    server = serve("--shards", str(SHARDS), "--gates", str(GATES))
    if any("private descriptor tables are" in line for line in server.lines):
        pytest.skip("private descriptor tables are refused here")
    # What a shard takes off the index is freed later, by a thread of liburcu's.
    for number in range(4 * SHARDS):
        with server.client(f"c-{number}") as client:
            client.subscribe("a/+")
            client.unsubscribe("a/+")
    main, *others = tables(server.pid)
    assert server.pid in main and len(main) > 1
    assert [len(group) for group in others] == [1] * (SHARDS + GATES)
