#!/bin/sh
# A systemd unit with SystemCallFilter=@system-service may open a pidfd of itself, and may not take a descriptor through it.
#
# Software:  systemd 252.39-1~deb12u1 or another 252 of Debian 12 (systemd-analyze).
# Expected:  pidfd_open, pidfd_send_signal and pidfd_getfd came together for one purpose, so they are in one group: what is allowed
#            the first is allowed the last.
# Behaviour: @system-service has pidfd_open and pidfd_send_signal. pidfd_getfd is in @debug, beside ptrace, which @system-service has
#            not. A program that takes descriptors from its own threads' tables needs SystemCallFilter=pidfd_getfd besides, and fails
#            with EPERM or a signal otherwise, although everything before worked.
# Output seen:
#   @system-service: pidfd_open yes, pidfd_send_signal yes, pidfd_getfd no
#   @debug: pidfd_getfd yes
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM

download() {
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download systemd libsystemd-shared)
}
download 2>/dev/null || { apt-get -qq update && download; } || exit 2
for deb in "$dir"/*.deb; do
	dpkg -x "$deb" "$dir/root"
done
case $(dpkg-deb -f "$dir"/systemd_*.deb Version) in 252.*) ;; *) echo "not systemd 252"; exit 2 ;; esac
analyze=$(find "$dir/root" -path '*/bin/systemd-analyze' -type f)
libraries=$(dirname "$(find "$dir/root" -name 'libsystemd-shared-252.so')")

has() { # GROUP CALL, groups within it included
	LD_LIBRARY_PATH=$libraries SYSTEMD_PAGER='' "$analyze" syscall-filter "$1" >"$dir/group" || exit 2
	grep -qx " *$2" "$dir/group" && { echo yes; return; }
	for inner in $(sed -n 's/^ *\(@[a-z-]*\)$/\1/p' "$dir/group" | grep -vx "$1"); do
		[ "$(has "$inner" "$2")" = yes ] && { echo yes; return; }
	done
	echo no
}

open=$(has @system-service pidfd_open)
send=$(has @system-service pidfd_send_signal)
take=$(has @system-service pidfd_getfd)
debug=$(has @debug pidfd_getfd)
echo "@system-service: pidfd_open $open, pidfd_send_signal $send, pidfd_getfd $take"
echo "@debug: pidfd_getfd $debug"
[ "$open $send $take $debug" = "yes yes no yes" ] || exit 1
