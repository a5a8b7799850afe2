"""What a client's kernel knows of its connection to the server, to be compared with what the server tells of it."""

import socket
import struct

# In struct tcp_info of linux/tcp.h.
BYTES_RECEIVED, BYTES_SENT, BYTES_RETRANSMITTED = 128, 200, 208


def on_the_wire(client):
    """What the client's kernel has sent so far, and what it has received and now acknowledges."""
    wire = client.socket.wire
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    info = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    at = {name: struct.unpack_from("Q", info, name)[0] for name in (BYTES_RECEIVED, BYTES_SENT, BYTES_RETRANSMITTED)}
    return at[BYTES_SENT] - at[BYTES_RETRANSMITTED], at[BYTES_RECEIVED]
