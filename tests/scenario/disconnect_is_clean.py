"""DISCONNECT ends the connection without a will; anything else ends it with one. [MQTT-3.14, MQTT-3.1.2-8]"""

import pytest

from mqtt_wire import DISCONNECT, DISCONNECT_BYTES, Will, packet

WILL = Will("will/of/one", b"gone")


def test_is_counted_and_closed(server, version):
    client = server.client("d", version)
    client.send(DISCONNECT_BYTES)
    client.expect_close()
    client.close()
    server.wait_counter("connections_open", 0)
    server.wait_counter("end_closed_by_client", 1)


def test_drops_the_will(server, version):
    with server.client("watch", version) as watch:
        watch.subscribe("will/#")
        client = server.client("d", version, will=WILL)
        client.disconnect()
        server.wait_counter("end_closed_by_client", 1)
        watch.expect_nothing_before_ping()


@pytest.mark.parametrize("how", ["close", "reset", "protocol error"])
def test_any_other_end_sends_the_will(server, version, how):
    with server.client("watch", version) as watch:
        watch.subscribe("will/#")
        client = server.client("d", version, will=WILL)
        if how == "close":
            client.close()
        elif how == "reset":
            client.reset()
        else:
            client.send(b"\x00\x00")
            client.ends()
            client.close()
        message = watch.message()
        assert (message.topic, message.payload) == ("will/of/one", b"gone")


def test_version_5_may_ask_for_its_will(server):
    with server.client("watch", 5) as watch:
        watch.subscribe("will/#")
        with server.client("d", 5, will=WILL) as client:
            client.send(packet(DISCONNECT, b"\x04\x00"))
            client.expect_close()
        assert watch.message().payload == b"gone"
    server.wait_counter("end_closed_with_will", 1)


def test_what_comes_behind_it_is_not_read(server, version):
    with server.client("watch", version) as watch, server.client("d", version) as client:
        watch.subscribe("t")
        client.send(DISCONNECT_BYTES)
        try:
            client.publish("t", b"too late")
        except Exception:  # closed already: as good
            pass
        client.expect_close()
        watch.expect_nothing_before_ping()


def test_half_closed_is_closed(server, version):
    with server.client("d", version) as client:
        client.half_close()
        client.expect_close()
    server.wait_counter("connections_open", 0)
