"""How a bridge comes to its broker: over TLS, with a password, in the version that the broker knows; and mistakes in `bridges`
are told with their place, at the start and at a reload."""

import subprocess
from functools import partial

import pytest

import certificates
from bridges import Link, Mosquitto, free_port, is_drained, wait_bridge, waits, works, write
from server import roost

pytestmark = pytest.mark.roost_only("others are told otherwise what to bridge")

GOOD = {"name": "hq", "url": "mqtt://127.0.0.1:1", "up": "a/#"}


@pytest.fixture
def begin(serve, tmp_path):
    def begin(*bridges, **options):
        config = write(tmp_path, *bridges, **options)
        return serve("--config", config, "--shards", "2", "--admin", "http://127.0.0.1:0")

    return begin


def secret(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def guarded(opening, tmp_path):
    """A mosquitto that wants a password."""
    file = tmp_path / "users"
    file.touch()
    subprocess.run(["mosquitto_passwd", "-b", file, "site7", "right"], check=True, capture_output=True)
    return opening(Mosquitto, f"password_file {file}", anonymous=False)


def test_a_password_that_is_wrong_and_then_right(guarded, begin, tmp_path):
    file = tmp_path / "password"
    secret(file, "wrong\n")
    server = begin({**GOOD, "url": guarded.url, "user": "site7", "password_file": str(file)})
    bridge = wait_bridge(server, "hq", lambda one: waits(one) and one["retries"] > 1)
    assert bridge["last_error"] == "the broker refused the session with reason 0x87, Not authorized"
    server.wait_line("warning bridge hq: the broker refused the session with reason 0x87")
    secret(file, "right\n")
    wait_bridge(server, "hq", works)


def test_a_password_in_version_3_1_1(guarded, begin, tmp_path):
    file = tmp_path / "password"
    secret(file, "wrong\n")
    server = begin({**GOOD, "url": guarded.url, "user": "site7", "password_file": str(file), "protocol": "3.1.1"})
    bridge = wait_bridge(server, "hq", waits)
    assert bridge["last_error"] == "the broker refused the session with reason 0x05, Not authorized"


def tls_lines(identity, *more):
    return [f"certfile {identity.chain}", f"keyfile {identity.key}", f"cafile {certificates.authority().file}", *more]


def test_tls_with_a_certificate_of_its_own(opening, begin):
    broker = opening(Mosquitto.over_tls, *tls_lines(certificates.server(), "require_certificate true"))
    mine = certificates.client()
    files = {"ca_file": certificates.authority().file, "certificate_file": mine.chain, "key_file": mine.key}
    server = begin({**GOOD, "url": broker.url, **{key: str(path) for key, path in files.items()}})
    wait_bridge(server, "hq", works)
    with server.client("from", 5) as sender:
        for n in range(20):
            assert sender.hand_over(f"a/{n}", b"x" * 100 * n) < 0x80
    wait_bridge(server, "hq", lambda one: one["sent"] == 20)


def test_tls_over_a_link_that_breaks(opening, begin):
    """Records are cut anywhere; each message comes once."""
    broker = opening(Mosquitto.over_tls, *tls_lines(certificates.server()), plain=True)
    link = opening(Link, broker.port)
    server = begin({**GOOD, "up": "a/# qos=2", "url": link.url.replace("mqtt://", "mqtts://"), "ca_file": str(certificates.authority().file)})
    wait_bridge(server, "hq", works)
    with broker.client("to") as to, server.client("from", 5) as sender:
        to.subscribe(("a/#", 0))
        for n in range(200):
            assert sender.hand_over("a/x", b"%d" % n, qos=2) < 0x80
            if n % 40 == 20:
                link.bytes_max = 3000 + 500 * n
                link.drop()
        link.bytes_max = None
        link.drop()
        assert [int(to.take(20).payload) for _ in range(200)] == list(range(200))
    wait_bridge(server, "hq", is_drained)


def test_tls_to_whom_it_does_not_trust(opening, begin):
    broker = opening(Mosquitto.over_tls, *tls_lines(certificates.server()))
    server = begin({**GOOD, "url": broker.url, "ca_file": str(certificates.stranger().file)})
    assert "TLS: " in wait_bridge(server, "hq", waits)["last_error"]


def test_tls_where_there_is_none(opening, begin):
    broker = opening(Mosquitto)
    server = begin({**GOOD, "url": broker.url.replace("mqtt://", "mqtts://"), "ca_file": str(certificates.authority().file)})
    assert "TLS: " in wait_bridge(server, "hq", waits)["last_error"]


def test_a_name_that_is_not_found(begin):
    server = begin({**GOOD, "url": "mqtt://nowhere.invalid"})
    assert wait_bridge(server, "hq", waits)["last_error"].startswith("the name is not found: ")


def refuse(tmp_path, **keys):
    """What is said of a bridge with these keys that stands in line 40."""
    lines = []
    for key, value in {**GOOD, **keys}.items():
        lines.append(f"{key}: {value}")
    text = "# \n" * 38 + "bridges:\n  - " + "\n    ".join(lines) + "\n"
    (tmp_path / "roost.yaml").write_text(text)
    ended = roost("serve", "--config", str(tmp_path / "roost.yaml"), "--listen", "tcp://127.0.0.1:0")
    assert ended.returncode == 2, ended
    return ended.stderr.removeprefix(f"roost: {tmp_path}/roost.yaml:")


def test_mistakes_are_told_with_their_place(tmp_path):
    assert refuse(tmp_path, url="http://h/").startswith('41:10: bridges: url: "http://h/" begins neither with mqtt:// nor with')
    assert refuse(tmp_path, url="mqtt://u:p@h").startswith('41:10: bridges: url: "mqtt://u:p@h" has no port behind the colon')
    assert refuse(tmp_path, url="mqtt://h/path").startswith('41:10: bridges: url: "mqtt://h/path" is not mqtt://HOST:PORT')
    assert refuse(tmp_path, up="a/#/b").startswith('42:9: bridges: up: "a/#/b" is no topic filter: ')
    assert refuse(tmp_path, up="a/# qos=3").startswith('42:9: bridges: up: "qos=3" is none of qos=0, qos=1, qos=2, local=PREFIX and')
    assert refuse(tmp_path, up="a/# remote=x/#/").startswith('42:9: bridges: up: "x/#/" is no prefix of a topic')
    assert refuse(tmp_path, up="[a, a]").startswith('42:13: bridges: up: "a" is there for the second time')
    assert refuse(tmp_path, when_full="wait").startswith('43:16: bridges: when_full: "wait" is neither drop_oldest nor drop_newest')
    assert refuse(tmp_path, protocol=4).startswith('43:15: bridges: protocol: "4" is neither 5 nor 3.1.1')
    assert refuse(tmp_path, topics="a").startswith("43:5: bridges: topics: a bridge has no such key; it has name, url, up, down,")
    assert refuse(tmp_path, ca_file="x").startswith("40:5: bridges: bridge hq has files for TLS, and its url does not begin with")
    assert refuse(tmp_path, url="mqtts://h", key_file="x").startswith("40:5: bridges: bridge hq has only one of certificate_file")
    assert refuse(tmp_path, password_file="x").startswith("40:5: bridges: bridge hq has a password_file and no user")
    missing = refuse(tmp_path, user="u", password_file="/nowhere")
    assert missing == "40: bridges: hq: password_file: /nowhere: No such file or directory\n"


def test_a_reload_with_a_mistake_changes_nothing(opening, begin, tmp_path):
    broker = opening(Mosquitto)
    server = begin({**GOOD, "url": broker.url})
    before = wait_bridge(server, "hq", works)
    write(tmp_path, {**GOOD, "url": "nonsense"})
    assert server.admin().post("/api/v1/reload").status != 200
    after = wait_bridge(server, "hq", works)
    assert after["connections"] == before["connections"] == 1
    write(tmp_path, {**GOOD, "url": broker.url}, {**GOOD, "name": "second", "url": f"mqtt://127.0.0.1:{free_port()}"})
    assert server.admin().post("/api/v1/reload").status == 200
    wait_bridge(server, "second", waits)
    wait_bridge(server, "hq", works)
