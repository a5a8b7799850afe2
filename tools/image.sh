#!/bin/sh
# Builds an OCI image: tools/image.sh [DIR]; DIR is build/image by default. What it has made is DIR/roost-VERSION.tar, an OCI archive,
# which `podman load -i`, `docker load -i` and `skopeo copy oci-archive:` take. Needs no registry and no root: the image begins with
# nothing and gets the program, the libraries that it loads, and the certificates that this machine trusts. ROOST names a program
# that is built already.
set -eu

cd "$(dirname "$0")/.."
dir=${1:-build/image}
version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
program=${ROOST:-}
if [ -z "$program" ]; then
	tools/build.sh "$dir/obj" -Dtests=disabled -Dbuildtype=debugoptimized -- roost
	program=$dir/obj/roost
fi

root=$dir/root
rm -rf "$root"
mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/var/lib/roost" "$root/tmp" "$root/proc" "$root/dev"
strip -o "$root/usr/bin/roost" "$program"
# Loaded and not linked: libcurl where a document is fetched, libnats in a cluster, libgcc_s for backtraces.
loaded() {
	ldconfig -p | sed -n "s/.*$1 .*=> //p" | head -n 1
}
curl=$(loaded 'libcurl\.so\.4')
nats=$(loaded 'libnats\.so\.3\.4')
gcc=$(loaded 'libgcc_s\.so\.1')
{ ldd "$program"; ldd "$curl"; ldd "$nats"; echo "$curl => $curl"; echo "$nats => $nats"; echo "$gcc => $gcc"; } | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\t\(\/[^ ]*ld-linux[^ ]*\).*/\1/p' | sort -u |
	while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || echo "image.sh: no certificates here to be trusted" >&2
echo 'roost:x:10001:10001::/var/lib/roost:/usr/sbin/nologin' >"$root/etc/passwd"
echo 'roost:x:10001:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
chown 10001:10001 "$root/var/lib/roost" 2>/dev/null || chmod 0777 "$root/var/lib/roost"

storage="--root $dir/storage --runroot $dir/run --storage-driver vfs"
# shellcheck disable=SC2086 # words
buildah $storage build --isolation chroot --format docker --label "org.opencontainers.image.version=$version" -t "roost:$version" \
	-f deploy/Containerfile "$root" >"$dir/log" 2>&1 || { tail -20 "$dir/log" >&2; exit 1; }
rm -f "$dir/roost-$version.tar"
# shellcheck disable=SC2086
buildah $storage push "roost:$version" "docker-archive:$dir/roost-$version.tar:roost:$version" >>"$dir/log" 2>&1 || { tail -20 "$dir/log" >&2; exit 1; }
du -h "$dir/roost-$version.tar" | cut -f 1 | sed "s|\$| $dir/roost-$version.tar|"
