#!/bin/sh
# Installs those Debian packages that the named sets need and that are missing: tools/setup.sh build|test|million|fuzz|lint|package|machine...
# Where nothing is missing it only asks dpkg, which takes a few hundredths of a second.
set -eu

packages=
for set in "$@"; do
	case $set in
	# gcc only recommends libc6-dev, and recommendations are not followed below.
	build) packages="$packages gcc libc6-dev meson ninja-build pkg-config liburcu-dev libyaml-dev libsodium-dev
		libssl-dev libjansson-dev libhiredis-dev libcurl4-openssl-dev liburing-dev libxxhash-dev libnats-dev
		python3-pyelftools" ;;
	test) packages="$packages libcmocka-dev libmosquitto-dev libpaho-mqtt-dev libgnutls28-dev libmbedtls-dev openssl clang-format mosquitto mosquitto-clients redis-server nats-server libfaketime
		haproxy nginx-light libnginx-mod-stream
		python3-pytest python3-paho-mqtt python3-yaml python3-jwt python3-cryptography iproute2
		liblmdb-dev libxxhash-dev zlib1g-dev libgnutls28-dev spin
		python3-jsonschema python3-selenium prometheus chromium chromium-driver fonts-dejavu-core" ;;
	image) packages="$packages buildah ca-certificates binutils" ;;
	million) packages="$packages iproute2" ;;
	fuzz) packages="$packages clang libclang-rt-14-dev" ;;
	package) packages="$packages dpkg-dev debhelper fakeroot lintian file" ;;
	# A Debian of its own, with systemd, for the package's tests; and what reads what it installs.
	machine) packages="$packages systemd systemd-container mmdebstrap mandoc zsh fish mosquitto-clients" ;;
	lint) packages="$packages clang-tidy cppcheck" ;;
	*)
		echo "setup.sh: no set \"$set\"; there are build, test, image, million, fuzz, lint, package and machine" >&2
		exit 2
		;;
	esac
done

# A Node.js that came from elsewhere than Debian is as good, and may bring npm without a package of that name.
node_is_enough() {
	command -v npm >/dev/null 2>&1 || return 1
	command -v node >/dev/null 2>&1 || return 1
	major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
	[ "$major" -ge 18 ]
}

installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $packages 2>/dev/null | sed -n 's/^installed //p')
missing=
for package in $packages; do
	echo "$installed" | grep -qx "$package" || missing="$missing $package"
done
case " $* " in
*" test "*) node_is_enough || missing="$missing nodejs npm" ;;
esac
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "setup.sh: these packages are missing, and neither root nor sudo is at hand to install them:$missing" >&2
		exit 1
	fi
	as_root=sudo
fi

# The tests start mosquitto, Redis, NATS, Prometheus, HAProxy and nginx themselves, on ports of their own. Debian's packages start them
# at once and at every boot, mosquitto on the very port that Roost serves: a policy that forbids daemons for the length of the
# installation, and the units disabled afterwards, keep them away.
policy=/usr/sbin/policy-rc.d
policy_is_ours=
forget_policy() {
	[ -z "$policy_is_ours" ] || $as_root rm -f "$policy"
	policy_is_ours=
}
case $missing in
*" mosquitto"* | *" redis-server"* | *" nats-server"* | *" prometheus"* | *" haproxy"* | *" nginx"*)
	if [ ! -e "$policy" ]; then
		trap forget_policy EXIT
		trap 'exit 1' HUP INT TERM
		policy_is_ours=1
		printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
		$as_root chmod 755 "$policy"
	fi
	;;
esac

echo "installing:$missing"
$as_root apt-get update -q
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing </dev/null
forget_policy

for daemon in mosquitto redis-server nats-server prometheus haproxy nginx; do
	case " $missing " in
	*" $daemon"*)
		if [ -d /run/systemd/system ]; then
			$as_root systemctl disable --now --quiet "$daemon"
		elif command -v update-rc.d >/dev/null 2>&1; then
			$as_root update-rc.d "$daemon" disable || true
		fi
		;;
	esac
done
