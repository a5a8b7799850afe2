"""With a store, the will of a session outlives the server: it comes when it is due, or at the start if that was meanwhile.
[MQTT-3.1.3-9, MQTT-3.1.2-8]"""

import pytest

from mqtt_wire import WILL_DELAY, Will, let_pass
from store import ENDS


def delayed(seconds, payload=b"gone", **options):
    return Will("will/x", payload, pairs=[(WILL_DELAY, seconds)], **options)


def watching(server):
    """A session that subscribes to wills, and whose client has left."""
    with server.session("watch", 5) as client:
        client.subscribe(("will/#", 2))
        client.disconnect()


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("end", ENDS)
def test_it_comes_after_the_restart(stored, end, qos):
    watching(stored.server)
    stored.server.session("ends", 5, will=delayed(2, qos=qos)).reset()
    stored.server.wait_counter("connections_open", 0)
    server = stored.again(end)
    with server.session("watch", 5) as watch:
        message = watch.take()
        assert (message.payload, message.qos) == (b"gone", qos)


@pytest.mark.parametrize("end", ENDS)
def test_due_while_the_server_is_away(stored, end):
    watching(stored.server)
    stored.server.session("ends", 5, will=delayed(1, qos=1)).reset()
    stored.server.wait_counter("connections_open", 0)
    getattr(stored.server, end)()
    let_pass(1.5)
    with stored.start().session("watch", 5) as watch:
        assert watch.take().payload == b"gone"


def test_of_a_connection_that_the_crash_has_cut(stored):
    """Its client is as lost as if its network were: the delay runs from the end of the log on."""
    watching(stored.server)
    client = stored.server.session("ends", 5, will=delayed(1, qos=1))
    server = stored.again("crash")
    with server.session("watch", 5) as watch:
        assert watch.take().payload == b"gone"
    client.close()


def test_who_comes_back_in_time_has_none(stored):
    watching(stored.server)
    client = stored.server.session("back", 5, will=delayed(1000, qos=1))
    server = stored.again("crash")
    client.close()
    with server.session("back", 5) as back:
        assert back.connack.session_present == 1
        back.disconnect()
    with server.session("watch", 5) as watch:
        watch.expect_nothing_before_ping()
