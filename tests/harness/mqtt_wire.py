"""MQTT 3.1.1 and 5.0 as bytes, for tests that care about each of them.

Functions named for a packet build one; Connection sends bytes and says what comes back. Nothing here checks that what
a test sends is legal. Every wait is bounded by TIMEOUT_S and ends as soon as there is an answer.
"""

import os
import socket
import struct
import time

import transports

# Other brokers may say less and choose other reasons where they close a connection.
OTHER_BROKER = "ROOST_TEST_BROKER" in os.environ
TIMEOUT_S = int(os.environ.get("ROOST_TEST_TIMEOUT_S", "20"))

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)

VERSIONS = (4, 5)

PINGREQ_BYTES = b"\xc0\x00"
PINGRESP_BYTES = b"\xd0\x00"
DISCONNECT_BYTES = b"\xe0\x00"

# Properties of version 5, section 2.2.2.2: identifier -> how the value is written.
PROPERTY_KINDS = {
    0x01: "byte", 0x02: "four", 0x03: "string", 0x08: "string", 0x09: "binary", 0x0B: "varint", 0x11: "four",
    0x12: "string", 0x13: "two", 0x15: "string", 0x16: "binary", 0x17: "byte", 0x18: "four", 0x19: "byte",
    0x1A: "string", 0x1C: "string", 0x1F: "string", 0x21: "two", 0x22: "two", 0x23: "two", 0x24: "byte",
    0x25: "byte", 0x26: "pair", 0x27: "four", 0x28: "byte", 0x29: "byte", 0x2A: "byte",
}
PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA = 0x01, 0x02, 0x03, 0x08, 0x09
SUBSCRIPTION_IDENTIFIER, SESSION_EXPIRY, ASSIGNED_CLIENT_ID, SERVER_KEEPALIVE = 0x0B, 0x11, 0x12, 0x13
AUTH_METHOD, AUTH_DATA, REQUEST_PROBLEM, WILL_DELAY, REQUEST_RESPONSE = 0x15, 0x16, 0x17, 0x18, 0x19
RESPONSE_INFORMATION, SERVER_REFERENCE = 0x1A, 0x1C
REASON_STRING, RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, MAXIMUM_QOS = 0x1F, 0x21, 0x22, 0x23, 0x24
RETAIN_AVAILABLE, USER_PROPERTY, MAXIMUM_PACKET_SIZE, WILDCARD_AVAILABLE = 0x25, 0x26, 0x27, 0x28
SUBSCRIPTION_ID_AVAILABLE, SHARED_AVAILABLE = 0x29, 0x2A

