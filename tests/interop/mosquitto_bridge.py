"""Debian's mosquitto as a bridge to Roost, with the settings that a bridge has by default: it comes in with its retained will
below $SYS and bit 7 in its protocol level, and messages go both ways, once, with their retain flag."""

import contextlib
import re
import select
import socket
import subprocess
import time

import pytest

from broker import Broker
from mqtt_wire import TIMEOUT_S, Will, connect
from tokens import password_line, private_file

MOSQUITTO = "/usr/sbin/mosquitto"
# It takes no port 0.
CONFIGURATION = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest stderr
connection {name}
address 127.0.0.1:{roost}
topic # both 1
"""
NAME = "to-roost"


class Bridge(Broker):
    """A mosquitto that bridges everything, and its log."""

    def __init__(self, folder, server, *lines):
        with socket.create_server(("127.0.0.1", 0)) as drawn:
            self.address = drawn.getsockname()
        file = folder / "mosquitto.conf"
        file.write_text(CONFIGURATION.format(port=self.address[1], name=NAME, roost=server.port) + "\n".join([*lines, ""]))
        self.process = subprocess.Popen([MOSQUITTO, "-v", "-c", str(file)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.log = b""
        self.wait(rb"mosquitto version \S+ running")

    def wait(self, pattern, start=0):
        """Where the log goes on behind the first match from start on."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := re.compile(pattern).search(self.log, start)):
            readable, _, _ = select.select([self.process.stderr], [], [], max(0, deadline - time.monotonic()))
            more = self.process.stderr.read1() if readable else b""
            assert more, f"no {pattern!r} in mosquitto's log:\n{self.log.decode(errors='replace')}"
            self.log += more
        return found.end()

    def wait_connected(self, start=0):
        """Its subscription at Roost stands."""
        return self.wait(rb"Received SUBACK", self.wait(rb"Received CONNACK on connection local\.\S*" + NAME.encode(), start))

    def end(self):
        self.process.terminate()
        self.process.communicate(timeout=TIMEOUT_S)


@pytest.fixture
def bridge(tmp_path):
    with contextlib.ExitStack() as stack:
        def start(server, *lines):
            made = Bridge(tmp_path, server, *lines)
            stack.callback(made.end)
            return made
        yield start


def state_topic(client):
    """Where the bridge says that it is there; the end of it is its client id at Roost."""
    client.subscribe("$SYS/broker/connection/#")
    message = client.message()
    assert (message.payload, message.retain) == (b"1", 1)
    return message.topic


# Version 5 has its own words for what bit 7 says; a bridge of mosquitto uses them.
PROTOCOLS = [(), ("bridge_protocol_version mqttv31",), ("bridge_protocol_version mqttv50",)]


@pytest.mark.parametrize("lines", PROTOCOLS, ids=["default", "v31", "v5"])
def test_both_ways_once_with_the_retain_flag(server, bridge, lines):
    mosquitto = bridge(server, *lines)
    mosquitto.wait_connected()
    with server.client("here", 5) as here, mosquitto.client("there", 5) as there:
        here.subscribe(("t/#", 1))
        there.subscribe(("t/#", 1))
        for number in range(20):
            for sender in (here, there):
                sender.hand_over(f"t/{number}", b"from " + (b"here" if sender is here else b"there"), qos=number % 2)
        for sender in (here, there):
            sender.hand_over("t/end", b"end")
        for receiver in (here, there):
            messages = collect(receiver)
            for number in range(20):
                found = sorted(payload for topic, payload in messages if topic == f"t/{number}")
                assert found == [b"from here", b"from there"], (number, messages)
        here.hand_over("t/kept/here", b"1", retain=True)
        there.hand_over("t/kept/there", b"2", retain=True)
    for broker in (server, mosquitto):
        assert retained(broker, "t/kept/#", 2) == {"t/kept/here": b"1", "t/kept/there": b"2"}


