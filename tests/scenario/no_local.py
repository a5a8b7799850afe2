"""No Local keeps a client's own messages from it, and no one else's. [MQTT-3.8.3-3]"""

from mqtt_wire import subscribe

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


def test_on_a_shared_subscription_is_a_protocol_error(server):
    """[MQTT-3.8.3-4]"""
    with server.client("me", 5) as me:
        me.send(subscribe(1, ("$share/g/t", NO_LOCAL), version=5))
        me.expect_refusal(0x82)


def test_3_1_1_has_no_such_bit(server):
    with server.client("me", 4) as me:
        me.send(subscribe(1, ("t", NO_LOCAL)))
        me.expect_close()
