"""No Local keeps a client's own messages from it, and no one else's. [MQTT-3.8.3-3]"""

import pytest

from mqtt_wire import WILL_DELAY, Will, subscribe

NO_LOCAL = 0x04


def test_own_messages_do_not_come_back(server):
    with server.client("me", 5) as me, server.client("you", 5) as you:
        me.subscribe(("t", NO_LOCAL), ("w/#", NO_LOCAL))
        you.subscribe("t", "w/#")
        me.publish("t", b"mine")
        me.publish("w/x", b"mine")
        me.expect_nothing_before_ping()
        assert you.message().payload == b"mine"
        assert you.message().payload == b"mine"
        you.publish("t", b"yours")
        assert me.message().payload == b"yours"


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("delay", [0, 1])
def test_one_s_own_will_does_not_come_back(server, qos, delay):
    will = Will("w", b"gone", qos, pairs=[(WILL_DELAY, delay)])
    with server.client("you", 5) as you:
        you.subscribe("w", ("end", 2))
        me = server.session("me", 5, clean=True, will=will)
        me.subscribe(("w", NO_LOCAL | 2), ("w/#", 2))
        me.reset()
        assert you.message().payload == b"gone"
        with server.session("me", 5) as me:
            assert me.connack.session_present
            if qos:  # what did not ask for No Local gets it as ever
                message = me.take()
                assert (message.topic, message.payload) == ("w", b"gone")
            you.publish("w", b"yours", qos=1)
            assert me.take().payload == b"yours"


def test_on_a_shared_subscription_is_a_protocol_error(server):
    """[MQTT-3.8.3-4]"""
    with server.client("me", 5) as me:
        me.send(subscribe(1, ("$share/g/t", NO_LOCAL), version=5))
        me.expect_refusal(0x82)


def test_3_1_1_has_no_such_bit(server):
    with server.client("me", 4) as me:
        me.send(subscribe(1, ("t", NO_LOCAL)))
        me.expect_close()
