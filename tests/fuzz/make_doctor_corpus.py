#!/usr/bin/python3
"""Writes the seed corpus of the doctor's fuzz target below corpus/doctor: files as kernels and administrators write
them, cut short, and broken ones. Run it again after a change here; it replaces what it wrote before."""

from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "doctor"

# The first byte chooses the parser: see TRIES in doctor_fuzz.c.
NUMBER, SIZE, SERVICE, GROUP, SLABS, TEXT, CROWD = (bytes([i]) for i in range(7))

SEEDS = {
    "number-plain": NUMBER + b"4096\n",
    "number-max": NUMBER + b"max\n",
    "number-negative": NUMBER + b"-1\n",
    "number-empty": NUMBER,
    "number-largest": NUMBER + b"18446744073709551615",
    "number-overlong": NUMBER + b"9" * 60,
    "number-triple": NUMBER + b"287898\t383865\t575796\n",
    "number-kilobytes": NUMBER + b"   24683620 kB\n",
    "number-mask": NUMBER + b"\t000001ff,fffffffe\n",
    "size-suffix": SIZE + b"4G",
    "size-percent": SIZE + b"50%",
    "size-infinity": SIZE + b"infinity",
    "size-overflow": SIZE + b"99999999T",
    "service-unit": SERVICE + b"[Unit]\n[Service]\n# x\nLimitNOFILE=1024:524288\nTasksMax=50%\nMemoryMax=4G\n",
    "service-manager": SERVICE + b"[Manager]\nDefaultLimitNOFILE=1024:infinity\n",
    "service-empty-value": SERVICE + b"[Service]\nLimitNOFILE=\n=5\n[\n",
    "service-logins": SERVICE + b"# x\n* hard nofile 65536\n* - nofile -1\nroot soft\n",
    "group-v1": GROUP + b"9:name=systemd:/\n4:memory:/a/b\n3:cpu,cpuacct:/\n0::/\n",
    "group-v2": GROUP + b"0::/user.slice/session-1.scope\n",
    "group-broken": GROUP + b":\n::\n4:memory\n",
    "slabs": SLABS + b"slabinfo - version: 2.1\n# name\nTCP 120 130 2368 13 8 : tunables 0 0 0\n"
                     b"sock_inode_cache 1 39 832 39 8\ndentry 9 21 192 21 1\n",
    "slabs-zero": SLABS + b"TCP 1 1 1 0 0\nTCP 1 1 1 99999999999 1\n",
    "text-lines": TEXT + b"MemTotal: 5 kB\n\n\tSlab: 7 kB\r\nlast",
    "text-bytes": TEXT + bytes(range(256)),
    "crowd-signing-in": CROWD + bytes([0x20, 2, 0, 0, 0x90, 3, 0, 1, 0]),
    "crowd-messages": CROWD + bytes([0x30, 4, 0, 1, 97, 120, 0x32, 6, 0, 1, 97, 0, 7, 120, 0x34, 6, 0, 1, 97, 0, 9, 120]),
    "crowd-acks": CROWD + bytes([0x40, 2, 0, 1, 0x50, 2, 0, 1, 0x62, 2, 0, 1, 0x70, 2, 0, 1, 0xD0, 0]),
    "crowd-refused": CROWD + bytes([0x20, 2, 0, 5]),
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for path in CORPUS.iterdir():
        if not path.name.startswith("found-"):
            path.unlink()
    for name, data in SEEDS.items():
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
