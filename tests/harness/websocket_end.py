"""The client's side of a WebSocket [RFC 6455]: requests and frames as bytes, broken ones too, and a socket-like object that
carries MQTT in binary frames."""

import base64
import hashlib
import os
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_BYTES_MAX = 1 << 16


def mask_bytes(data, mask):
    if not data:
        return b""
    repeated = (mask * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(data), "big")


def frame(opcode, payload=b"", final=True, reserved=0, mask=b"\x37\xfa\x21\x3d", length_bytes=None, length=None):
    """mask: None sends it unmasked. length_bytes: 0, 2 or 8, where it is not to be the shortest form; length: what is said
    where that is not what comes."""
    size = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = size if length_bytes == 0 else 126 if length_bytes == 2 else 127
    head = bytes([final << 7 | reserved << 4 | opcode, (mask is not None) << 7 | short])
    head += struct.pack(">H", size) if length_bytes == 2 else struct.pack(">Q", size) if length_bytes == 8 else b""
    return head + payload if mask is None else head + mask + mask_bytes(payload, mask)


def close_payload(code, reason=b""):
    return struct.pack(">H", code) + reason


def new_key():
    return base64.b64encode(os.urandom(16)).decode()


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def request(host="localhost", path="/mqtt", key=None, protocol="mqtt", origin=None, version="13", method="GET", http="HTTP/1.1",
            leave_out=(), more=()):
    """The upgrade's request. leave_out: names of fields; more: (name, value) pairs."""
    fields = [("Host", host), ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", key or new_key()),
              ("Sec-WebSocket-Version", version)]
    if protocol:
        fields.append(("Sec-WebSocket-Protocol", protocol))
    if origin:
        fields.append(("Origin", origin))
    lines = [f"{method} {path} {http}"] + [f"{name}: {value}" for name, value in [*fields, *more] if name not in leave_out]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Refused(Exception):
    """The server answered the upgrade otherwise."""

    def __init__(self, response):
        super().__init__(f"{response.status} {response.fields}")
        self.response = response


class Response:
    """The head of an HTTP response; field names are in lower case."""

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.http, status, *_ = first.split(" ")
        self.status = int(status)
        self.fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def read_response(below):
    """(Response, bytes behind its head)"""
    data = b""
    while b"\r\n\r\n" not in data:
        got = below.recv(4096)
        assert got, f"the connection ended in the answer to the upgrade: {data!r}"
        data += got
        assert len(data) < HEAD_BYTES_MAX, data
    head, _, rest = data.partition(b"\r\n\r\n")
    return Response(head), rest


def open_over(below, data=None, key=None, **options):
    """(Response, bytes behind it) of an upgrade that is accepted; Refused. data: the whole request, else request(**options)."""
    key = key or new_key()
    below.sendall(data if data is not None else request(key=key, **options))
    response, rest = read_response(below)
    if response.status != 101:
        raise Refused(response)
    if data is None:
        assert response.fields["sec-websocket-accept"] == accept_key(key)
        assert response.fields["upgrade"].lower() == "websocket" and "upgrade" in response.fields["connection"].lower()
    return response, rest


class Frame:
    def __init__(self, first, payload, masked):
        self.final, self.reserved, self.opcode = bool(first >> 7), first >> 4 & 7, first & 15
        self.payload, self.masked = payload, masked

    @property
    def close_code(self):
        return struct.unpack(">H", self.payload[:2])[0] if len(self.payload) >= 2 else None


class WebSocketEnd:
    """Stands where a socket stands: what is sent goes out in binary frames, what is received is what came in them. A Close
    frame is the end; its code is then in close_code. frame_bytes: the most of a frame that is sent; None: one frame for each
    send."""

    def __init__(self, below, frame_bytes=None, **options):
        self.below, self.frame_bytes = below, frame_bytes
        self.response, rest = open_over(below, **options)
        self.buffer = bytearray(rest)
        self.plain = b""
        self.close_code, self.ended = None, False
        self.frames = 0  # with data that came
        self.pongs = []

    def __getattr__(self, name):
        """settimeout(), getsockname() and what else a socket knows."""
        return getattr(self.below, name)

    def encode(self, data):
        """The bytes for the kernel's socket that carry the data."""
        size = self.frame_bytes or max(1, len(data))
        frames = b"".join(frame(BINARY, data[at:at + size], mask=os.urandom(4)) for at in range(0, len(data), size))
        return self.below.encode(frames)

    def sendall(self, data):
        self.send_raw(b"".join(frame(BINARY, data[at:at + size], mask=os.urandom(4))
                               for size in [self.frame_bytes or max(1, len(data))] for at in range(0, len(data), size)))

    def send_raw(self, data):
        """Frames, or parts of them, as they are."""
        self.below.sendall(data)

    def next_frame(self):
        """The next whole frame as it came; None at the connection's end."""
        while (end := self._frame_end()) is None:
            data = self.below.recv(1 << 16)
            if not data:
                assert not self.buffer, f"the connection ended in a frame: {self.buffer[:32].hex(' ')}"
                return None
            self.buffer += data
        head, size = end
        first, second = self.buffer[:2]
        payload = bytes(self.buffer[head:head + size])
        del self.buffer[:head + size]
        return Frame(first, payload, bool(second >> 7))

    def _frame_end(self):
        """(bytes of its head, bytes of its payload) of a frame that is whole."""
        if len(self.buffer) < 2:
            return None
        short = self.buffer[1] & 0x7F
        head = 2 + {126: 2, 127: 8}.get(short, 0)
        if len(self.buffer) < head:
            return None
        size = int.from_bytes(self.buffer[2:head], "big") if head > 2 else short
        return (head, size) if len(self.buffer) >= head + size else None

    def recv(self, size):
        while not self.plain:
            got = None if self.ended else self.next_frame()
            if got is None or got.opcode == CLOSE:
                self.close_code = got.close_code if got else self.close_code
                self.ended = True
                return b""
            assert not got.masked and got.reserved == 0, "a server masks nothing and sets no reserved bits [RFC 6455, 5.1]"
            if got.opcode == PING:
                self.send_raw(frame(PONG, got.payload))
            elif got.opcode == PONG:
                self.pongs.append(got.payload)
            else:
                assert got.opcode in (BINARY, CONTINUATION), f"MQTT comes in binary frames, not in {got.opcode} [MQTT-6.0.0-1]"
                self.plain += got.payload
                self.frames += 1
        data, self.plain = self.plain[:size], self.plain[size:]
        return data

    def half_close(self):
        self.send_raw(frame(CLOSE, close_payload(1000)))
        self.below.half_close()
