"""What begins with $ is the server's: it tells about itself on $SYS, keeps it out of wildcards, and takes nothing there.
[MQTT-4.7.2-1; MQTT-4.7.2-1 of 3.1.1]"""

import pytest


@pytest.mark.parametrize("text", ["#", "+/#", "+/broker/#", "+/+/+", "+/x"])
def test_wildcards_in_the_first_place_do_not_match(server, version, text):
    with server.client("to", version) as client, server.client("from", version) as publisher:
        client.subscribe(text, "end")
        publisher.publish("$own/x", b"x")
        publisher.publish("$own/broker/x", b"x", retain=True)
        publisher.publish("end", b"end")
        got = {client.message().topic}
        if text == "#" and got != {"end"}:
            got.add(client.message().topic)
        assert got == {"end"}
        with server.client("late", version) as late:
            late.subscribe(text)
            late.expect_nothing_before_ping()


@pytest.mark.parametrize("text", ["$own/#", "$own/+", "$own/x"])
def test_named_they_do(server, version, text):
    with server.client("to", version) as client:
        client.subscribe(text)
        client.publish("$own/x", b"x")
        assert client.message().topic == "$own/x"


def test_the_server_tells_about_itself(serve, version):
    server = serve("--shards", "2", "--sys-interval-s", "1")
    with server.client("to", version) as client:
        client.subscribe("$SYS/#")
        topics = {client.message().topic for _ in range(5)}
        assert len(topics) == 5 and all(topic.startswith("$SYS/") for topic in topics)


def test_nobody_else_tells_there(server, version):
    """Acknowledged, with a reason where there is a word for it, and given to nobody. [MQTT-3.3.5-2 of 3.1.1]"""
    with server.client("to", version) as client, server.client("from", version) as publisher:
        client.subscribe("$SYS/made/up", "end")
        reason = publisher.hand_over("$SYS/made/up", b"x")
        assert version == 4 or reason in (0x87, 0x90, 0x10)
        publisher.publish("end", b"x")
        assert client.message().topic == "end"
