"""A topic or filter has at most 128 levels. One with more is refused and harms nothing else."""

import pytest

from mqtt_wire import PINGREQ_BYTES
from server import roost

MOST = "/".join(["l"] * 128)


def test_as_many_as_there_may_be(server, version):
    with server.client("x", version) as client:
        assert client.subscribe((MOST, 1)) == [1]
        assert client.hand_over(MOST, b"deep") == 0
        assert client.take().payload == b"deep"
        assert client.subscribe((f"$share/group/{MOST}", 0), (MOST[:-1] + "#", 0)) == [0, 0]


@pytest.mark.parametrize("filter", [MOST + "/l", MOST + "/", "/" + MOST, MOST + "/#", MOST + "/+", f"$share/group/{MOST}/l"],
                         ids=["name", "empty-last", "empty-first", "hash", "plus", "shared"])
def test_a_filter_with_more(server, version, filter):
    with server.client("x", version) as client:
        assert client.subscribe("t", filter, "u") == [0, 0x8F if version == 5 else 0x80, 0]
        client.publish("u", b"x")
        assert client.message().payload == b"x"


def test_a_topic_with_more(server, version):
    with server.client("watcher", version) as watcher, server.client("x", version) as client:
        watcher.subscribe("#")
        client.publish(MOST + "/l", b"lost", qos=1, packet_id=1)
        client.send(PINGREQ_BYTES)
        client.ends_or_pings()  # answered or ended, as its version allows: unit tests say which
        with server.client("y", version) as other:
            other.publish("t", b"kept")
        assert watcher.message().payload == b"kept"


def test_the_help_says_so():
    assert "at most 128 levels" in roost("serve", "--help").stdout
