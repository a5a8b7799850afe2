#!/usr/bin/python3
"""`roost bench stored` in a directory that is made for it and removed: what offline sessions cost, and how long a server with
them takes to stop and to start.

    tools/stored.py [--directory DIR] [--mosquitto] [WORD ...]

WORDs go to the bench: --sessions 1000000. The store is below DIR (/var/tmp). --mosquitto: Debian's mosquitto with persistence
in place of Roost; it writes its whole database when it stops, and none of it in between.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
# The bench draws the port, so mosquitto's file is written by a shell that gets it.
MOSQUITTO = """cat >@STORE@/mosquitto.conf <<EOF
listener @PORT@ 127.0.0.1
allow_anonymous true
persistence true
persistence_location @STORE@/
autosave_interval 0
max_queued_messages 0
connection_messages false
log_dest stderr
user root
EOF
exec /usr/sbin/mosquitto -c @STORE@/mosquitto.conf"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", default="/var/tmp")
    parser.add_argument("--mosquitto", action="store_true")
    options, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="roost-stored-", dir=options.directory) as store:
        command = [ROOST, "bench", "stored", "--store", store, *words]
        if options.mosquitto:
            command += ["--version", "4", "--", "sh", "-c", MOSQUITTO]
        else:
            # Each CONNACK and SUBACK waits for a commit: many at a time share one.
            command += ["--in-progress", "1000"]
        sys.exit(subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode)


if __name__ == "__main__":
    main()
