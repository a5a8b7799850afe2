#!/bin/sh
# mosquitto_sub reconnects after a connection that breaks, and ends with status 0 after a server that says it is restarting.
#
# Software:  mosquitto-clients and libmosquitto1 2.0.11-1.2+deb12u2 (Debian 12), MQTT 5.
# Expected:  DISCONNECT with reason code 0x8B (Server shutting down) is the polite form of a lost connection. A subscriber that
#            reconnects after a bare close ought to reconnect after it too; or, if it gives up, to say so with its exit status.
# Behaviour: libmosquitto takes any DISCONNECT from the server as the end of the client's own wish to be connected:
#            mosquitto_loop_forever() returns success, and mosquitto_sub ends with status 0. A supervisor that restarts on failure
#            (systemd's Restart=on-failure) leaves it down. A server that wants its subscribers back closes without a word.
# Output seen:
#   bare close:           mosquitto_sub connects again
#   DISCONNECT 0x8B:      mosquitto_sub ends with status 0 ['Received DISCONNECT (139)']
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM

debs="mosquitto-clients=2.0.11-1.2+deb12u2 libmosquitto1=2.0.11-1.2+deb12u2 libcjson1"
download() {
	# shellcheck disable=SC2086
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download $debs)
}
download 2>/dev/null || { apt-get -qq update && download; } || exit 2
for deb in "$dir"/*.deb; do
	dpkg -x "$deb" "$dir/root"
done

timeout 90 python3 - "$dir/root" <<'PY' || exit $?
import glob, os, select, signal, socket, subprocess, sys, time

root = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
environment = dict(os.environ, LD_LIBRARY_PATH=os.path.dirname(glob.glob(root + "/usr/lib/*/libmosquitto.so.1")[0]))


def packet(stream):
    """The next packet; those of this script are shorter than 128 bytes, so the Remaining Length is one byte."""
    head = stream.read(2)
    return head + stream.read(head[1])


def outcome(farewell):
    """What the client does after the server has served one subscription, sent farewell and closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        client = subprocess.Popen(
            [root + "/usr/bin/mosquitto_sub", "-h", "127.0.0.1", "-p", str(listener.getsockname()[1]), "-V", "mqttv5",
             "-i", "subscriber", "-t", "news", "-d"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            connection, _ = listener.accept()
            connection.settimeout(20)
            with connection, connection.makefile("rb") as stream:
                assert packet(stream)[0] == 0x10, "CONNECT"
                connection.sendall(b"\x20\x03\x00\x00\x00")
                subscribe = packet(stream)
                assert subscribe[0] == 0x82, "SUBSCRIBE"
                connection.sendall(b"\x90\x04" + subscribe[2:4] + b"\x00\x00" + farewell)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(100):
                    pass
            ends_by = time.monotonic() + 20
            while time.monotonic() < ends_by:
                if select.select([listener], [], [], 0.1)[0]:
                    return "connects again", ""
                if client.poll() is not None:
                    return f"ends with status {client.returncode}", client.stdout.read()
            return "does neither in 20 s", ""
        finally:
            client.kill()  # between two connections it would take no notice of SIGTERM
            client.wait()


closed, _ = outcome(b"")
print("bare close:           mosquitto_sub", closed)
told, output = outcome(b"\xe0\x01\x8b")
said = [line for line in output.splitlines() if "DISCONNECT" in line]
print("DISCONNECT 0x8B:      mosquitto_sub", told, said)
if closed != "connects again" or told != "ends with status 0" or said != ["Received DISCONNECT (139)"]:
    sys.exit("the behaviour has changed")
PY
echo "holds: mosquitto_sub 2.0.11-1.2+deb12u2 ends with status 0 on \"Server shutting down\""
