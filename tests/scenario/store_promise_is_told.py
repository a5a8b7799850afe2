"""What an acknowledgement promises is told wherever an operator looks: in the log, on $SYS, in the metrics and the API."""

import pytest

from server import roost

PROMISES = {
    "memory": ((), "end with the process"),
    "synced": (("--durability", "always"), "synced to the device"),
    "written": (("--durability", "periodic", "--sync-interval-ms", "100"), "synced every 100 ms"),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_everywhere(serve, tmp_path, promise):
    options, words = PROMISES[promise]
    if promise != "memory":
        options = ("--store", str(tmp_path / "store"), *options)
    server = serve("--shards", "2", "--admin", "http://127.0.0.1:0", "--sys-interval-s", "1", *options)
    state = "none" if promise == "memory" else "working"
    server.wait_line(words)
    with server.client("watch") as client:
        client.subscribe("$SYS/broker/store/state", "$SYS/broker/store/promise")
        found = {}
        while found != {"state": state.encode(), "promise": promise.encode()}:
            message = client.message()
            found[message.topic.rsplit("/", 1)[1]] = message.payload
    store = server.admin().get("/api/v1/stats").json["store"]
    assert (store["state"], store["promise"]) == (state, promise)
    assert f'roost_store_state{{state="{state}"}} 1' in server.admin().get("/metrics").text
    shown = roost("ctl", "--url", server.admin().url, "stats")
    assert state in shown.stdout and promise in shown.stdout


def test_commits_are_counted(stored):
    server = stored.again("stop", "--admin", "http://127.0.0.1:0")
    with server.session("away", 5) as client:
        client.subscribe(("t", 1))
        client.disconnect()
    before = server.admin().get("/api/v1/stats").json["store"]
    with server.client("from", 5) as publisher:
        publisher.hand_over("t", b"x" * 5000)
    after = server.admin().get("/api/v1/stats").json["store"]
    assert after["commits"] > before["commits"] and after["syncs"] > before["syncs"]
    assert after["written_bytes"] - before["written_bytes"] >= 5000
    assert after["directory"] == str(stored.directory)
    assert after["room_bytes"] > 0 and after["failures"] == 0


def test_figures_of_a_recovery(stored):
    for number in range(3):
        with stored.server.session(f"s-{number}", 5) as client:
            client.subscribe((f"to/{number}", 1))
            client.disconnect()
    with stored.server.client("from", 5) as publisher:
        publisher.hand_over("to/1", b"x")
        publisher.hand_over("r", b"x", retain=True)
    server = stored.again("stop")
    server.wait_line(r"3 sessions, 1 messages for them and 1 retained messages")
    assert not [line for line in server.lines if "good order" in line]
    with server.client("from", 5) as publisher:
        publisher.hand_over("r", b"y", retain=True)  # it is safe, so this start is the last one that counts
    server = stored.again("crash")
    server.wait_line(r"3 sessions, 1 messages for them and 1 retained messages")
    server.wait_line("good order")
