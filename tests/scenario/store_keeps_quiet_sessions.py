"""With a store, a session of a client that was connected outlives a crash, however long nothing had happened before: the time
that it has without its client begins with the crash. [MQTT-3.1.2-23]"""

from mqtt_wire import let_pass

EXPIRY_S = 4
QUIET_S = 18  # longer than the session may be left alone, and in the middle between two commits (STORE_HEARTBEAT_S)


def test_a_quiet_client_has_its_session_after_a_crash(stored):
    with stored.server.session("quiet", 5, expiry=EXPIRY_S) as client:
        client.subscribe("t")
        for _ in range(QUIET_S):
            let_pass(1)
            client.expect_nothing_before_ping()
        server = stored.again("crash")
        with server.session("quiet", 5, expiry=EXPIRY_S) as again:
            assert again.connack.session_present == 1
