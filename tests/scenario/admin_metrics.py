"""The exposition: promtool has nothing against it, it says what the counters say, and both formats are whole."""

import re
import subprocess

import pytest

SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")


def samples(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            found[name, labels or ""] = float(value)
    return found


@pytest.fixture
def busy(administered):
    """A server that has something to tell."""
    with administered.client("a", 5) as sender, administered.client("b") as receiver:
        receiver.subscribe(("t/#", 1))
        for qos in (0, 1, 1):
            sender.hand_over("t/x", b"hello", qos=qos)
        for _ in range(3):
            receiver.take()
        administered.session("kept", 5).close()
        administered.wait_counter("sessions_offline", 1)
        yield administered


def test_promtool_checks_it(busy):
    text = busy.admin().get("/metrics").text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0 and not checked.stdout + checked.stderr, checked.stdout + checked.stderr


def test_says_what_the_counters_say(busy):
    counters = busy.counters()
    found = samples(busy.admin().get("/metrics").text)
    assert found["roost_clients", 'state="connected"'] == counters["connections_open"] == 2
    assert found["roost_clients", 'state="offline"'] == 1
    assert found["roost_sign_ins_total", 'result="accepted"'] == counters["connections_signed_in"] == 3
    assert found["roost_messages_received_total", 'qos="0"'] == 1
    assert found["roost_messages_received_total", 'qos="1"'] == 2
    assert found["roost_messages_sent_total", 'qos="1"'] == counters["messages_out_qos1"] == 2
    for way in ("received", "sent"):
        assert [found[f"roost_{way}_payload_bytes_total", f'qos="{qos}"'] for qos in (0, 1, 2)] == [5, 10, 0]
    assert found["roost_connections_ended_total", 'reason="connection_lost"'] == counters["end_connection_lost"]
    assert found["roost_subscriptions", ""] == 1
    assert sum(value for (name, _), value in found.items() if name == "roost_shard_clients") == 2
    assert found["roost_delivery_seconds_count", ""] == 3
    assert 0 < found["roost_delivery_seconds_sum", ""] < 3
    assert found["roost_session_bytes", ""] > 100
    assert found["process_resident_memory_bytes", ""] > 1e6
    assert found["roost_kernel_slab_bytes", ""] > 1e6 and found["roost_kernel_tcp_sockets", ""] >= 4


def test_histograms_are_whole(busy):
    busy.admin().clients()  # wakes each shard
    found = samples(busy.admin().get("/metrics").text)
    for shard in ("0", "1"):
        turns = [value for (name, labels), value in found.items()
                 if name == "roost_shard_turn_seconds_bucket" and labels.startswith(f'shard="{shard}",')]
        assert len(turns) == 23 and turns == sorted(turns)
        assert turns[-1] == found["roost_shard_turn_seconds_count", f'shard="{shard}"'] > 0
    lags = sum(found["roost_shard_wake_lag_seconds_count", f'shard="{shard}"'] for shard in ("0", "1"))
    assert lags > 0


def test_descriptors(busy):
    found = samples(busy.admin().get("/metrics").text)
    used = {labels: value for (name, labels), value in found.items() if name == "roost_descriptors_used"}
    assert all(0 < value < found["roost_descriptors_allowed", ""] for value in used.values())
    assert set(used) in ({'table="shard-0"', 'table="shard-1"', 'table="gate-0"', 'table="main"'}, {'table="shared"'})


def test_openmetrics_where_asked_for(busy):
    answer = busy.admin().get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("\n# EOF\n")
    families = re.findall(r"^# TYPE (\S+) (\S+)$", answer.text, re.MULTILINE)
    assert len(families) == len(dict(families)) > 50
    assert not [name for name, kind in families if name.endswith("_total")]
    assert samples(answer.text)["roost_received_bytes_total", ""] > 0


def test_no_gaps_between_scrapes(busy):
    before = samples(busy.admin().get("/metrics").text)
    after = samples(busy.admin().get("/metrics").text)
    assert set(before) == set(after)
    for (name, labels), value in before.items():
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            assert after[name, labels] >= value
