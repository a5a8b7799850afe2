"""Who publishes faster than he may is slowed down, and nothing of it is lost; or he is ended, where that is the policy."""

import time

import pytest

from mqtt_wire import Closed


@pytest.mark.threads
@pytest.mark.parametrize("qos", [0, 1])
def test_slowed_down(serve, version, qos):
    server = serve("--shards", "2", "--client-messages-a-second", "50")
    with server.client("to", version) as to, server.client("fast", version) as fast, server.client("slow", version) as slow:
        to.subscribe(("t", qos), ("u", 0))
        begin = time.monotonic()
        for number in range(150):
            fast.publish("t", str(number), qos=qos, packet_id=number + 1 if qos else None)
        slow.publish("u", b"meanwhile")
        got = [to.take() for _ in range(151)]
        seconds = time.monotonic() - begin
    assert [message.payload for message in got if message.topic == "t"] == [str(number).encode() for number in range(150)]
    # 50 at once, and two seconds for the other hundred; how much longer it takes is the machine's affair.
    assert seconds > 1.9
    server.wait_counter("rate_pauses", lambda count: count > 0)
    server.wait_counter("messages_in", 151)


def test_bytes(serve, version):
    server = serve("--client-bytes-a-second", "20000")
    with server.client("to", version) as to, server.client("fast", version) as fast:
        to.subscribe("t")
        begin = time.monotonic()
        for number in range(60):
            fast.publish("t", bytes([number]) * 1000)
        assert [to.take().payload[0] for _ in range(60)] == list(range(60))
        assert time.monotonic() - begin > 1.9


def test_ended(serve, version):
    server = serve("--client-messages-a-second", "10", "--rate-policy", "end")
    with server.client("fast", version) as fast, server.client("slow", version) as slow:
        try:
            for _ in range(100):
                fast.publish("t", b"x")
        except Closed:
            pass
        fast.expect_refusal(0x96)
        for _ in range(5):
            slow.hand_over("t", b"x")
    server.wait_counter("end_message_rate", 1)
