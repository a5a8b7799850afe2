#!/bin/bash
# A version 5 client of libmosquitto that is told "server shutting down" never comes back.
#
# One would guess: DISCONNECT with reason 0x8B (server shutting down) is a polite form of a lost connection, and
# mosquitto_sub, which reconnects after any loss, reconnects after it too: the server will be there again in a moment.
# Really: it ends at once. After a bare close of the same connection, without DISCONNECT, it connects again. So a server
# that is to be restarted does better to say nothing.
# Seen with mosquitto-clients and libmosquitto1 2.0.11-1.2+deb12u2 (Debian 12):
#   0x8B: 1 connection, mosquitto_sub has ended
#   bare close: 2 connections, mosquitto_sub runs on
set -euo pipefail

version=2.0.11-1.2+deb12u2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
apt-get download -q "mosquitto-clients=$version" "libmosquitto1=$version" libcjson1 >/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$scratch/root/usr/lib/x86_64-linux-gnu"
[ "$(uname -m)" = x86_64 ] || export LD_LIBRARY_PATH="$scratch/root/usr/lib/$(uname -m)-linux-gnu"

python3 - "$scratch/root/usr/bin/mosquitto_sub" <<'PY'
import socket, subprocess, sys

CONNACK = bytes([0x20, 3, 0, 0, 0])
SHUTTING_DOWN = bytes([0xE0, 2, 0x8B, 0])
PATIENCE_S = 8  # mosquitto_sub waits a second before it connects again


def packet(connection):
    """Type and body of the next packet, of fewer than 128 bytes."""
    head = connection.recv(2, socket.MSG_WAITALL)
    return head[0] >> 4, connection.recv(head[1], socket.MSG_WAITALL)


def meet(listener):
    """Accepts, and takes CONNECT and SUBSCRIBE."""
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE_S)
    assert packet(connection)[0] == 1
    connection.sendall(CONNACK)
    kind, body = packet(connection)
    assert kind == 8
    connection.sendall(bytes([0x90, 4]) + body[:2] + bytes([0, 0]))
    return connection


def play(name, goodbye):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        port = listener.getsockname()[1]
        client = subprocess.Popen([sys.argv[1], "-V", "mqttv5", "-h", "127.0.0.1", "-p", str(port), "-t", "t", "-i", "c"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connections = 1
        try:
            with meet(listener) as connection:
                connection.sendall(goodbye)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(100):
                    pass
            try:
                meet(listener).close()
                connections += 1
            except TimeoutError:
                pass
            runs_on = client.poll() is None
        finally:
            client.kill()
            client.wait()
    print(f"{name}: {connections} connection{'s' * (connections > 1)}, mosquitto_sub {'runs on' if runs_on else 'has ended'}")
    return connections, runs_on


told = play("0x8B", SHUTTING_DOWN)
closed = play("bare close", b"")
sys.exit(0 if told == (1, False) and closed == (2, True) else "this has changed")
PY
