#!/bin/sh
# Configures a build directory and builds in it: tools/build.sh DIR [MESON_OPTION...] [--] [TARGET...]
# Options are words that begin with "-". A directory that was configured already is configured again only where the
# options asked for are others than the last time; with none asked for it is taken as it is.
set -eu

dir=$1
shift
options=
while [ $# -gt 0 ]; do
	case $1 in
	--) shift; break ;;
	-*) options="$options $1"; shift ;;
	*) break ;;
	esac
done

cd "$(dirname "$0")/.."
record=$dir/roost-options
if [ ! -f "$dir/build.ninja" ]; then
	meson setup $options "$dir" >"/tmp/roost-setup.$$" || { cat "/tmp/roost-setup.$$"; rm -f "/tmp/roost-setup.$$"; exit 1; }
	rm -f "/tmp/roost-setup.$$"
	echo "$options" >"$record"
elif [ -n "$options" ] && [ "$options" != "$(cat "$record" 2>/dev/null)" ]; then
	meson setup --reconfigure $options "$dir" >/dev/null
	echo "$options" >"$record"
fi
exec ninja --quiet -C "$dir" "$@"
