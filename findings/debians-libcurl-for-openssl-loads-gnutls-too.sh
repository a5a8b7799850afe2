#!/bin/sh
# A program that links Debian's libcurl of the OpenSSL flavour loads two TLS libraries.
#
# Software:  libcurl4 7.88.1-10+deb12u15 (Debian 12), with what it depends on.
# Expected:  Debian builds libcurl once for OpenSSL (libcurl4) and once for GnuTLS (libcurl3-gnutls), so that a program
#            chooses the one TLS library that it gets.
# Behaviour: libcurl4 is linked against librtmp, for a protocol that hardly any caller uses, and librtmp against GnuTLS.
#            So libssl and libgnutls are both mapped and relocated in the process, with nettle, p11-kit and libtasn1
#            behind the second, before the first transfer. An audit that takes `curl_version()` for the whole answer
#            misses the second one: it names OpenSSL alone.
# Output seen:
#   curl_version: libcurl/7.88.1 OpenSSL/3.0.x ...
#   needed by libcurl: ... librtmp.so.1 ... libssl.so.3 ...
#   needed by librtmp: ... libgnutls.so.30 ...
#   mapped: libcrypto libcurl libgnutls libnettle libp11-kit librtmp libssl libtasn1
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
VERSION=7.88.1-10+deb12u15

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
	--no-enhances libcurl4 | grep '^[a-z]' | grep -vx 'libc6\|libcurl4\|libgcc-s1\|gcc-12-base\|debconf.*\|cdebconf') || exit 2
apt-get download -q "libcurl4=$VERSION" >/dev/null 2>&1 || { echo "libcurl4 $VERSION cannot be had here"; exit 2; }
for package in $packages; do
	apt-get download -q "$package" >/dev/null 2>&1 || true # a virtual package
done
for file in *.deb; do dpkg-deb -x "$file" root; done
libraries=$(dirname "$(find root -name 'libcurl.so.4' | head -1)")

LD_LIBRARY_PATH="$dir/$libraries" timeout 60 python3 - "$dir/$libraries" <<'PY'
import ctypes, os, re, subprocess, sys

def needed(name):
    text = subprocess.run(["objdump", "-p", os.path.join(sys.argv[1], name)], capture_output=True, text=True).stdout
    return sorted(re.findall(r"NEEDED\s+(\S+)", text))

curl = ctypes.CDLL("libcurl.so.4")
curl.curl_version.restype = ctypes.c_char_p
version = curl.curl_version().decode()
with open("/proc/self/maps") as maps:
    mapped = {re.match(r"lib[a-z0-9]+(?:-kit)?", os.path.basename(line.split()[-1])).group() for line in maps
              if os.path.basename(line.split()[-1]).startswith("lib") and sys.argv[1] in line}
print("curl_version:", version)
print("needed by libcurl:", *needed("libcurl.so.4"))
print("needed by librtmp:", *needed("librtmp.so.1"))
print("mapped:", *sorted(mapped))
holds = ("OpenSSL" in version and "GnuTLS" not in version and "libgnutls.so.30" not in needed("libcurl.so.4")
         and {"libssl", "libgnutls"} <= mapped)
print("the behaviour holds" if holds else "the behaviour has changed")
sys.exit(0 if holds else 1)
PY
