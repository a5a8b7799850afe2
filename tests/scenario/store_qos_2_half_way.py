"""With a store, an exchange of QoS 2 goes on after the server's end where it was, in both directions: nothing is doubled and
nothing is lost. [MQTT-4.3.3-10, MQTT-4.3.3-12, MQTT-4.4.0-1]"""

import pytest

from mqtt_wire import PUBCOMP, PUBREC, PUBREL, acknowledge
from store import ENDS


@pytest.fixture
def away(stored, version):
    with stored.server.session("to", version) as client:
        client.subscribe(("t", 2))
        client.disconnect()
    return "to"


@pytest.mark.threads
@pytest.mark.parametrize("end", ENDS)
def test_published_and_not_released(stored, version, away, end):
    """The publisher sends it again, and it is not delivered again."""
    client = stored.server.session("from", version)
    client.publish("t", b"x", qos=2, packet_id=7)
    client.expect_kind(PUBREC)
    server = stored.again(end)
    client.close()
    with server.session("from", version) as again:
        assert again.connack.session_present == 1
        again.publish("t", b"x", qos=2, packet_id=7, dup=True)
        assert again.expect_kind(PUBREC).packet_id == 7
        assert again.release(7) == 0
    with server.session(away, version) as client:
        assert client.take().payload == b"x"
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("end", ENDS)
def test_published_and_released(stored, version, away, end):
    """The identifier is free again: the same one means another message."""
    client = stored.server.session("from", version)
    client.publish("t", b"x", qos=2, packet_id=7)
    client.expect_kind(PUBREC)
    assert client.release(7) == 0
    server = stored.again(end)
    client.close()
    with server.session("from", version) as again:
        again.publish("t", b"y", qos=2, packet_id=7)
        again.expect_kind(PUBREC)
        again.release(7)
    with server.session(away, version) as client:
        assert [client.take().payload for _ in range(2)] == [b"x", b"y"]
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("end", ENDS)
def test_delivered_and_not_answered(stored, version, away, end):
    """It is sent again with the identifier that it had."""
    with stored.server.client("from", version) as publisher:
        publisher.hand_over("t", b"x", qos=2)
    client = stored.server.session(away, version)
    first = client.message()
    server = stored.again(end)
    client.close()
    with server.session(away, version) as again:
        message = again.take()
        assert (message.payload, message.qos) == (b"x", 2)
        assert message.packet_id == first.packet_id
        again.expect_nothing_before_ping()


@pytest.mark.parametrize("end", ENDS)
def test_delivered_and_answered_with_pubrec(stored, version, away, end):
    """PUBREL comes again, and never the PUBLISH."""
    with stored.server.client("from", version) as publisher:
        publisher.hand_over("t", b"x", qos=2)
    client = stored.server.session(away, version)
    message = client.message()
    client.send(acknowledge(PUBREC, message.packet_id))
    client.expect_kind(PUBREL)
    server = stored.again(end)
    client.close()
    with server.session(away, version) as again:
        assert again.expect_kind(PUBREL).packet_id == message.packet_id
        again.send(acknowledge(PUBCOMP, message.packet_id))
        again.expect_nothing_before_ping()
    with server.session(away, version) as third:
        third.expect_nothing_before_ping()
