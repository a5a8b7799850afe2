"""Nothing for one and a half times the keepalive ends a client; anything at all keeps it. [MQTT-3.1.2-22]"""

import os
import signal
import time

import pytest

from mqtt_wire import PINGREQ_BYTES, PINGRESP_BYTES, TIMEOUT_S


def test_silence(server, version):
    begin = time.monotonic()
    with server.client("silent", version, keepalive=1) as client:
        client.expect_refusal(0x8D)
        assert 1.4 <= time.monotonic() - begin <= 6.0
    server.wait_counter("end_keepalive_timeout", 1)


def test_a_client_that_pings_outlives_one_that_does_not(server, version):
    with server.client("pings", version, keepalive=1) as client, server.client("also silent", version, keepalive=2) as other:
        # The silent one's end, after three seconds, is the clock: the other has pinged all the while.
        other.socket.settimeout(0.4)
        pings = 0
        while True:
            client.send(PINGREQ_BYTES)
            client.expect(PINGRESP_BYTES)
            pings += 1
            other.socket.settimeout(0.4)
            try:
                if not other.socket.recv(1000):
                    break
            except TimeoutError:
                continue
        assert pings >= 5
        client.expect_nothing_before_ping()


def test_publishing_counts(server, version):
    with server.client("talks", version, keepalive=1) as client, server.client("clock", version, keepalive=2) as clock:
        while True:
            client.publish("t", b"x")
            clock.socket.settimeout(0.4)
            try:
                if not clock.socket.recv(1000):
                    break
            except TimeoutError:
                continue
        client.expect_nothing_before_ping()


def test_what_a_client_receives_does_not_count(server, version):
    with server.client("hears", version, keepalive=1) as silent, server.client("talks", version) as talker:
        silent.subscribe("t")
        begin = time.monotonic()
        ended = False
        while not ended and time.monotonic() - begin < 10:
            talker.publish("t", b"x")
            talker.expect_nothing_before_ping()
            silent.socket.settimeout(0.2)
            try:
                ended = not silent.socket.recv(1000)
            except TimeoutError:
                pass
            except ConnectionResetError:
                ended = True
        assert ended
    server.wait_counter("end_keepalive_timeout", 1)


@pytest.mark.parametrize("keepalive", [0])
def test_keepalive_0_never_ends(server, version, keepalive):
    with server.client("forever", version, keepalive=keepalive) as client, server.client("clock", version, keepalive=2) as clock:
        clock.expect_refusal(0x8D)
        client.expect_nothing_before_ping()


def test_who_spoke_while_the_server_was_not_running_stays(serve):
    """The whole program is stopped for longer than the keepalive allows: those who pinged meanwhile are not silent."""
    server = serve("--shards", "1")
    clients = [server.client(f"c-{i}", 4, keepalive=1) for i in range(100)]
    server.process.send_signal(signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, server.process.pid, os.WSTOPPED | os.WNOWAIT)
        for client in clients:
            client.send(PINGREQ_BYTES)
        clients[0].socket.settimeout(2.2)
        with pytest.raises(TimeoutError):
            clients[0].socket.recv(1)
    finally:
        server.process.send_signal(signal.SIGCONT)
    clients[0].socket.settimeout(TIMEOUT_S)
    for client in clients:
        client.expect(PINGRESP_BYTES)
        client.send(PINGREQ_BYTES)
    assert server.counter("end_keepalive_timeout") == 0
    for client in clients:
        client.close()
