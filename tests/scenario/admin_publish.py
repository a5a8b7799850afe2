"""What is published through the API arrives: in order, at its QoS, retained, with its properties."""

import pytest


@pytest.fixture
def admin(administered):
    return administered.admin()


def test_text_and_bytes(administered, admin, version):
    with administered.client("reader", version) as reader:
        reader.subscribe(("t", 0))
        assert admin.publish("t", "h\u00e4llo") == {"published": 1}
        assert reader.message().payload == "h\u00e4llo".encode()
        assert admin.post("/api/v1/publish", {"topic": "t", "payload_base64": "AP8="}).status == 200
        assert reader.message().payload == b"\0\xff"


def test_batch_in_order(administered, admin):
    readers = [administered.client(f"reader-{number}") for number in range(4)]
    for reader in readers:
        reader.subscribe(("t/#", 0))
    messages = [{"topic": f"t/{number % 3}", "payload": str(number)} for number in range(1000)]
    assert admin.post("/api/v1/publish/batch", {"messages": messages}).json == {"published": 1000}
    for reader in readers:
        assert [int(reader.message().payload) for _ in range(1000)] == list(range(1000))
        reader.close()


def test_qos_1_into_a_session(administered, admin):
    with administered.session("kept", 5) as client:
        client.subscribe(("t", 1))
    administered.wait_counter("sessions_offline", 1)
    admin.publish("t", "while away", qos=1)
    administered.wait_counter("queue_messages", 1)
    assert admin.client("kept")["queued_messages"] == 1
    with administered.session("kept", 5) as client:
        message = client.message()
        assert message.payload == b"while away" and message.qos == 1


def test_retained(administered, admin):
    admin.publish("r", "old", retain=True)
    admin.publish("r", "new", retain=True)
    with administered.client("reader") as reader:
        reader.subscribe(("r", 0))
        message = reader.message()
        assert message.payload == b"new" and message.retain
    admin.publish("r", "", retain=True)
    with administered.client("reader") as reader:
        reader.subscribe(("r", 0))
        reader.expect_nothing_before_ping()


def test_properties(administered, admin):
    with administered.client("reader", 5) as reader:
        reader.subscribe(("t", 0))
        admin.publish("t", "x", properties={"content_type": "text/plain", "response_topic": "answers", "message_expiry_seconds": 60,
                                             "correlation_data_base64": "AQI=", "user_properties": [["a", "b"], ["a", "c"]]})
        properties = reader.message().properties
        assert properties[0x03] == "text/plain" and properties[0x08] == "answers" and properties[0x09] == b"\1\2"
        assert 0 < properties[0x02] <= 60


def test_as_large_as_a_packet_may_be(serve):
    server = serve("--packet-bytes-max", "100000", "--admin", "http://127.0.0.1:0")
    admin = server.admin()
    with server.client("reader") as reader:
        reader.subscribe(("t", 0))
        admin.publish("t", "x" * 99990)
        assert len(reader.message().payload) == 99990
    assert admin.post("/api/v1/publish", {"topic": "t", "payload": "x" * 100000}).status == 400
