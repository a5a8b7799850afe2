#!/bin/bash
# A million clients on one server, each subscribed to a topic of its own, held for two minutes; then once more, and the
# server is stopped with SIGTERM while they are there to be told. CLIENTS and HOLD_SECONDS say otherwise; words on the
# command line go to `roost bench hold`. TRANSPORT=tls, ws or wss: they come that way, each with a full handshake, which
# takes both ends some half a millisecond of a core. Bounded in time; what it starts it ends, by process id.
set -euo pipefail

cd "$(dirname "$0")/.."
# The kernel looks each packet's socket up in a table that it sized when it started, with 262,144 buckets on a machine
# like this. With both ends here a million clients are two million sockets, and the chains grow to eight. So the run gets
# a network namespace with a larger table, where it may make one. BUCKETS=0: it stays in this one.
buckets=${BUCKETS:-4194304}
if [ -z "${IN_NAMESPACE:-}" ] && [ "$buckets" != 0 ] && unshare --net true 2>/dev/null; then
	export IN_NAMESPACE=1
	exec unshare --net bash -c 'echo "$1" >/proc/sys/net/ipv4/tcp_child_ehash_entries && shift && exec unshare --net "$@"' \
		- "$buckets" tools/million.sh "$@"
fi
[ -z "${IN_NAMESPACE:-}" ] || ip link set lo up
clients=${CLIENTS:-1000000}
hold=${HOLD_SECONDS:-120}
places=$((clients + clients / 100))
# Connections a second that even a slow machine does.
case ${TRANSPORT:-tcp} in tls | wss) slowest=700 ;; *) slowest=2000 ;; esac
connecting=$((clients / slowest + 60))
scratch=$(mktemp -d)
cleanup() {
	[ ! -s "$scratch/bench.pid" ] || kill -TERM "$(cat "$scratch/bench.pid")" 2>/dev/null || true
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

echo "descriptor limit: $(ulimit -n) soft, $(ulimit -H -n) hard; $(nproc) cores; $(cat /proc/sys/net/ipv4/tcp_ehash_entries 2>/dev/null || echo ?) hash buckets for sockets; $(free -g | awk '/^Mem:/{print $7}') GiB available"
echo "== $clients clients over ${TRANSPORT:-tcp}, held for $hold s"
timeout --kill-after=90 "$((hold + connecting))" tools/with-server.sh --connections "$places" -- \
	build/roost bench hold -n "$clients" --keepalive 60 --hold "$hold" --url @URL@ --server-pid @PID@ "$@"

# The helper comes back as soon as the bench says that all are connected; the stop is then timed with all of them there.
echo "== SIGTERM with $clients clients connected"
cat >"$scratch/until-held" <<'EOF'
#!/bin/bash
url=$1 pid=$2 clients=$3 scratch=$4 # $5: seconds for it
build/roost bench hold -n "$clients" --keepalive 60 --hold 600 --url "$url" --server-pid "$pid" >"$scratch/bench" 2>&1 3<&- &
echo $! >"$scratch/bench.pid"
timeout "$5" tail --pid=$! -n +1 -f "$scratch/bench" | grep -m 1 '^hold:'
EOF
STOP_SECONDS=90 timeout --kill-after=90 "$((connecting + 120))" tools/with-server.sh --connections "$places" -- \
	bash "$scratch/until-held" @URL@ @PID@ "$clients" "$scratch" "$connecting"
