"""A client says DISCONNECT, closes, and signs in again at once, before the server has looked at the first connection: what
it said there counts all the same. [MQTT-3.14.4-3; MQTT-3.14.4-3 of 3.1.1]"""

import pytest

from mqtt_wire import SESSION_EXPIRY, Will, disconnect, publish

ROUNDS = 100


@pytest.mark.threads
def test_no_will_and_no_message_is_lost(server, version):
    def goodbye(client, number):
        client.send(publish("t", str(number), version))
        client.send(b"\xe0\x00")
        client.close()

    with server.client("watch", version) as watch:
        watch.subscribe("t", "will")
        for number in range(ROUNDS):
            goodbye(server.client("same", version, will=Will("will", b"gone")), number)
        for number in range(ROUNDS):
            message = watch.message()
            assert (message.topic, message.payload) == ("t", str(number).encode())


def test_a_session_that_was_ended_is_not_resumed(server):
    for _ in range(ROUNDS):
        client = server.session("same", 5)
        assert client.connack.session_present == 0
        client.send(disconnect(0, [(SESSION_EXPIRY, 0)]))
        client.close()
