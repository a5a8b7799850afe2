"""A client says CONNECT once. [MQTT-3.1.0-2; MQTT-3.1.0-2 of 3.1.1]"""

from mqtt_wire import connect


def test_second_connect_ends_the_connection(server, version):
    with server.client("twice", version) as client:
        client.send(connect("twice", version))
        client.expect_refusal(0x82)
    server.wait_counter("end_connect_twice", 1)


def test_second_connect_in_the_same_segment(server, version):
    with server.raw(version) as connection:
        connection.send(connect("twice", version) * 2)
        assert connection.packet().reason == 0
        connection.expect_refusal(0x82)
