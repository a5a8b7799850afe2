"""SIGTERM: no one new, what was promised is sent, exit 0, in bounded time; and version 5 is told where that is asked for."""

import signal

import pytest

from mqtt_wire import DISCONNECT, PUBLISH


TOLD = "--disconnect-on-stop"


@pytest.mark.threads
@pytest.mark.parametrize("options", [[], [TOLD]], ids=["closed", "told"])
def test_all_connections_end(serve, options):
    """Without a word, after which all clients come back; or with one to those who know it."""
    server = serve("--shards", "3", *options)
    clients = [server.client(f"c-{i}", 4 + i % 2) for i in range(60)]
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        if options:
            client.expect_refusal(0x8B)
        else:
            client.expect_close()
        client.close()
    assert server.process.wait(10) == 0


@pytest.mark.roost_only("its configuration is its own")
def test_told_from_the_next_reload_on(serve, tmp_path):
    config = tmp_path / "roost.yaml"
    config.write_text("disconnect_on_stop: false\n")
    server = serve("--config", str(config))
    with server.client("c", 5) as client:
        config.write_text("disconnect_on_stop: true\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_line("disconnect_on_stop")
        client.expect_nothing_before_ping()
        server.process.send_signal(signal.SIGTERM)
        client.expect_refusal(0x8B)
    assert server.process.wait(10) == 0


def test_what_was_published_before_is_delivered(serve, version):
    server = serve("--shards", "2", TOLD)
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe("t")
        for number in range(200):
            publisher.publish("t", str(number))
        publisher.expect_nothing_before_ping()
        server.process.send_signal(signal.SIGTERM)
        packets = subscriber.ends()
        messages = [packet for packet in packets if packet.kind != DISCONNECT]
        assert [int(message.payload) for message in messages] == list(range(200))
        assert len(packets) - len(messages) == (version == 5)
    assert server.process.wait(10) == 0


def test_output_that_waits_is_flushed(serve):
    """A reader that is behind when the stop comes gets all that waits for it, and the DISCONNECT behind it."""
    server = serve("--shards", "1", "--drain-ms", "20000", TOLD)
    with server.client("behind", 5, receive_buffer=4096) as behind, server.client("from", 5) as publisher:
        behind.subscribe("t")
        for number in range(100):
            publisher.publish("t", number.to_bytes(4, "big") + b"x" * 60000)
        publisher.expect_nothing_before_ping()
        counters = server.counters()
        assert counters["backlog_bytes"] > 0
        server.process.send_signal(signal.SIGTERM)
        packets = behind.ends()
        assert [packet.kind for packet in packets[:-1]] == [PUBLISH] * counters["messages_out"]
        assert (packets[-1].kind, packets[-1].reason) == (DISCONNECT, 0x8B)
    assert server.process.wait(10) == 0


def test_clients_that_do_not_read_do_not_hold_it_up(serve):
    server = serve("--drain-ms", "1000", "--queue-bytes-max", "2000000")
    stuck = server.client("stuck", 5, receive_buffer=4096)
    stuck.subscribe("t")
    with server.client("from", 5) as publisher:
        for _ in range(3000):
            publisher.publish("t", b"x" * 4096)
        publisher.expect_nothing_before_ping()
        assert server.stop() < 4
    stuck.close()


def test_half_connected_clients_do_not_hold_it_up(serve):
    server = serve("--drain-ms", "1000", "--connect-timeout-ms", "60000")
    halves = [server.raw() for _ in range(20)]
    for half in halves:
        half.send(b"\x10")
    assert server.stop() < 4
    for half in halves:
        half.expect_close()
        half.close()


def test_sigint_is_the_same(serve):
    server = serve(TOLD)
    with server.client("c", 5) as client:
        server.process.send_signal(signal.SIGINT)
        client.expect_refusal(0x8B)
    assert server.process.wait(10) == 0


def test_wills_are_sent_to_no_one_but_nothing_breaks(serve):
    from mqtt_wire import Will
    server = serve("--shards", "2", TOLD)
    clients = [server.client(f"c-{i}", 5, will=Will("w", b"gone")) for i in range(20)]
    for client in clients:
        client.subscribe("w")
    assert server.stop() < 6
    for client in clients:
        assert client.ends()[-1].reason == 0x8B
        client.close()


def test_an_idle_server_stops_at_once(serve):
    assert serve().stop() < 2
