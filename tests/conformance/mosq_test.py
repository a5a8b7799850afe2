"""Stands in for the module mosq_test of mosquitto's tests, with comparisons by meaning where the standard leaves a choice.
The suite's own module lies beside it under the name of mosq_test_of_suite; the tests themselves run unchanged.

The suite compares bytes, which include what mosquitto chose where it was free to. Here a packet is as expected when it
says the same: CONNACK may tell more of the server's limits, an acknowledgement may be short or long, 0x00 and 0x10 both
take a message over, PUBCOMP may say of an exchange of an earlier connection that it is not known (any more), 0x81 and
0x82 both end a client that broke the rules, properties may come in any order (user properties among themselves may
not), a message may come before an acknowledgement that has nothing to do with it, a packet identifier that the server
gives is its own to choose, and a server may say why it closes.
"""

import os
import socket
import sys

import mosq_test_of_suite as suite

sys.path.insert(0, os.environ["ROOST_HARNESS"])

import transports  # noqa: E402
from mqtt_wire import (ASSIGNED_CLIENT_ID, AUTH, CONNACK, CONNECT, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC,  # noqa: E402
                       PUBREL, RECEIVE_MAXIMUM, SUBACK, TOPIC_ALIAS_MAXIMUM, UNSUBACK, USER_PROPERTY, Packet)

NO_SUBSCRIBERS = 0x10
PACKET_ID_NOT_FOUND = 0x92  # "not an error during recovery" [section 3.7.2.1]

ACKNOWLEDGEMENTS = (PUBACK, PUBREC, PUBREL, PUBCOMP)
RULES_BROKEN = {0x81, 0x82}


Plain = socket.socket  # which the module socket has no longer, further down


class Below:
    """A test's socket for the layers above it, without what it does to packets."""

    def __init__(self, owner):
        self.owner = owner

    def __getattr__(self, name):
        return getattr(self.owner, name)

    def sendall(self, data):
        Plain.sendall(self.owner, data)

    def recv(self, size):
        return Plain.recv(self.owner, size)

    def close(self):
        Plain.close(self.owner)


class Socket(socket.socket):
    """One of the test's connections. It knows its version from what was sent, gives whole packets, and translates
    identifiers that the server has chosen otherwise than the test expects. ROOST_TRANSPORT says what it speaks through."""

    version = 4
    kept = b""  # rest of a packet that was read in part
    messages = ()  # that came before something else was expected
    chosen = None  # the test's identifier -> the server's
    has_published = False  # on this connection
    end = None  # what the packets go through; None: the socket itself

    def connect(self, address):
        super().connect(address)
        layers = transports.layers_of(transports.DEFAULT)
        end = below = Below(self)
        for layer in layers:
            end = layer.open(end)
        self.end = end if end is not below else None

    def _send_all(self, data):
        (self.end or super()).sendall(data)

    def _receive(self, size):
        return self.end.recv(size) if self.end else super().recv(size)

    def close(self):
        end, self.end = self.end, None
        if end:
            end.close()
        super().close()

    def send(self, data, *flags):
        if data[:1] == bytes([CONNECT << 4]) and b"MQTT" in data[:10]:
            self.version = data[data.index(b"MQTT") + 4]
        self.has_published |= data[:1] != b"" and data[0] >> 4 == PUBLISH
        if self.chosen and len(data) >= 4 and data[0] >> 4 in ACKNOWLEDGEMENTS:
            number = int.from_bytes(data[2:4], "big")
            data = data[:2] + self.chosen.get(number, number).to_bytes(2, "big") + data[4:]
        self._send_all(data)
        return len(data)

    def sendall(self, data, *flags):
        self.send(data, *flags)

    def recv(self, size, *flags):
        """What the tests use where they expect the connection to end, or compare by themselves."""
        if not self.kept:
            self.kept = self.packet()
            if is_refusal(self, self.kept):
                self.kept = self.packet()
        got, self.kept = self.kept[:size], self.kept[size:]
        return got

    def packet(self):
        """One packet's bytes, or what came of it before the connection ended."""
        data = self._exactly(1)
        size = shift = 0
        while data:
            digit = self._exactly(1)
            data += digit
            if not digit:
                break
            size |= (digit[0] & 0x7F) << shift
            shift += 7
            if not digit[0] & 0x80:
                return data + self._exactly(size)
        return data

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            got = self._receive(size - len(data))
            if not got:
                break
            data += got
        return data


def split_packets(data):
    """Each packet's bytes; the last may be cut."""
    packets = []
    while data:
        size = shift = 0
        for end, digit in enumerate(data[1:5], 2):
            size |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        else:
            end, size = len(data), 0
        packets.append(data[:end + size])
        data = data[end + size:]
    return packets


