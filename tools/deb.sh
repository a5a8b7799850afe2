#!/bin/sh
# Builds the Debian package: tools/deb.sh [DIR]; DIR is build/deb by default. What it has made is in DIR afterwards; what is compiled
# stays in DIR/obj for the next time. The sources are those that git knows of, or that it would add.
set -eu

cd "$(dirname "$0")/.."
dir=${1:-build/deb}
version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
sources=$dir/roost-$version

# A copy, since a build of a package writes beside and into its sources. Times are kept: Ninja compiles what has changed.
rm -rf "$sources"
mkdir "$sources"
git ls-files -z --cached --others --exclude-standard | xargs -0 sh -c 'dir=$1; shift; for name; do [ ! -e "$name" ] || printf "%s\0" "$name"; done | xargs -0 cp -p --parents -t "$dir"' sh "$sources"

rm -f "$dir"/*.deb "$dir"/*.changes "$dir"/*.buildinfo
cd "$sources"
# The clean that it would begin with is done already.
if ! BUILD_DIR=../obj dpkg-buildpackage --build=binary --no-sign --no-pre-clean >"$dir/log" 2>&1; then
	tail -40 "$dir/log" >&2
	echo "deb.sh: the package was not built; $dir/log says all" >&2
	exit 1
fi
ls "$dir"/*.deb
