"""A will that waits: until its delay has passed or its session ends, and not at all if its client comes back before.
[MQTT-3.1.3-9, MQTT-3.1.2-8]"""

import time

import pytest

from mqtt_wire import SESSION_EXPIRY, WILL_DELAY, Will


def delayed(seconds, payload=b"gone", **options):
    return Will("will/x", payload, pairs=[(WILL_DELAY, seconds)], **options)


@pytest.fixture
def watch(server):
    with server.client("watch", 5) as client:
        client.subscribe(("will/#", 2), ("end", 2))
        yield client


def nothing_came(watch):
    watch.hand_over("end", b"", qos=2)
    assert watch.take().topic == "end"


@pytest.mark.threads
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_it_comes_when_the_delay_has_passed(server, watch, qos):
    client = server.session("ends", 5, will=delayed(1, qos=qos))
    begin = time.monotonic()
    client.reset()
    message = watch.take()
    assert (message.payload, message.qos) == (b"gone", qos)
    assert WILL_DELAY not in message.properties
    assert time.monotonic() - begin > 0.9


def test_the_session_s_end_comes_first(server, watch):
    server.session("ends", 5, expiry=1, will=delayed(3600)).reset()
    assert watch.take().payload == b"gone"


@pytest.mark.roost_only("mosquitto 2.0.11 waits for the delay though the session has ended")
def test_a_session_that_ends_with_its_connection_waits_for_nothing(server, watch):
    server.client("ends", 5, will=delayed(3600)).reset()
    assert watch.take().payload == b"gone"


@pytest.mark.roost_only("mosquitto 2.0.11 waits for the delay though the session has ended")
def test_a_disconnect_that_ends_the_session_waits_for_nothing(server, watch):
    server.session("ends", 5, will=delayed(3600)).disconnect(0x04, [(SESSION_EXPIRY, 0)])
    assert watch.take().payload == b"gone"


def test_who_comes_back_in_time_has_none(server, watch):
    """Another's will, whose delay is over later, is the clock."""
    server.session("back", 5, will=delayed(1)).reset()
    back = server.session("back", 5)
    assert back.connack.session_present == 1
    server.session("clock", 5, will=delayed(2, b"clock")).reset()
    assert watch.take().payload == b"clock"
    back.disconnect()
    nothing_came(watch)


def test_who_comes_back_has_the_new_one(server, watch):
    server.session("back", 5, will=delayed(1, b"old")).reset()
    server.session("back", 5, will=delayed(1, b"new")).reset()
    assert watch.take().payload == b"new"
    nothing_came(watch)


@pytest.mark.roost_only("mosquitto 2.0.11 waits for the delay though the session has ended")
def test_a_clean_start_ends_the_session_and_the_wait(server, watch):
    """[section 3.1.3.2.2]: the will is published, for its session has ended."""
    server.session("same", 5, will=delayed(3600)).reset()
    with server.session("same", 5, clean=True) as client:
        assert client.connack.session_present == 0
        assert watch.take().payload == b"gone"


def test_a_take_over_that_resumes_has_none(server, watch):
    """The connection that was taken over has not been lost: its client is there."""
    first = server.session("same", 5, will=delayed(1))
    with server.session("same", 5) as second:
        first.expect_refusal(0x8E)
        server.session("clock", 5, will=delayed(2, b"clock")).reset()
        assert watch.take().payload == b"clock"
        second.expect_nothing_before_ping()
    first.close()


@pytest.mark.roost_only("mosquitto 2.0.11 forgets the will")
def test_a_take_over_that_resumes_publishes_one_without_delay(server, watch):
    """[section 3.1.4]: with a delay of 0 the will is sent when the first connection is closed."""
    first = server.session("same", 5, will=Will("will/x", b"gone"))
    with server.session("same", 5):
        assert watch.take().payload == b"gone"
    first.close()


def test_disconnect_with_0_forgets_it(server, watch):
    server.session("leaves", 5, will=delayed(1)).disconnect()
    server.session("clock", 5, will=delayed(2, b"clock")).reset()
    assert watch.take().payload == b"clock"


def test_disconnect_with_will_starts_the_wait(server, watch):
    begin = time.monotonic()
    server.session("leaves", 5, will=delayed(1)).disconnect(0x04)
    assert watch.take().payload == b"gone"
    assert time.monotonic() - begin > 0.9


def test_many_at_once(server, watch):
    for number in range(50):
        server.session(f"ends-{number}", 5, will=delayed(1, str(number))).reset()
    assert sorted(int(watch.take().payload) for _ in range(50)) == list(range(50))
