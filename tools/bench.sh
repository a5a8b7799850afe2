#!/bin/bash
# The figures of the README: messages, with the bare relay and Debian's mosquitto beside, and memory at 10,000 and at
# 100,000 clients. Words on the command line go to each `roost bench pubsub`. DURATION is the seconds of each round.
set -euo pipefail

cd "$(dirname "$0")/.."
duration=${DURATION:-5}
scratch=$(mktemp -d)
mosquitto=
cleanup() {
	if [ -n "$mosquitto" ]; then
		kill -TERM "$mosquitto" 2>/dev/null || true
		wait "$mosquitto" 2>/dev/null || true
	fi
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# mosquitto takes no port 0: one is drawn for it.
port=$(/usr/bin/python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$scratch/mosquitto.conf" <<EOF
listener $port 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
connection_messages false
log_dest stderr
EOF
mkfifo "$scratch/log"
/usr/sbin/mosquitto -c "$scratch/mosquitto.conf" 2>"$scratch/log" &
mosquitto=$!
exec 4<"$scratch/log"
running=
while [ -z "$running" ] && IFS= read -r -t 10 line <&4; do
	[[ $line == *running* ]] && running=1
done
[ -n "$running" ] || { echo "bench.sh: mosquitto did not start: ${line:-no word}" >&2; exit 1; }
cat <&4 >/dev/null &

pubsub() {
	echo
	echo "== $*"
	tools/with-server.sh --connections 5000 -- build/roost bench pubsub "$@" --clients 2000 --size 64 \
		--duration "$duration" --url @URL@ --floor --also "tcp://127.0.0.1:$port=mosquitto"
}

hold() {
	echo
	echo "== hold $1"
	tools/with-server.sh --connections "$(($1 + $1 / 10))" -- build/roost bench hold -n "$1" --hold 10 \
		--url @URL@ --server-pid @PID@
}

pubsub --pattern one-to-one --publishers 64 "$@"
pubsub --pattern one-to-one --publishers 64 --burst 16 "$@"
pubsub --pattern fan-out "$@"
pubsub --pattern fan-in --publishers 500 "$@"
hold 10000
hold 100000
pubsub --pattern one-to-one --publishers 64 --qos 1 "$@"
pubsub --pattern shared --members 100 "$@"
