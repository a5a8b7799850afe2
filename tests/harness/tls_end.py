"""The client's side of TLS: a socket-like object over Python's ssl, with the records in the test's own hands; the record layer
by itself, for records that no library would send; and handshakes written by hand.

Nothing here is the server's: keys come out of OpenSSL's key log, ciphers from python3-cryptography."""

import contextlib
import functools
import hashlib
import hmac
import os
import ssl
import struct
import threading

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, KEY_UPDATE, HELLO_REQUEST = 1, 2, 4, 24, 0
SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
PLAIN_BYTES_MAX = 16384

# Alerts, RFC 8446, 6.2.
CLOSE_NOTIFY, UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, HANDSHAKE_FAILURE = 0, 10, 20, 22, 40
BAD_CERTIFICATE, CERTIFICATE_REVOKED, CERTIFICATE_EXPIRED, UNKNOWN_CA, DECODE_ERROR = 42, 44, 45, 48, 50
ILLEGAL_PARAMETER, PROTOCOL_VERSION, NO_RENEGOTIATION, CERTIFICATE_REQUIRED, NO_APPLICATION_PROTOCOL = 47, 70, 100, 116, 120
INAPPROPRIATE_FALLBACK = 86


class Alert(ConnectionResetError):
    """The peer ended TLS with a fatal alert."""


def trusted():
    """The file with the CA of the tests; ROOST_TEST_CA names it where another process has made it."""
    if "ROOST_TEST_CA" in os.environ:
        return os.environ["ROOST_TEST_CA"]
    import certificates

    return certificates.authority().file


def make_context(authority=None, identity=None, minimum=None, maximum=None, ciphers=None, alpn=None, key_log=None):
    """authority: a file, else the CA of the tests. identity: the client's own certificate. minimum, maximum: of ssl.TLSVersion."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority or trusted())
    if identity:
        context.load_cert_chain(identity.chain, identity.key)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if ciphers:
        context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols([alpn] if isinstance(alpn, str) else alpn)
    if key_log:
        context.keylog_filename = key_log
    return context


@functools.cache
def default_context(version=None):
    """Shared by all connections that need nothing of their own."""
    return make_context(minimum=version, maximum=version)


class TlsEnd:
    """Stands where a socket stands. One thread may read while another writes. key_log: a file that keeps the secrets, for
    Records."""

    def __init__(self, below, context=None, name="localhost", session=None, key_log=None, **options):
        self.below = below
        if context is None:
            context = make_context(key_log=key_log, **options) if key_log or options else default_context()
        self.key_log = key_log
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name, session=session)
        self.first_bytes = b""  # of the server: its hello
        self.closed_by_peer = None  # "close_notify", or "truncated": without it
        self.ssl_lock, self.write_lock = threading.Lock(), threading.Lock()
        self._handshake()

    def __getattr__(self, attribute):
        """settimeout(), getsockname() and what else a socket knows."""
        return getattr(self.below, attribute)

    def _handshake(self):
        while True:
            try:
                self.ssl.do_handshake()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError as error:
                with contextlib.suppress(OSError):
                    self._flush()  # the alert
                raise alert_or(error) from error

    def _flush(self):
        if self.outgoing.pending:
            self.below.sendall(self.outgoing.read())

    def _feed(self):
        data = self.below.recv(1 << 16)
        if not data:
            self.closed_by_peer = "truncated"
            raise ConnectionResetError("the connection ended in the handshake")
        self.first_bytes += data[:max(0, 256 - len(self.first_bytes))]
        self.incoming.write(data)

    def encode(self, data):
        """The bytes for the kernel's socket that carry the data."""
        with self.write_lock, self.ssl_lock:
            return self.below.encode(self._seal(data))

    def _seal(self, data):
        at = 0
        while at < len(data):
            at += self.ssl.write(data[at:at + (1 << 20)])
        return self.outgoing.read()

    def sendall(self, data):
        with self.write_lock:
            with self.ssl_lock:
                records = self._seal(data)
            self.below.sendall(records)

    def recv(self, size):
        while True:
            with self.ssl_lock:
                try:
                    data = self.ssl.read(size)
                    if not data:
                        self.closed_by_peer = "close_notify"
                    return data
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    self.closed_by_peer = "close_notify"
                    return b""
                except ssl.SSLError as error:
                    raise alert_or(error) from error
            self._answer()
            data = self.below.recv(1 << 16)
            if not data:
                self.closed_by_peer = "truncated"
                return b""
            with self.ssl_lock:
                self.incoming.write(data)

    def _answer(self):
        """What reading has brought up, such as our KeyUpdate; where another thread writes, it takes that along."""
        if self.outgoing.pending and self.write_lock.acquire(blocking=False):
            try:
                with self.ssl_lock:
                    records = self.outgoing.read()
                self.below.sendall(records)
            finally:
                self.write_lock.release()

    def _say_close(self):
        with self.write_lock, self.ssl_lock:
            with contextlib.suppress(ssl.SSLError):
                self.ssl.unwrap()
            records = self.outgoing.read()
        with contextlib.suppress(OSError):
            self.below.sendall(records)

    def half_close(self):
        self._say_close()
        self.below.half_close()

    def close(self):
        """With close_notify, where the socket takes it."""
        if self.below.fileno() >= 0:
            with contextlib.suppress(OSError):
                self.below.settimeout(0)
                self._say_close()
        self.below.close()

    # What a test asks about

    @property
    def version(self):
        return self.ssl.version()

    @property
    def cipher(self):
        return self.ssl.cipher()[0]

    @property
    def resumed(self):
        return self.ssl.session_reused

    @property
    def session(self):
        """To resume; of TLS 1.3 only once something was read behind the handshake."""
        return self.ssl.session

    def take_unread(self):
        """Bytes of the socket behind the handshake that OpenSSL has not looked at: Records begins with them."""
        return self.incoming.read()


