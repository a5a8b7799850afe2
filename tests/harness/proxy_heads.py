"""Heads of the PROXY protocol, versions 1 and 2, as a balancer sends them before a client's bytes."""

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOCAL, PROXY = 0, 1
UNSPEC, TCP4, UDP4, TCP6, UDP6, UNIX_STREAM = 0x00, 0x11, 0x12, 0x21, 0x22, 0x31
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER = 0x21, 0x22, 0x23
CLIENT_SSL, CLIENT_CERT_CONN = 1, 2


def v1(source="192.0.2.7", port=40000, target="192.0.2.1", target_port=1883, family=None):
    family = family or ("TCP6" if ":" in source else "TCP4")
    if family == "UNKNOWN":
        return b"PROXY UNKNOWN\r\n"
    return f"PROXY {family} {source} {target} {port} {target_port}\r\n".encode()


def tlv(kind, value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">BH", kind, len(value)) + value


def tlv_ssl(version="TLSv1.3", common_name=None, cipher=None, verified=True):
    inner = tlv(SSL_VERSION, version)
    inner += tlv(SSL_CN, common_name) if common_name is not None else b""
    inner += tlv(SSL_CIPHER, cipher) if cipher else b""
    bits = CLIENT_SSL | (CLIENT_CERT_CONN if common_name is not None else 0)
    return tlv(SSL, struct.pack(">BI", bits, 0 if verified else 1) + inner)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def v2(source="192.0.2.7", port=40000, target=None, target_port=1883, tlvs=b"", command=PROXY, version=2, family=None,
       length=None, checksum=False):
    """family: byte 14; None takes the source's. length: what is said where that is not what comes."""
    if command == LOCAL or source is None:
        addresses, family = b"", UNSPEC if family is None else family
    else:
        is_6 = ":" in source
        target = target or ("2001:db8::1" if is_6 else "192.0.2.1")
        addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed + struct.pack(">HH", port, target_port)
        family = (TCP6 if is_6 else TCP4) if family is None else family
    if checksum:
        tlvs += tlv(CRC32C, b"\0" * 4)
    size = len(addresses) + len(tlvs) if length is None else length
    head = SIGNATURE + struct.pack(">BBH", version << 4 | command, family, size) + addresses + tlvs
    if checksum:
        head = head[:-4] + struct.pack(">I", crc32c(head))
    return head


def unix_head(path=b"/run/client", target=b"/run/roost"):
    addresses = path.ljust(108, b"\0") + target.ljust(108, b"\0")
    return SIGNATURE + struct.pack(">BBH", 2 << 4 | PROXY, UNIX_STREAM, len(addresses)) + addresses
