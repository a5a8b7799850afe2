"""How each client comes is told: by the API and `roost ctl`, in metrics, on $SYS and by presence."""

import json

import pytest

import certificates
import listeners
import transports
from server import roost

pytestmark = pytest.mark.roost_only("it has Roost's API")

WAYS = ("tcp", "tls", "ws", "wss", "unix")
IDENTITY = ["--tls-client-certificates", "optional", "--tls-client-ca-file"]


@pytest.fixture
def server(serve):
    urls = [listeners.url_for(way) for way in WAYS]
    words = listeners.arguments_for(urls)
    return serve(*words, *IDENTITY, certificates.authority().file, "--admin", "http://127.0.0.1:0", "--sys-interval-s", "1",
                 "--shards", "2", listen=[])


def address(server, way):
    return server.addresses[WAYS.index(way)]


def counts(server):
    return server.admin().get("/api/v1/stats").json["clients"]["by_transport"]


def test_api_and_ctl(server):
    url = server.admin().url
    for way in WAYS:
        with server.client(f"by {way}", 5, to=address(server, way)):
            told = server.admin().get(f"/api/v1/clients/by%20{way}").json
            assert told["transport"] == way
            is_tls = way in ("tls", "wss")
            assert told["tls_version"] == ("1.3" if is_tls else None)
            assert told["tls_cipher"] == ("TLS_AES_128_GCM_SHA256" if is_tls else None)
            assert told["certificate_subject"] is None
            row = next(row for row in server.admin().get("/api/v1/clients").json["clients"] if row["client_id"] == f"by {way}")
            assert row["transport"] == way
            shown = roost("ctl", "--url", url, "inspect", f"by {way}").stdout
            assert ["transport", way] in [line.split() for line in shown.splitlines()]


def test_certificate(server):
    shows = transports.Tls(identity=certificates.client("sensor-17"))
    for way in ("tls", "wss"):
        where = address(server, way)
        with server.client(f"by {way}", 5, to=where.over(shows, *where.layers[1:])):
            told = server.admin().get(f"/api/v1/clients/by%20{way}").json
            assert told["certificate_subject"] == "CN=sensor-17,O=Example"


def test_an_offline_session(server):
    with server.session("stays", 5) as client:
        client.disconnect()
    told = server.admin().get("/api/v1/clients/stays").json
    assert (told["state"], told["transport"], told["tls_version"]) == ("offline", None, None)


def test_gauges(server):
    """Each goes down again, however the connection ends."""
    clients = [server.client(f"{way}-{number}", 5, to=address(server, way)) for way in WAYS for number in range(3)]
    assert counts(server) == dict.fromkeys(WAYS, 3)
    text = server.admin().get("/metrics").text
    for way in WAYS:
        assert f'roost_clients_by_transport{{transport="{way}"}} 3' in text
    # Taken over by a connection of another kind; disconnected; broken off.
    over = server.client("tcp-0", 5, to=address(server, "wss"))
    for client in clients[1::3]:
        client.disconnect()
    for client in clients[2::3]:
        client.close()
    server.wait_counter("connections_open", 5)
    assert counts(server) == {"tcp": 0, "tls": 1, "ws": 1, "wss": 2, "unix": 1}
    for client in [over, *clients[0::3]]:
        client.close()
    server.wait_counter("connections_open", 0)
    assert counts(server) == dict.fromkeys(WAYS, 0)


def test_sys(server):
    with server.client("watch", 5, to=address(server, "ws")) as watch, server.client("other", 5, to=address(server, "tls")):
        watch.subscribe("$SYS/broker/clients/+")
        wanted = {f"$SYS/broker/clients/{way}": str(int(way in ("ws", "tls"))).encode() for way in WAYS}
        seen = {}
        while seen != wanted:
            message = watch.message()
            if message.topic in wanted:
                seen[message.topic] = message.payload


@pytest.mark.parametrize("way", WAYS)
def test_presence(server, way):
    shows = transports.Tls(identity=certificates.client("sensor-17"))
    where = address(server, way)
    where = where.over(shows, *where.layers[1:]) if way in ("tls", "wss") else where
    with server.client("watch", 5) as watch:
        watch.subscribe("$SYS/presence/#")
        server.client("comes", 5, to=where).disconnect()
        for _ in range(2):
            told = json.loads(watch.message().payload)
            assert told["transport"] == way
            if way in ("tls", "wss"):
                assert (told["tls"], told["cipher"], told["subject"]) == ("1.3", "TLS_AES_128_GCM_SHA256", "CN=sensor-17,O=Example")
            else:
                assert not {"tls", "cipher", "subject"} & set(told)
