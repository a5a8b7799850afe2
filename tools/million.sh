#!/bin/bash
# A million clients on one server, each subscribed to a topic of its own, held for two minutes; then the server is
# stopped with SIGTERM while they are still there to be told. Bounded in time. CLIENTS and HOLD_SECONDS say otherwise;
# words on the command line go to `roost bench hold`.
set -euo pipefail

cd "$(dirname "$0")/.."
clients=${CLIENTS:-1000000}
echo "descriptor limit: $(ulimit -n) soft, $(ulimit -H -n) hard; $(nproc) cores; $(free -g | awk '/^Mem:/{print $7}') GiB available"
exec timeout --signal=TERM --kill-after=90 "$((${HOLD_SECONDS:-120} + 600))" \
	tools/with-server.sh --connections "$((clients + clients / 10))" -- \
	build/roost bench hold -n "$clients" --keepalive 60 --hold "${HOLD_SECONDS:-120}" --url @URL@ --server-pid @PID@ "$@"
