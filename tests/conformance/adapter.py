"""Runs one of mosquitto's tests of its broker, unchanged, with comparisons by meaning where the standard leaves a choice:

    adapter.py SUITE TEST [PORT...]

The suite compares bytes, which include what mosquitto chose where it was free to. Here a packet is as expected when it
says the same: CONNACK may tell more of the server's limits, an acknowledgement may be short or long, 0x00 and 0x10 both
take a message over, properties may come in any order (user properties among themselves may not), a packet identifier
that the server gives is its own to choose, and a server may say why it closes.
"""

import os
import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "harness"))

from mqtt_wire import (ASSIGNED_CLIENT_ID, AUTH, CONNACK, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL,  # noqa: E402
                       REASON_STRING, RECEIVE_MAXIMUM, SUBACK, TOPIC_ALIAS_MAXIMUM, UNSUBACK, USER_PROPERTY, Packet)

NO_SUBSCRIBERS = 0x10


class State:
    version = 4


def read_packet(sock):
    """One packet's bytes, or what came of it before the connection ended."""
    data = b""

    def more(size):
        nonlocal data
        end = len(data) + size
        while len(data) < end:
            got = sock.recv(end - len(data))
            if not got:
                return False
            data += got
        return True

    size = shift = 0
    if not more(1):
        return data
    while more(1):
        size |= (data[-1] & 0x7F) << shift
        shift += 7
        if not data[-1] & 0x80:
            more(size)
            break
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


def decode(data):
    header = 1
    while data[header] & 0x80:
        header += 1
    return Packet(data[0], data[header + 1:], State.version)


def same_properties(got, expected, optional=()):
    """Those of expected, and no others but optional ones."""
    user = [[value for identifier, value in pairs if identifier == USER_PROPERTY] for pairs in (got, expected)]
    rest = [sorted((pair for pair in pairs if pair[0] != USER_PROPERTY and pair[0] not in optional), key=repr)
            for pairs in (got, expected)]
    return user[0] == user[1] and rest[0] == rest[1]


def same_connack(got, expected):
    if (got.session_present, got.reason) != (expected.session_present, expected.reason):
        return False
    limits = {RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM}
    wanted = [pair for pair in expected.pairs if pair[0] not in limits]
    return all(pair in got.pairs for pair in wanted)


def same_acknowledgement(got, expected):
    reasons = [0 if packet.reason == NO_SUBSCRIBERS else packet.reason for packet in (got, expected)]
    return got.packet_id == expected.packet_id and reasons[0] == reasons[1]


def same_publish(got, expected):
    fields = ("dup", "qos", "retain", "topic", "payload", "packet_id")
    return all(getattr(got, field) == getattr(expected, field) for field in fields) \
        and same_properties(got.pairs, expected.pairs)


def same(got, expected):
    """Whether two packets' bytes say the same."""
    if got == expected:
        return True
    try:
        packets = decode(got), decode(expected)
    except (AssertionError, IndexError, KeyError, UnicodeDecodeError):
        return False
    if packets[0].kind != packets[1].kind:
        return False
    kind = packets[0].kind
    if kind == CONNACK:
        return State.version == 5 and same_connack(*packets)
    if kind == PUBLISH:
        return same_publish(*packets)
    if State.version < 5 or packets[0].flags != packets[1].flags:
        return False
    if kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        return same_acknowledgement(*packets)
    if kind in (SUBACK, UNSUBACK):
        return packets[0].packet_id == packets[1].packet_id and packets[0].codes == packets[1].codes
    return kind in (DISCONNECT, AUTH) and packets[0].reason == packets[1].reason


def same_head(got, cut):
    """The test has cut what it cannot know, the assigned client id: it has to be there."""
    return got[:1] == cut[:1] == b"\x20" and State.version == 5 and ASSIGNED_CLIENT_ID in decode(got).properties


def is_refusal(data):
    """A word before the connection is closed, which the standard allows and does not ask for."""
    return data[:1] in (b"\x20", b"\xe0") and decode(data).reason >= 0x80


def is_cut(data):
    size = shift = 0
    for end, digit in enumerate(data[1:5], 2):
        size |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return len(data) < end + size
    return True


def adapt(mosq_test):
    """Puts these comparisons into the suite's module in place of its own."""
    generate_connect = mosq_test.gen_connect
    generate_connack = mosq_test.gen_connack

    def gen_connect(*arguments, **options):
        State.version = options.get("proto_ver", 4)
        return generate_connect(*arguments, **options)

    def gen_connack(*arguments, **options):
        State.version = options.get("proto_ver", 4)
        return generate_connack(*arguments, **options)

    def packet_matches(name, received, expected):
        if same(received, expected):
            return True
        print(f"{name}:\n  received {received.hex(' ')}\n  expected {expected.hex(' ')}")
        return False

    def expect_packet(sock, name, expected):
        if not expected:
            received = read_packet(sock)
            if received and is_refusal(received):
                received = read_packet(sock)
            if packet_matches(name, received, expected):
                return True
        else:
            for one in split_packets(expected):
                received = read_packet(sock)
                if not (is_cut(one) and received and same_head(received, one)) and not packet_matches(name, received, one):
                    break
            else:
                return True
        raise mosq_test.TestError

    def receive_unordered(sock, first, second, name):
        expected = split_packets(first) + split_packets(second)
        for _ in range(len(expected)):
            received = read_packet(sock)
            found = next((one for one in expected if same(received, one)), None)
            if found is None:
                packet_matches(name, received, b" or ".join(expected))
                raise ValueError(name)
            expected.remove(found)

    for function in (gen_connect, gen_connack, packet_matches, expect_packet, receive_unordered):
        setattr(mosq_test, function.__name__, function)


def main():
    suite, test, *ports = sys.argv[1:]
    os.chdir(Path(suite, "broker"))
    sys.path[:0] = [str(Path(suite)), str(Path(suite, "broker"))]
    sys.argv = [test, *ports]
    import mosq_test  # of the suite
    adapt(mosq_test)
    runpy.run_path(test, run_name="__main__")


if __name__ == "__main__":
    main()
