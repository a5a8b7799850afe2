#!/bin/sh
# extract_all_objects() of a unity build names an object that is never built, if the sources are a multiple of unity_size.
#
# Software:  meson 1.0.1-5, ninja-build 1.11.1-2~deb12u1 (Debian 12).
# Expected:  `-Dunity=on -Dunity_size=N` puts N sources into each unit, so that 9 sources are 3 units at N = 3, and whoever takes
#            the objects of that library (another target, a custom command) gets these 3.
# Behaviour: that is so for N = 2, 4 and 8. Where N divides the number of sources (3, 9) the list has one unit more than there
#            are, and ninja ends with "missing and no known rule to make it", before it has compiled anything. So a project that
#            builds as a unity build today stops doing so when somebody adds, or removes, one source; another N helps.
# Output seen:
#   unity_size 2: 5 objects
#   unity_size 3: missing parts-unity3
#   unity_size 4: 3 objects
#   unity_size 8: 2 objects
#   unity_size 9: missing parts-unity1
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
MESON=1.0.1-5
NINJA='1.11.1-2~deb12u1'

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
command -v cc >/dev/null || { echo "no C compiler here"; exit 2; }
apt-get download -q "meson=$MESON" "ninja-build=$NINJA" >/dev/null 2>&1 || { echo "meson $MESON cannot be had here"; exit 2; }
for file in *.deb; do dpkg-deb -x "$file" root; done
export PYTHONPATH="$dir/root/usr/lib/python3/dist-packages" NINJA="$dir/root/usr/bin/ninja"

mkdir project
echo 'int @NAME@(void); int @NAME@(void) { return 1; }' >project/part.c.in
cat >project/meson.build <<'BUILD'
project('parts', 'c')
sources = []
foreach name : ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']
  sources += configure_file(input: 'part.c.in', output: name + '.c', configuration: {'NAME': name})
endforeach
parts = static_library('parts', sources)
custom_target('objects', input: parts.extract_all_objects(recursive: false), output: 'objects.txt', command: ['echo', '@INPUT@'],
  capture: true, build_by_default: true)
BUILD

for size in 2 3 4 8 9; do
	/usr/bin/python3 root/usr/bin/meson setup -Dunity=on -Dunity_size=$size "build-$size" project >log 2>&1 || { cat log; exit 2; }
	if timeout 60 "$NINJA" -C "build-$size" >log 2>&1; then
		echo "unity_size $size: $(wc -w <"build-$size/objects.txt") objects"
	else
		echo "unity_size $size: missing $(sed -n "s/.*error: '.*\(parts-unity[0-9]*\)\.c\.o'.*/\1/p" log)"
	fi
done | tee found
diff - found >/dev/null <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
unity_size 2: 5 objects
unity_size 3: missing parts-unity3
unity_size 4: 3 objects
unity_size 8: 2 objects
unity_size 9: missing parts-unity1
SEEN
