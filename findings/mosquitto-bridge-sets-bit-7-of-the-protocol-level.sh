#!/bin/sh
# A mosquitto bridge that is told to speak MQTT 3.1.1 sends protocol level 0x84, which no version of MQTT has.
#
# Software:  mosquitto 2.0.11-1.2+deb12u2 (Debian 12) with "bridge_protocol_version mqttv311", which is also its default.
# Expected:  the CONNECT of an MQTT 3.1.1 client carries protocol level 4. A server that refuses every other value, as
#            [MQTT-3.1.2-2] asks of it, serves every such client at once.
# Behaviour: the bridge sets bit 7 of the level (4 becomes 0x84) to say "do not send me back what I sent". Nothing else in the
#            connection says so: the SUBSCRIBE is the same byte for byte. After CONNACK 0x01 (unacceptable protocol
#            version) it drops the bit with its next attempt, and the server can no longer know that it talks to a bridge.
#            So a server that goes by the standard does serve the bridge, but only from its second connection on, and it
#            sends every message of a topic that is bridged in both directions back to where it came from.
#            (The manual has an option try_private for this, on by default, but does not say how the bridge "indicates" it.)
# Output seen:
#   server accepts 0x84:   CONNECT levels 0x84;      SUBSCRIBE options of "news/#" 0x01
#   server refuses it:     CONNECT levels 0x84 0x04; SUBSCRIBE options of "news/#" 0x01
#
# Exit status: 0 the behaviour holds, 1 it has changed, 2 it cannot be shown here.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM

debs="mosquitto=2.0.11-1.2+deb12u2 libdlt2 libwrap0 libcap2"
download() {
	# shellcheck disable=SC2086
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download $debs)
}
download 2>/dev/null || { apt-get -qq update && download; } || exit 2
for deb in "$dir"/*.deb; do
	dpkg -x "$deb" "$dir/root"
done

timeout 90 python3 - "$dir" <<'PY' || exit $?
import glob, os, signal, socket, subprocess, sys

folder = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
libraries = ":".join({os.path.dirname(name) for name in glob.glob(folder + "/root/**/*.so*", recursive=True)})


def packet(stream):
    """The next packet; those of this script are shorter than 128 bytes, so the Remaining Length is one byte."""
    head = stream.read(2)
    return head + stream.read(head[1])


def attempts(refuse_bit_7):
    """The protocol level of each CONNECT up to the accepted one, and the options byte of the SUBSCRIBE after it."""
    levels = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        configuration = folder + "/mosquitto.conf"
        with open(configuration, "w") as file:
            # The broker's own listener is a Unix socket: nobody connects to it.
            file.write(f"user root\nlistener 0 {folder}/local\nallow_anonymous true\nconnection upstream\n"
                       f"address 127.0.0.1:{listener.getsockname()[1]}\nbridge_protocol_version mqttv311\n"
                       "remote_clientid bridge\nnotifications false\ntopic news/# both 1\nrestart_timeout 1\n")
        broker = subprocess.Popen([folder + "/root/usr/sbin/mosquitto", "-c", configuration],
                                  env=dict(os.environ, LD_LIBRARY_PATH=libraries), stderr=subprocess.DEVNULL)
        try:
            while len(levels) < 4:
                connection, _ = listener.accept()
                connection.settimeout(20)
                with connection, connection.makefile("rb") as stream:
                    connect = packet(stream)
                    assert connect[0] == 0x10 and connect[2:8] == b"\x00\x04MQTT", "CONNECT"
                    levels.append(connect[8])
                    if refuse_bit_7 and connect[8] & 0x80:
                        connection.sendall(b"\x20\x02\x00\x01")
                        continue
                    connection.sendall(b"\x20\x02\x00\x00")
                    subscribe = packet(stream)
                    assert subscribe[0] == 0x82, "SUBSCRIBE"
                    return levels, subscribe[-1]
        finally:
            broker.kill()
            broker.wait()
    return levels, None


def shown(levels):
    return " ".join(f"0x{level:02x}" for level in levels)


taken, taken_options = attempts(refuse_bit_7=False)
print(f'server accepts 0x84:   CONNECT levels {shown(taken)};      SUBSCRIBE options of "news/#" {shown([taken_options])}')
refused, refused_options = attempts(refuse_bit_7=True)
print(f'server refuses it:     CONNECT levels {shown(refused)}; SUBSCRIBE options of "news/#" {shown([refused_options])}')
if taken != [0x84] or refused != [0x84, 0x04] or taken_options != 1 or refused_options != 1:
    sys.exit("the behaviour has changed")
PY
echo "holds: the bridge of mosquitto 2.0.11-1.2+deb12u2 sends protocol level 0x84 first"
