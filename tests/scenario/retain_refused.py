"""Retain Available 0 was announced: version 5 is ended for a retained message. 3.1.1 cannot be told; its message goes
to those who are there. [MQTT-3.2.2-14]"""


def test_version_5_is_ended_with_0x9a(server):
    with server.client("from", 5) as publisher:
        publisher.publish("t", b"x", retain=True)
        publisher.expect_refusal(0x9A)
    assert server.counter("end_publish_retain") == 1


def test_3_1_1_is_delivered_without_the_flag_and_not_kept(server, version):
    with server.client("to", version) as subscriber, server.client("from", 4) as publisher:
        subscriber.subscribe("t")
        publisher.publish("t", b"x", retain=True)
        message = subscriber.message()
        assert (message.payload, message.retain) == (b"x", 0)
        with server.client("late", version) as late:
            late.subscribe("t")
            late.expect_nothing_before_ping()
