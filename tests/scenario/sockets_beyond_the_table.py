"""More clients than a descriptor table holds, on as many shards as there are cores: the rest of the sockets is in
io_uring's tables, and nobody can tell."""

import pytest

from mqtt_wire import MAXIMUM_PACKET_SIZE, PUBLISH, REQUEST_RESPONSE, connect

FILES = 128
CLIENTS = 300
TABLES = pytest.mark.parametrize("tables", [[], ["--no-private-tables"]], ids=["private", "shared"])


def start(serve, *options):
    server = serve("--connections", "1000", "--shards", "2", "--gates", "1", *options, files_max=FILES)
    if not any("io_uring's tables" in line for line in server.lines):
        pytest.skip("the kernel, or its owner, has no io_uring for us")
    return server


def crowd(server, count=CLIENTS, **options):
    """The last of them are in no descriptor table."""
    clients = [server.client(f"c-{i}", 4 + i % 2, **options) for i in range(count)]
    assert server.counter("connections_fixed") > count / 3
    return clients


@TABLES
@pytest.mark.threads
def test_they_do_all_that_others_do(serve, tables):
    server = start(serve, *tables)
    clients = crowd(server)
    for client in clients:
        assert client.subscribe("all", f"own/{client.client_id}") == [0, 0]
    clients[-1].publish("all", b"x" * 20000)
    for client in clients:
        assert client.message().payload == b"x" * 20000
    for index, client in enumerate(clients):
        clients[index - 1].hand_over(f"own/{client.client_id}", str(index))
        assert client.message().payload == str(index).encode()
    for client in clients[::2]:
        client.disconnect()
    for client in clients[1::2]:
        client.reset()
    server.wait_counter("connections_open", 0)
    server.wait_counter("connections_fixed", 0)
    assert server.counter("end_closed_by_client") == CLIENTS / 2

    # Places come back with those who left, as often as they are needed.
    for _ in range(2):
        again = crowd(server)
        again[-1].expect_nothing_before_ping()
        for client in again:
            client.close()
        server.wait_counter("connections_open", 0)


def test_a_table_is_used_first(serve):
    server = start(serve)
    with server.client("one"):
        assert server.counter("connections_fixed") == 0


@TABLES
def test_taken_over_by_one_of_them(serve, tables):
    """The older connection is told, and so is closed whichever table it is in."""
    server = start(serve, *tables)
    clients = crowd(server)
    for name in ("c-1", f"c-{CLIENTS - 1}"):
        number = int(name[2:])
        with server.client(name, 5) as newer:
            if clients[number].version == 5:
                assert clients[number].packet().reason == 0x8E
            clients[number].expect_close()
            newer.expect_nothing_before_ping()
    for client in clients:
        client.close()


def test_one_that_does_not_read_gets_it_later(serve):
    server = start(serve, "--queue-bytes-max", "50000000")
    clients = crowd(server)
    with server.client("reads late", 5, receive_buffer=4096) as late:
        late.subscribe("flood")
        for number in range(2000):
            clients[0].publish("flood", number.to_bytes(2, "big") * 4096)
        server.wait_counter("backlog_bytes", lambda waiting: waiting > 1000000)
        # A machine that is overloaded sheds some of what waits for slow readers; what it keeps comes in order.
        kept = server.wait_counter(
            "messages_out", lambda out: out + server.counter("messages_dropped_queue_full") == 2000)
        last = -1
        for _ in range(kept):
            message = late.message()
            number = int.from_bytes(message.payload[:2], "big")
            assert message.kind == PUBLISH and message.payload == number.to_bytes(2, "big") * 4096 and number > last
            last = number
        server.wait_counter("backlog_bytes", 0)
    for client in clients:
        client.close()


def test_packets_that_come_in_pieces(serve):
    server = start(serve)
    clients = crowd(server)
    last = clients[-1]
    last.subscribe("own")
    publish = b"\x30\x05\x00\x03ownx" if last.version == 4 else b"\x30\x07\x00\x03own\x00x"
    publish = bytes([0x30, len(publish) - 2]) + publish[2:]
    for byte in publish:
        last.send(bytes([byte]))
    assert last.message().payload == b"x"
    for client in clients:
        client.close()


def test_admin_sees_them(serve):
    server = start(serve, "--admin", "http://127.0.0.1:0")
    clients = crowd(server)
    admin = server.admin()
    shown = admin.get(f"/api/v1/clients/c-{CLIENTS - 1}").json
    assert shown["address"].startswith("127.0.0.1:")
    assert shown["tcp"]["round_trip_seconds"] > 0
    for client in clients:
        client.close()


@TABLES
@pytest.mark.threads
def test_told_when_the_server_stops(serve, tables):
    server = start(serve, "--disconnect-on-stop", *tables)
    clients = crowd(server)
    server.stop()
    for client in clients:
        if client.version == 5:
            assert client.packet().reason == 0x8B
        client.expect_close()


def test_told_why_it_is_refused(serve):
    """Its socket is in no table any more when the shard finds out that its CONNACK is too large for it."""
    server = start(serve, "--response-information", "x" * 100)
    clients = crowd(server)
    with server.raw(5) as curt:
        curt.send(connect("curt", 5, pairs=[(REQUEST_RESPONSE, 1), (MAXIMUM_PACKET_SIZE, 60)]))
        curt.expect_connack_refusal(0x95)
    for client in clients:
        client.close()


def test_silent_one_is_ended(serve):
    server = start(serve)
    clients = crowd(server)
    silent = server.raw(4)
    silent.send(connect("silent", 4, keepalive=1))
    silent.packet()
    silent.expect_close()
    server.wait_counter("end_keepalive_timeout", 1)
    for client in clients:
        client.close()
