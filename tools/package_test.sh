#!/bin/sh
# The package's tests in a Debian that has nothing but what a small installation has, so that the package has to bring what it
# needs: tools/package_test.sh [PYTEST-ARGUMENT...]. The root is made once, from Debian's mirror, and kept in build/debian.
set -eu

cd "$(dirname "$0")/.."
root=build/debian
if [ ! -d "$root" ]; then
	rm -rf "$root.new"
	mkdir -p build
	# Beside systemd the libraries that the package depends on, as dpkg installs no other package.
	depends=$(dpkg-deb -f build/deb/roost_*.deb Depends | tr ',' '\n' | sed 's/|.*//; s/(.*//' | tr -d ' ' | paste -sd,)
	mmdebstrap --variant=minbase --include="systemd-sysv,dbus,$depends" bookworm "$root.new" http://deb.debian.org/debian
	mv "$root.new" "$root"
fi
ROOST=build/deb/obj/roost ROOST_PACKAGE_TEST=all ROOST_PACKAGE_ROOT=$PWD/$root \
	exec /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/deploy/package_contents.py tests/deploy/package_service.py "$@"