def collect(receiver):
    """Messages up to the second end."""
    messages, ends = [], 0
    while ends < 2:
        message = receiver.take()
        ends += message.topic == "t/end"
        messages.append((message.topic, message.payload))
    return messages


def retained(broker, text, count):
    """Asked for until there are so many: they are on their way."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with broker.client("", 5) as client:
            client.subscribe(text, "nothing")
            got = {}
            client.send(b"\xc0\x00")
            while (packet := client.packet()).kind != 13:
                assert packet.retain == 1
                got[packet.topic] = packet.payload
        if len(got) >= count:
            return got
        assert time.monotonic() < deadline, got


def test_its_state_follows_its_connection(serve, bridge):
    server = serve("--shards", "2", "--admin", "http://127.0.0.1:0")
    mosquitto = bridge(server, "restart_timeout 1")
    seen = mosquitto.wait_connected()
    with server.client("watch", 5) as watch:
        topic = state_topic(watch)
        client_id = topic.split("/")[3]
        assert client_id.endswith("." + NAME)
        server.client(client_id).reset()  # takes the bridge's place
        assert (watch.message().topic, watch.kept) == (topic, [])  # "0", its will
        mosquitto.wait_connected(seen)
        assert watch.message().payload == b"1"
        with server.client("here", 5) as here, mosquitto.client("there", 5) as there:
            there.subscribe("t")
            here.publish("t", b"again")
            assert there.take().payload == b"again"


@pytest.mark.parametrize("rules, comes_in", [("allow all #\n", False),
                                             ("allow all #\nallow all $SYS/broker/connection/+/state\n", True)])
def test_its_state_needs_the_right(serve, bridge, tmp_path, rules, comes_in):
    """A will that rules forbid is refused, a bridge's as anyone's: the log says what it is about."""
    file = tmp_path / "rules"
    file.write_text(rules)
    passwords = private_file(tmp_path / "passwords", password_line("bridge", "secret"))
    server = serve("--password-file", passwords, "--rule-file", str(file), "--no-allow-by-default")
    mosquitto = bridge(server, "remote_username bridge", "remote_password secret")
    if comes_in:
        mosquitto.wait_connected()
    else:
        server.wait_line("may not publish to this topic")


@pytest.mark.parametrize("level", [0x83, 0x84])
def test_bit_7_is_for_a_session_from_before_too(server, level):
    """No mosquitto: one that came without the bit first, as its fallback does."""
    name = "MQIsdp" if level == 0x83 else "MQTT"
    packet = connect("b", level & 0x7F, clean=False, protocol=name)
    with server.raw(4) as plain:
        plain.send(packet)
        assert plain.packet().reason == 0
        plain.send(b"\x82\x06\x00\x01\x00\x01t\x00")
        plain.packet()
        plain.send(b"\x30\x04\x00\x01tx")
        assert plain.packet().payload == b"x"
    at = packet.index(name.encode()) + len(name)
    with server.raw(4) as bridge_like, server.client("other", 5) as other:
        bridge_like.send(packet[:at] + bytes([level]) + packet[at + 1:])
        assert bridge_like.packet().reason == 0
        bridge_like.send(b"\x30\x04\x00\x01tx")
        other.publish("t", b"y", retain=True)
        got = bridge_like.packet()
        assert (got.payload, got.retain) == (b"y", 1)
        bridge_like.expect_nothing_before_ping()


def test_only_that_corner_of_sys(server, version):
    for topic in ("$SYS/broker/connection/x/other", "$SYS/broker/connection/state", "$SYS/broker/connection/a/b/state"):
        with server.raw(version) as connection:
            connection.send(connect("c", version, will=Will(topic, b"x")))
            connection.expect_connack_refusal({4: 5, 5: 0x87}[version])
    with server.client("c", version) as client:
        client.subscribe("$SYS/broker/connection/#")
        client.publish("$SYS/broker/connection/x/other", b"no")
        client.publish("$SYS/broker/connection/x/state", b"yes")
        assert client.message().payload == b"yes"