def decode(sock, data):
    header = 1
    while data[header] & 0x80:
        header += 1
    return Packet(data[0], data[header + 1:], sock.version)


def is_cut(data):
    size = shift = 0
    for end, digit in enumerate(data[1:5], 2):
        size |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return len(data) < end + size
    return True


def is_refusal(sock, data):
    """A word before the connection is closed, which the standard allows and does not ask for."""
    return sock.version == 5 and data[:1] in (b"\x20", b"\xe0") and decode(sock, data).reason >= 0x80


# What says the same

def same_properties(got, expected):
    user = [[value for identifier, value in pairs if identifier == USER_PROPERTY] for pairs in (got, expected)]
    rest = [sorted((pair for pair in pairs if pair[0] != USER_PROPERTY), key=repr) for pairs in (got, expected)]
    return user[0] == user[1] and rest[0] == rest[1]


def same_connack(got, expected):
    if (got.session_present, got.reason) != (expected.session_present, expected.reason):
        return False
    limits = {RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM}
    return all(pair in got.pairs for pair in expected.pairs if pair[0] not in limits)


def same_acknowledgement(sock, got, expected):
    if got.kind == PUBCOMP and got.reason == PACKET_ID_NOT_FOUND and not sock.has_published:
        return got.packet_id == expected.packet_id and expected.reason == 0
    reasons = [0 if packet.reason == NO_SUBSCRIBERS else packet.reason for packet in (got, expected)]
    return got.packet_id == expected.packet_id and reasons[0] == reasons[1]


def same_publish(sock, got, expected):
    fields = ("dup", "qos", "retain", "topic", "payload")
    if any(getattr(got, field) != getattr(expected, field) for field in fields) \
            or not same_properties(got.pairs, expected.pairs):
        return False
    if got.packet_id != expected.packet_id:
        if got.dup:
            return False  # its identifier was chosen before
        sock.chosen = {**(sock.chosen or {}), expected.packet_id: got.packet_id}
    return True


def same_end(got, expected):
    return got.reason == expected.reason or {got.reason, expected.reason} == RULES_BROKEN


def same(sock, got, expected):
    """Whether two packets' bytes say the same."""
    if got == expected:
        return True
    try:
        one, other = decode(sock, got), decode(sock, expected)
    except (AssertionError, IndexError, KeyError, UnicodeDecodeError):
        return False
    if one.kind != other.kind:
        return False
    if one.kind == PUBLISH:
        return same_publish(sock, one, other)
    if sock.version < 5 or (one.kind != CONNACK and one.flags != other.flags):
        return False
    if one.kind == CONNACK:
        return same_connack(one, other)
    if one.kind in ACKNOWLEDGEMENTS:
        return same_acknowledgement(sock, one, other)
    if one.kind in (SUBACK, UNSUBACK):
        return one.packet_id == other.packet_id and one.codes == other.codes
    return one.kind in (DISCONNECT, AUTH) and same_end(one, other)


def same_head(sock, got, cut):
    """The test has cut what it cannot know, the assigned client id: it has to be there."""
    return got[:1] == cut[:1] == bytes([CONNACK << 4]) and sock.version == 5 \
        and ASSIGNED_CLIENT_ID in decode(sock, got).properties


def show(name, received, expected):
    print(f"{name}:\n  received {received.hex(' ')}\n  expected {expected.hex(' ')}")


# In place of the suite's functions

def next_packet(sock, expected):
    """The next packet; a message that comes before an acknowledgement is kept for later."""
    is_message = expected[:1] and expected[0] >> 4 == PUBLISH
    if is_message and sock.messages:
        received, *sock.messages = sock.messages
        return received
    while True:
        received = sock.packet()
        is_other = expected[:1] and expected[0] >> 4 in (*ACKNOWLEDGEMENTS, SUBACK, UNSUBACK)
        if not (is_other and received[:1] and received[0] >> 4 == PUBLISH):
            return received
        sock.messages = [*sock.messages, received]


def expect_packet(sock, name, expected):
    for one in split_packets(expected) or [b""]:
        received = next_packet(sock, one)
        if not one and is_refusal(sock, received):
            received = sock.packet()
        if not same(sock, received, one) and not (is_cut(one) and received and same_head(sock, received, one)):
            show(name, received, one)
            raise suite.TestError
    return True


def receive_unordered(sock, first, second, name):
    expected = split_packets(first) + split_packets(second)
    for _ in range(len(expected)):
        received, *sock.messages = sock.messages or [sock.packet()]
        found = next((one for one in expected if same(sock, received, one)), None)
        if found is None:
            show(name, received, b" or ".join(expected))
            raise ValueError(name)
        expected.remove(found)


suite.socket.socket = Socket
suite.expect_packet = expect_packet
suite.receive_unordered = receive_unordered
globals().update({name: value for name, value in vars(suite).items() if not name.startswith("__")})
