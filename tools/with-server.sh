#!/bin/bash
# Starts `roost serve` on a free loopback port, runs a command against it and stops the server with SIGTERM:
#   tools/with-server.sh [SERVE_OPTION...] -- COMMAND [ARG...]
# In COMMAND's words @URL@, @PORT@ and @PID@ stand for the server's. ROOST names the program (build/roost). TRANSPORT is
# tcp, tls, ws or wss (tcp), with a certificate that the server makes. The exit status is COMMAND's, or 1 where the server
# did not start or did not stop cleanly. How it stopped goes to stderr.
set -euo pipefail

cd "$(dirname "$0")/.."
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	options+=("$1")
	shift
done
[ $# -gt 1 ] || { echo "with-server.sh: no command after --" >&2; exit 2; }
shift

scratch=$(mktemp -d)
server=
cleanup() {
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# The log goes through a pipe, so that "ready" is read when it is written, and to a file, so that nothing is lost.
mkfifo "$scratch/log"
"${ROOST:-build/roost}" serve --listen "${TRANSPORT:-tcp}://127.0.0.1:0" "${options[@]}" 2>"$scratch/log" &
server=$!
exec 3<"$scratch/log"
url=
ready=
while [ -z "$ready" ] && IFS= read -r -t 30 line <&3; do
	echo "$line" >>"$scratch/lines"
	[[ $line =~ listening\ on\ (${TRANSPORT:-tcp}://127\.0\.0\.1:([0-9]+)[^\ ,]*) ]] && url=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}
	[[ $line == *ready* ]] && ready=1
done
if [ -z "$ready" ] || [ -z "$url" ]; then
	cat "$scratch/lines" >&2 2>/dev/null || true
	echo "with-server.sh: the server did not say that it is ready" >&2
	exit 1
fi
cat <&3 >>"$scratch/lines" &
drain=$!

words=()
for word in "$@"; do
	word=${word//@URL@/$url}
	word=${word//@PORT@/$port}
	words+=("${word//@PID@/$server}")
done
status=0
"${words[@]}" || status=$?

begin=$(date +%s%N)
kill -TERM "$server" 2>/dev/null || true
# Bounded: a server that does not stop is ended, and that is a failure.
(
	exec 3<&-
	sleep "${STOP_SECONDS:-60}" &
	sleeper=$!
	trap 'kill "$sleeper" 2>/dev/null; exit 0' TERM
	wait "$sleeper"
	kill -KILL "$server" 2>/dev/null
) &
guard=$!
stopped=0
wait "$server" || stopped=$?
server=
end=$(date +%s%N)
kill -TERM "$guard" 2>/dev/null || true
wait "$guard" 2>/dev/null || true
wait "$drain" 2>/dev/null || true
printf 'server stopped in %d ms with exit status %d\n' $(((end - begin) / 1000000)) "$stopped" >&2
if [ "$stopped" -ne 0 ]; then
	tail -n 40 "$scratch/lines" >&2
	[ "$status" -ne 0 ] || status=1
fi
exit "$status"