# Reason codes of what a server sends, section 2.4; of AUTH none, since none is sent.
REASONS = {
    CONNACK: {0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, *range(0x99, 0x9E), 0x9F},
    PUBACK: {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    PUBREC: {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    PUBREL: {0x00, 0x92},
    PUBCOMP: {0x00, 0x92},
    SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    # 0x8C stands in the table of section 2.4 alone.
    DISCONNECT: {0x00, *range(0x80, 0x84), 0x87, 0x89, *range(0x8B, 0x91), *range(0x93, 0xA3)},
}
SUBACK_CODES_3_1_1 = {0x00, 0x01, 0x02, 0x80}

# Subscription options, section 3.8.3.1, beside the QoS.
NO_LOCAL, RETAIN_AS_PUBLISHED, RETAIN_IF_NEW, RETAIN_NEVER = 0x04, 0x08, 0x10, 0x20

# A session that ends with its connection, and one that does not: in seconds, for `expiry` below.
FOREVER = 0xFFFFFFFF


def let_pass(seconds):
    """For what happens at a time and tells nobody: a message that grows too old."""
    time.sleep(seconds)


# Building

def varint(number):
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">H", len(data)) + data


def packet(kind, body, flags=0):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def properties(*pairs):
    """(identifier, value)... with the length in front; a user property's value is a pair of strings."""
    out = bytearray()
    for identifier, value in pairs:
        out += varint(identifier)
        kind = PROPERTY_KINDS[identifier]
        if kind == "byte":
            out += bytes([value])
        elif kind == "two":
            out += struct.pack(">H", value)
        elif kind == "four":
            out += struct.pack(">I", value)
        elif kind == "varint":
            out += varint(value)
        elif kind == "pair":
            out += string(value[0]) + string(value[1])
        else:
            out += string(value)
    return varint(len(out)) + out


def properties_if_5(version, pairs):
    return properties(*pairs) if version == 5 else b""


class Will:
    def __init__(self, topic, payload, qos=0, retain=False, pairs=()):
        self.topic, self.payload, self.qos, self.retain, self.pairs = topic, payload, qos, retain, pairs


def connect(client_id="", version=4, clean=True, keepalive=60, pairs=(), will=None, user=None, password=None,
            protocol="MQTT", flags=None):
    bits = 2 * clean
    payload = string(client_id)
    if will:
        bits |= 4 | will.qos << 3 | will.retain << 5
        payload += properties_if_5(version, will.pairs) + string(will.topic) + string(will.payload)
    if user is not None:
        bits |= 0x80
        payload += string(user)
    if password is not None:
        bits |= 0x40
        payload += string(password)
    head = string(protocol) + bytes([version, bits if flags is None else flags]) + struct.pack(">H", keepalive)
    return packet(CONNECT, head + properties_if_5(version, pairs) + payload)


def publish(topic, payload=b"", version=4, qos=0, retain=False, dup=False, packet_id=None, pairs=()):
    body = string(topic)
    if packet_id is None and qos > 0:
        packet_id = 1
    if packet_id is not None:
        body += struct.pack(">H", packet_id)
    body += properties_if_5(version, pairs) + (payload if isinstance(payload, bytes) else payload.encode())
    return packet(PUBLISH, body, dup << 3 | qos << 1 | retain)


def subscribe(packet_id, *filters, version=4, pairs=()):
    """Each filter a string, or (string, options byte)."""
    parts = [struct.pack(">H", packet_id), properties_if_5(version, pairs)]
    for item in filters:
        text, options = item if isinstance(item, tuple) else (item, 0)
        parts += string(text), bytes([options])
    return packet(SUBSCRIBE, b"".join(parts), 2)


def unsubscribe(packet_id, *filters, version=4, pairs=()):
    body = struct.pack(">H", packet_id) + properties_if_5(version, pairs)
    return packet(UNSUBSCRIBE, body + b"".join(string(text) for text in filters), 2)


def acknowledge(kind, packet_id, reason=None, pairs=()):
    """PUBACK, PUBREC, PUBREL or PUBCOMP; the short form unless there is a reason or a property."""
    body = struct.pack(">H", packet_id)
    if reason is not None or pairs:
        body += bytes([reason or 0])
    if pairs:
        body += properties(*pairs)
    return packet(kind, body, 2 if kind == PUBREL else 0)


def disconnect(reason=0, pairs=()):
    """Version 5's, with a reason."""
    return packet(DISCONNECT, bytes([reason]) + (properties(*pairs) if pairs else b""))


def auth(reason, pairs=()):
    return packet(AUTH, bytes([reason]) + properties(*pairs))


def suback(packet_id, *codes, version=4):
    return packet(SUBACK, struct.pack(">H", packet_id) + properties_if_5(version, ()) + bytes(codes))


def unsuback(packet_id, *codes, version=4):
    return packet(UNSUBACK, struct.pack(">H", packet_id) + (properties() + bytes(codes) if version == 5 else b""))


# Reading

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        assert self.at + size <= len(self.data), f"packet ends too early: {self.data.hex()}"
        self.at += size
        return self.data[self.at - size:self.at]

    def byte(self):
        return self.take(1)[0]

    def two(self):
        return struct.unpack(">H", self.take(2))[0]

    def four(self):
        return struct.unpack(">I", self.take(4))[0]

    def varint(self):
        number = shift = 0
        while True:
            digit = self.byte()
            number |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return number
            assert shift <= 21, "variable byte integer of more than four bytes"

    def binary(self):
        return self.take(self.two())

    def string(self):
        return self.binary().decode()

    def pair(self):
        return self.string(), self.string()

    def rest(self):
        return self.take(len(self.data) - self.at)

    def properties(self):
        """[(identifier, value)...] in the order of the wire."""
        inner = Reader(self.take(self.varint()))
        pairs = []
        while inner.at < len(inner.data):
            identifier = inner.varint()
            pairs.append((identifier, getattr(inner, PROPERTY_KINDS[identifier])()))
        return pairs


class Packet:
    """One packet as it came. The fields that its type has are attributes."""

    def __init__(self, first, body, version):
        self.kind, self.flags, self.body, self.version = first >> 4, first & 15, body, version
        self.raw = bytes([first]) + varint(len(body)) + body
        read = getattr(self, f"_read_{self.kind}", None)
        if read:
            read(Reader(body))
        self._check_reasons()

    def __repr__(self):
        return f"<packet {self.raw[:64].hex(' ')}{'...' if len(self.raw) > 64 else ''}>"

    def _check_reasons(self):
        reasons = getattr(self, "codes", None) or [getattr(self, "reason", 0)]
        allowed = REASONS.get(self.kind) if self.version == 5 else SUBACK_CODES_3_1_1 if self.kind == SUBACK else None
        assert allowed is None or set(reasons) <= allowed, f"a reason code of another packet: {self!r}"

    def _pairs(self, reader):
        self.pairs = reader.properties() if self.version == 5 else []
        self.properties = dict(self.pairs)

    def _read_2(self, reader):
        self.session_present = reader.byte()
        self.reason = reader.byte()
        self._read_optional_pairs(reader)

    def _read_3(self, reader):
        self.dup, self.qos, self.retain = self.flags >> 3, self.flags >> 1 & 3, self.flags & 1
        self.topic = reader.string()
        self.packet_id = reader.two() if self.qos else None
        self._pairs(reader)
        self.payload = reader.rest()

    def _read_acknowledgement(self, reader):
        self.packet_id = reader.two()
        assert self.version == 5 or len(self.body) == 2, f"an acknowledgement before version 5 has two bytes: {self!r}"
        self.reason = reader.byte() if reader.at < len(self.body) else 0
        self._read_optional_pairs(reader)

    _read_4 = _read_5 = _read_6 = _read_7 = _read_acknowledgement

    def _read_optional_pairs(self, reader):
        self.pairs = reader.properties() if reader.at < len(self.body) else []
        self.properties = dict(self.pairs)
        assert not reader.rest()

    def _read_9(self, reader):
        self.packet_id = reader.two()
        self._pairs(reader)
        self.codes = list(reader.rest())

    def _read_11(self, reader):
        self.packet_id = reader.two()
        self._pairs(reader)
        self.codes = list(reader.rest())

    def _read_14(self, reader):
        self.reason = reader.byte() if self.body else 0
        self._read_optional_pairs(reader)

    _read_15 = _read_14


class Closed(Exception):
    """The other end has closed the connection, orderly or with a reset."""


class Connection:
    """A socket to the server, and the packets that come from it. layers: what the socket is spoken to through (transports.py),
    where it is not what the address says."""

    def __init__(self, address, version=4, family=None, receive_buffer=None, source=None, layers=None):
        self.version = version
        self.socket = transports.connect(address, family, receive_buffer, source, TIMEOUT_S, layers)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from error

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST rather than FIN, and without a word of the layers."""
        wire = getattr(self.socket, "wire", self.socket)  # a test may have put a socket of its own in
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()

    def half_close(self):
        self.socket.half_close()

    def _more(self, timeout=None):
        self.socket.settimeout(TIMEOUT_S if timeout is None else timeout)
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end")
        self.buffer += data

    def packet(self, timeout=None):
        """The next packet; Closed where the connection ends before it."""
        deadline = time.monotonic() + (TIMEOUT_S if timeout is None else timeout)
        while True:
            end = self._packet_end()
            if end is not None:
                header, size = end
                raw = bytes(self.buffer[:header + size])
                del self.buffer[:header + size]
                return Packet(raw[0], raw[header:], self.version)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no packet came")
            self._more(left)

    def _packet_end(self):
        size = shift = 0
        for index, digit in enumerate(self.buffer[1:5], 2):
            size |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return (index, size) if len(self.buffer) >= index + size else None
        return None

    def expect(self, expected):
        """The next packet is these bytes."""
        got = self.packet()
        assert got.raw == expected, f"expected {expected.hex(' ')}, got {got.raw.hex(' ')}"
        return got

    def expect_kind(self, kind):
        got = self.packet()
        assert got.kind == kind, f"expected packet type {kind}, got {got!r}"
        return got

    def expect_close(self):
        """Nothing more comes, and the connection ends."""
        try:
            got = self.packet()
        except Closed:
            assert not self.buffer, f"the connection ended after a part of a packet: {self.buffer.hex(' ')}"
            return
        raise AssertionError(f"expected the connection to end, got {got!r}")

    def expect_refusal(self, reason):
        """Version 5 is told the reason in a DISCONNECT; 3.1.1 knows none. Then the connection ends."""
        if OTHER_BROKER:
            packets = self.ends()
            assert len(packets) <= (self.version == 5) and all(packet.kind == DISCONNECT for packet in packets), packets
            return
        if self.version == 5:
            got = self.expect_kind(DISCONNECT)
            assert got.reason == reason, f"expected reason {reason:#x}, got {got.reason:#x}"
        self.expect_close()

    def expect_connack_refusal(self, reason):
        """A CONNACK that says why not, with nothing but a reason in words beside it; then the connection ends."""
        got = self.expect_kind(CONNACK)
        assert (got.flags, got.session_present) == (0, 0)
        assert got.reason == reason, f"expected reason {reason:#x}, got {got.reason:#x}"
        assert set(got.properties) <= {REASON_STRING, USER_PROPERTY}
        self.expect_close()

    def expect_nothing_before_ping(self):
        """All that was sent before has been worked off, and none of it was for us."""
        self.send(PINGREQ_BYTES)
        self.expect(PINGRESP_BYTES)

    def ends_or_pings(self):
        """Reads until the connection ends or a PINGRESP comes: true where it came, so that the server goes on."""
        try:
            while self.packet().raw != PINGRESP_BYTES:
                pass
        except Closed:
            return False
        return True

    def ends(self, timeout=None):
        """Reads on until the connection ends and returns the packets that came before."""
        packets = []
        while True:
            try:
                packets.append(self.packet(timeout))
            except Closed:
                return packets


class Busy(AssertionError):
    """The server has more to do than it can, and said so (version 5)."""


class Refused(AssertionError):
    """The CONNACK says that the client may not come in, or not now."""

    def __init__(self, connack):
        super().__init__(f"refused: {connack!r}")
        self.reason = connack.reason


class Client(Connection):
    """A connection that has signed in. What waits for one packet keeps the messages that come before it, in order, for
    those who ask for messages."""

    def __init__(self, address, client_id="", version=4, family=None, receive_buffer=None, source=None, layers=None,
                 **options):
        super().__init__(address, version, family, receive_buffer, source, layers)
        self.kept = []
        self.send(connect(client_id, version, **options))
        self.connack = self.expect_kind(CONNACK)
        if self.connack.reason == 0x89:
            raise Busy(f"refused: {self.connack!r}")
        if self.connack.reason != 0:
            raise Refused(self.connack)
        self.client_id = self.connack.properties.get(ASSIGNED_CLIENT_ID, client_id)
        self.last_packet_id = 0

    def packet_id(self):
        self.last_packet_id = self.last_packet_id % 65535 + 1
        return self.last_packet_id

    def packet(self, timeout=None):
        return self.kept.pop(0) if self.kept else super().packet(timeout)

    def answer(self, kind, packet_id):
        """The packet of this kind with this identifier; only messages may come before it."""
        while True:
            got = super().packet()
            if got.kind == PUBLISH:
                self.kept.append(got)
                continue
            found = got.kind, getattr(got, "packet_id", None)
            assert found == (kind, packet_id), f"expected type {kind} of identifier {packet_id}, got {got!r}"
            return got

    def subscribe(self, *filters, pairs=()):
        """The codes of the SUBACK; messages may come before it."""
        number = self.packet_id()
        self.send(subscribe(number, *filters, version=self.version, pairs=pairs))
        return self.answer(SUBACK, number).codes

    def unsubscribe(self, *filters):
        """The codes of the UNSUBACK; messages may come before it."""
        number = self.packet_id()
        self.send(unsubscribe(number, *filters, version=self.version))
        return self.answer(UNSUBACK, number).codes

    def publish(self, topic, payload=b"", **options):
        """Sends it and waits for nothing. The packet identifier is 1 unless given."""
        self.send(publish(topic, payload, version=self.version, **options))

    def hand_over(self, topic, payload=b"", qos=1, **options):
        """Publishes and goes through the whole exchange. The reason of its first answer."""
        number = self.packet_id()
        self.publish(topic, payload, qos=qos, packet_id=number if qos else None, **options)
        if qos == 0:
            return 0
        got = self.answer(PUBACK if qos == 1 else PUBREC, number)
        if qos == 2 and got.reason < 0x80:
            self.release(number)
        return got.reason

    def release(self, packet_id):
        """The second half of QoS 2's exchange, as the sender. The reason of the PUBCOMP."""
        self.send(acknowledge(PUBREL, packet_id))
        return self.answer(PUBCOMP, packet_id).reason

    def message(self, timeout=None):
        got = self.packet(timeout)
        assert got.kind == PUBLISH, f"expected PUBLISH, got {got!r}"
        return got

    def accept(self, message):
        """Goes through the whole exchange that a message's QoS asks for, as its receiver."""
        if message.qos == 1:
            self.send(acknowledge(PUBACK, message.packet_id))
        elif message.qos == 2:
            self.send(acknowledge(PUBREC, message.packet_id))
            self.answer(PUBREL, message.packet_id)
            self.send(acknowledge(PUBCOMP, message.packet_id))
        return message

    def take(self, timeout=None):
        """The next message, accepted."""
        return self.accept(self.message(timeout))

    def disconnect(self, reason=None, pairs=()):
        """Says so, and waits until the server has closed: it knows then."""
        self.send(DISCONNECT_BYTES if reason is None and not pairs else disconnect(reason or 0, pairs))
        self.ends()
        self.close()
