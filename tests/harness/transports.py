"""The ways in which a client comes to a server: over TCP or a unix socket, and what lies on top. A Layer is opened over a
socket, or over another layer, and gives an object that stands where a socket stands: sendall(), recv(), settimeout(), close()
and so on, and besides

    wire            the kernel's socket
    encode(data)    the bytes for the wire that carry the data, for those who write to it themselves
    half_close()    says that nothing more is sent

An Address is what tests hand to Connection and Client: a host and a port, or the path of a unix socket, and the layers there."""

import os
import socket
import urllib.parse

# Which way tests come that do not care: tcp, tls, ws, wss, unix, proxied.
DEFAULT = os.environ.get("ROOST_TRANSPORT", "tcp")
TLS_SCHEMES = ("tls", "mqtts", "wss")
WEBSOCKET_SCHEMES = ("ws", "wss")
WEBSOCKET_PATH = "/mqtt"
# A client with a small receive buffer has segments of an IPv6 network's least size [RFC 8200, 5: 1280 bytes with the heads].
# Those of loopback are 64 KB, and Linux cuts them to half of the widest window it was ever shown. The reader rounds its window
# down to what came last, 2037 bytes for example of 4096, so that a segment of 2048 never fits again: from then on each one
# waits for the persist timer, 200 ms.
SMALL_SEGMENT_BYTES = 1220


class Wire(socket.socket):
    """The kernel's socket, as the lowest layer."""

    @property
    def wire(self):
        return self

    @staticmethod
    def encode(data):
        return data

    def half_close(self):
        self.shutdown(socket.SHUT_WR)


class Tls:
    """Options are those of tls_end.TlsEnd."""

    def __init__(self, **options):
        self.options = options

    def open(self, below):
        from tls_end import TlsEnd

        return TlsEnd(below, **self.options)


class WebSocket:
    """Options are those of websocket_end.WebSocketEnd."""

    def __init__(self, **options):
        self.options = options

    def open(self, below):
        from websocket_end import WebSocketEnd

        return WebSocketEnd(below, **self.options)


class Proxied:
    """A head of the PROXY protocol in front."""

    def __init__(self, head):
        self.head = head

    def open(self, below):
        below.sendall(self.head)
        return below


class Address(tuple):
    """(host, port), with layers: what socket.connect() takes."""

    def __new__(cls, host, port, layers=()):
        made = super().__new__(cls, (host, port))
        made.layers = tuple(layers)
        return made

    def over(self, *layers):
        """The same, through other layers."""
        return Address(*self, layers)


class UnixAddress(str):
    """The path of a unix socket, likewise."""

    def __new__(cls, path, layers=()):
        made = super().__new__(cls, path)
        made.layers = tuple(layers)
        return made

    def over(self, *layers):
        return UnixAddress(self, layers)


def layers_of(scheme, path=WEBSOCKET_PATH):
    layers = ()
    if scheme in TLS_SCHEMES:
        layers += (Tls(),)
    if scheme in WEBSOCKET_SCHEMES:
        layers += (WebSocket(path=path),)
    return layers


def address_of(url):
    """Of a listener as the log names it."""
    parts = urllib.parse.urlsplit(url)
    layers = layers_of(parts.scheme, parts.path or "/")
    if parts.scheme == "unix":
        return UnixAddress(parts.path, layers)
    return Address(parts.hostname, parts.port, layers)


def is_tls(url):
    return urllib.parse.urlsplit(url).scheme in TLS_SCHEMES


def connect(address, family=None, receive_buffer=None, source=None, timeout=None, layers=None):
    """Opens the socket, then its layers: the address's own unless others are given."""
    is_unix = isinstance(address, str)
    if family is None:
        family = socket.AF_INET if is_unix or ":" not in address[0] else socket.AF_INET6
    wire = Wire(socket.AF_UNIX if is_unix else family, socket.SOCK_STREAM)
    try:
        if receive_buffer:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if not is_unix:
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT_BYTES)
        wire.settimeout(timeout)
        if source and not is_unix:
            wire.bind((source, 0))
        wire.connect(address)
        if not is_unix:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = wire
        for layer in getattr(address, "layers", ()) if layers is None else layers:
            end = layer.open(end)
        return end
    except BaseException:
        wire.close()
        raise
