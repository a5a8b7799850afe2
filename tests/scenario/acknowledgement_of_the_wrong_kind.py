"""An acknowledgement of another kind than is due for a message under way is a protocol error; one of nothing under way is
harmless. [MQTT-2.2.1-5, MQTT-4.3.2-3, MQTT-4.3.3-3, MQTT-4.3.3-5, MQTT-4.13.1-1; MQTT-4.8.0-1 of 3.1.1]"""

import pytest

from mqtt_wire import PUBACK, PUBCOMP, PUBREC, PUBREL, acknowledge

# QoS of the message, what is sent first and in order, what is sent then
WRONG = {
    "PUBREC for QoS 1": (1, None, PUBREC),
    "PUBCOMP for QoS 1": (1, None, PUBCOMP),
    "PUBACK for QoS 2": (2, None, PUBACK),
    "PUBCOMP before PUBREC": (2, None, PUBCOMP),
    "PUBACK after PUBREC": (2, PUBREC, PUBACK),
}


@pytest.mark.roost_only("mosquitto 2.0.11 lets some of them pass")
@pytest.mark.parametrize("case", WRONG)
def test_ends_the_connection(server, version, case):
    """And the message is still under way in the session."""
    qos, first, wrong = WRONG[case]
    with server.client("from", version) as publisher:
        with server.session("to", version) as client:
            client.subscribe(("t", 2))
            publisher.hand_over("t", b"x", qos=qos)
            number = client.message().packet_id
            if first:
                client.send(acknowledge(first, number))
                client.expect_kind(PUBREL)
            client.send(acknowledge(wrong, number))
            client.expect_refusal(0x82)
        server.wait_counter("end_ack_unexpected", 1)
        with server.session("to", version) as again:
            assert again.packet().packet_id == number


@pytest.mark.parametrize("kind", [PUBACK, PUBCOMP])
def test_of_nothing_is_harmless(server, version, kind):
    """Also beside one that is under way, and for an identifier whose exchange is over."""
    with server.client("to", version) as client, server.client("from", version) as publisher:
        client.subscribe(("t", 2))
        for qos in (1, 2):
            publisher.hand_over("t", b"x", qos=qos)
            message = client.message()
            client.send(acknowledge(kind, message.packet_id + 1000))
            client.expect_nothing_before_ping()
            client.accept(message)
            client.send(acknowledge(kind, message.packet_id))
            client.expect_nothing_before_ping()