def alert_or(error):
    """OpenSSL's error as an Alert, if the peer sent one."""
    reason = error.reason or ""
    return Alert(reason) if "_ALERT_" in reason else error


# The record layer

def expand_label(secret, label, size, digest):
    label = b"tls13 " + label
    info = struct.pack(">HB", size, len(label)) + label + b"\0"
    out = block = b""
    for number in range(1, size // digest().digest_size + 2):
        block = hmac.new(secret, block + info + bytes([number]), digest).digest()
        out += block
    return out[:size]


def prf(secret, label, seed, size, digest):
    """Of TLS 1.2 [RFC 5246, 5]."""
    seed = label + seed
    out, a = b"", seed
    while len(out) < size:
        a = hmac.new(secret, a, digest).digest()
        out += hmac.new(secret, a + seed, digest).digest()
    return out[:size]


def record(kind, data, version=TLS12, length=None):
    """As it is, not sealed."""
    return struct.pack(">BHH", kind, version, len(data) if length is None else length) + data


def handshake_message(kind, data, length=None):
    return bytes([kind]) + struct.pack(">I", len(data) if length is None else length)[1:] + data


class Direction:
    """Keys and sequence number of what one side writes."""

    def __init__(self, secret, key_bytes, digest, aead):
        self.secret, self.key_bytes, self.digest, self.make = secret, key_bytes, digest, aead
        self.take_keys()

    def take_keys(self):
        self.aead = self.make(expand_label(self.secret, b"key", self.key_bytes, self.digest))
        self.iv = expand_label(self.secret, b"iv", 12, self.digest)
        self.sequence = 0

    def update(self):
        self.secret = expand_label(self.secret, b"traffic upd", self.digest().digest_size, self.digest)
        self.take_keys()


class OldDirection:
    """Of TLS 1.2: the key block has it all, and the handshake's Finished was record 0."""

    def __init__(self, key, iv, aead):
        self.aead, self.iv, self.sequence = aead(key), iv, 1


class Records:
    """Takes a TlsEnd over right behind its handshake, before anything was sent or received through it: from then on each record
    is the test's own. The TlsEnd needs a key_log."""

    def __init__(self, end):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

        self.end, self.below = end, end.below
        self.is_13 = end.version == "TLSv1.3"
        cipher = end.cipher
        self.chacha = "CHACHA20" in cipher
        digest = hashlib.sha384 if cipher.endswith("SHA384") else hashlib.sha256
        aead = ChaCha20Poly1305 if self.chacha else AESGCM
        key_bytes = 16 if "128" in cipher else 32
        secrets = {}
        with open(end.key_log, encoding="ascii") as file:
            for line in file:
                if not line.startswith("#"):
                    label, random, secret = line.split()
                    secrets[label] = bytes.fromhex(random), bytes.fromhex(secret)
        if self.is_13:
            self.write = Direction(secrets["CLIENT_TRAFFIC_SECRET_0"][1], key_bytes, digest, aead)
            self.read = Direction(secrets["SERVER_TRAFFIC_SECRET_0"][1], key_bytes, digest, aead)
        else:
            random, master = secrets["CLIENT_RANDOM"]
            server_random = end.first_bytes[11:43]
            iv_bytes = 12 if self.chacha else 4
            block = prf(master, b"key expansion", server_random + random, 2 * (key_bytes + iv_bytes), digest)
            keys, ivs = block[:2 * key_bytes], block[2 * key_bytes:]
            self.write = OldDirection(keys[:key_bytes], ivs[:iv_bytes], aead)
            self.read = OldDirection(keys[key_bytes:], ivs[iv_bytes:], aead)
        self.buffer = end.take_unread()

    def seal(self, data, kind=DATA, padding=0, outer=DATA, version=TLS12, spoil=False):
        """One record. padding: zeros behind the content (TLS 1.3). spoil: its tag is wrong."""
        side = self.write
        if self.is_13:
            plain = data + bytes([kind]) + b"\0" * padding
            head = struct.pack(">BHH", outer, version, len(plain) + 16)
            nonce = xor_sequence(side.iv, side.sequence)
            sealed = side.aead.encrypt(nonce, plain, head)
        else:
            additional = struct.pack(">QBHH", side.sequence, kind, TLS12, len(data))
            if self.chacha:
                explicit, nonce = b"", xor_sequence(side.iv, side.sequence)
            else:
                explicit = struct.pack(">Q", side.sequence)
                nonce = side.iv + explicit
            sealed = explicit + side.aead.encrypt(nonce, data, additional)
            head = struct.pack(">BHH", kind, version, len(sealed))
        side.sequence += 1
        if spoil:
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        return head + sealed

    def key_update(self, request=False, value=None):
        """The record with our KeyUpdate; what is sealed afterwards has the new keys."""
        out = self.seal(handshake_message(KEY_UPDATE, bytes([int(request) if value is None else value])), HANDSHAKE)
        self.write.update()
        return out

    def send(self, *records):
        self.below.sendall(b"".join(records))

    def next_record(self):
        """(content type, content) of the next record that comes; None at the connection's end. The server's KeyUpdate is
        followed."""
        while len(self.buffer) < 5 or len(self.buffer) < 5 + int.from_bytes(self.buffer[3:5], "big"):
            data = self.below.recv(1 << 16)
            if not data:
                assert not self.buffer, "the connection ended in a record"
                return None
            self.buffer += data
        size = 5 + int.from_bytes(self.buffer[3:5], "big")
        whole, self.buffer = self.buffer[:size], self.buffer[size:]
        kind, content = self._open(whole)
        if self.is_13 and kind == HANDSHAKE and content[0] == KEY_UPDATE:
            self.read.update()
        return kind, content

    def _open(self, whole):
        side, head, sealed = self.read, whole[:5], whole[5:]
        if self.is_13:
            if head[0] == CHANGE_CIPHER_SPEC:
                return CHANGE_CIPHER_SPEC, sealed
            plain = side.aead.decrypt(xor_sequence(side.iv, side.sequence), sealed, head).rstrip(b"\0")
            side.sequence += 1
            return plain[-1], plain[:-1]
        if self.chacha:
            nonce = xor_sequence(side.iv, side.sequence)
        else:
            nonce, sealed = side.iv + sealed[:8], sealed[8:]
        additional = struct.pack(">QBHH", side.sequence, head[0], TLS12, len(sealed) - 16)
        side.sequence += 1
        return head[0], side.aead.decrypt(nonce, sealed, additional)

    def data(self, size):
        """So many bytes of application data; other records are passed over."""
        out = b""
        while len(out) < size:
            got = self.next_record()
            assert got and got[0] != ALERT, f"after {len(out)} bytes: {got}"
            out += got[1] if got[0] == DATA else b""
        assert len(out) == size, out
        return out

    def expect_alert(self, description):
        """The next record but data is this alert, and the connection ends behind it."""
        while (got := self.next_record()) and got[0] != ALERT:
            pass
        assert got, "the connection ended without an alert"
        assert got[1][1] == description, f"expected alert {description}, got {got[1].hex(' ')}"
        try:
            assert self.next_record() is None
        except ConnectionResetError:
            pass


def xor_sequence(iv, sequence):
    return (int.from_bytes(iv, "big") ^ sequence).to_bytes(12, "big")


# Handshakes by hand

def extension(kind, data):
    return struct.pack(">HH", kind, len(data)) + data


def counted(data, size=2):
    return len(data).to_bytes(size, "big") + data


MODERN_CIPHERS = (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
SIGNATURES = (0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501)
FALLBACK_SCSV = 0x5600
RENEGOTIATION_SCSV = 0x00FF


def client_hello(version=TLS12, supported=(TLS13, TLS12), ciphers=MODERN_CIPHERS, name="localhost", alpn=None, key_share=True,
                 compression=b"\0", more=b"", session_id=b"", random=None):
    """The handshake message. supported: versions in the extension of TLS 1.3, None: without it. more: extensions."""
    extensions = b""
    if name is not None:
        extensions += extension(0, counted(b"\0" + counted(name if isinstance(name, bytes) else name.encode())))
    extensions += extension(10, counted(struct.pack(">HH", 0x001D, 0x0017)))
    extensions += extension(11, b"\1\0")
    extensions += extension(13, counted(b"".join(struct.pack(">H", one) for one in SIGNATURES)))
    if alpn is not None:
        extensions += extension(16, counted(b"".join(counted(one.encode(), 1) for one in alpn)))
    if supported is not None:
        extensions += extension(43, counted(b"".join(struct.pack(">H", one) for one in supported), 1))
        extensions += extension(45, b"\1\1")
        if key_share:
            extensions += extension(51, counted(struct.pack(">H", 0x001D) + counted(os.urandom(32))))
    body = struct.pack(">H", version) + (random or os.urandom(32)) + counted(session_id, 1)
    body += counted(b"".join(struct.pack(">H", one) for one in ciphers)) + counted(compression, 1) + counted(extensions + more)
    return handshake_message(CLIENT_HELLO, body)


def read_records(below):
    """(type, content) of the records that come in the clear, until the connection ends."""
    buffer = b""
    while True:
        while len(buffer) >= 5 and len(buffer) >= 5 + int.from_bytes(buffer[3:5], "big"):
            size = 5 + int.from_bytes(buffer[3:5], "big")
            yield buffer[0], buffer[5:size]
            buffer = buffer[size:]
        try:
            data = below.recv(1 << 16)
        except ConnectionResetError:
            return
        if not data:
            return
        buffer += data


def plain_alert(below):
    """The description of the alert that the server answers with in the clear; None: it ends without one."""
    for kind, content in read_records(below):
        if kind == ALERT:
            return content[1]
    return None
