"""TCP is asked to acknowledge a client's PUBACK at once where the client may want to publish next, and where nothing goes
out that would carry the acknowledgement. tests/interop/request_and_answer.py shows what for."""

import pytest

from mqtt_wire import PUBACK, PUBREL, acknowledge

BUDGET = 3  # after CONNECT and after each PUBLISH


def deliver(server, publisher, receiver, qos=1):
    """One message, acknowledged; the server has read the acknowledgement and nothing else with it."""
    publisher.hand_over("t", b"x", qos=qos)
    before = server.counter("packets_in")
    receiver.accept(receiver.message())
    server.wait_counter("packets_in", before + qos)


@pytest.mark.parametrize("qos", [1, 2])
def test_one_that_answers(server, version, qos):
    with server.client("asks", version) as asks, server.client("answers", version) as answers:
        answers.subscribe(("t", qos))
        for number in range(3 * BUDGET):
            deliver(server, asks, answers, qos)
            server.wait_counter("quick_acks", number + 1)
            answers.publish("answer", b"!")
            server.wait_counter("messages_in", 2 * number + 2)


def test_one_that_only_consumes(server, version):
    """It pays for a few reads, and then no more."""
    with server.client("from", version) as publisher, server.client("to", version) as consumer:
        consumer.subscribe(("t", 1))
        for number in range(3 * BUDGET):
            deliver(server, publisher, consumer)
            server.wait_counter("quick_acks", min(number + 1, BUDGET))
        consumer.expect_nothing_before_ping()
        assert server.counter("quick_acks") == BUDGET


def test_not_where_an_answer_carries_it(server, version):
    """A publisher's packets are all answered."""
    with server.client("from", version) as publisher:
        for qos in (1, 2):
            for _ in range(3):
                publisher.hand_over("t", b"x", qos=qos)
        publisher.send(acknowledge(PUBREL, 99))
        publisher.packet()
        assert server.counter("quick_acks") == 0


def test_acknowledgement_of_nothing(server, version):
    """It is a read like any other."""
    with server.client("odd", version) as client:
        for _ in range(2 * BUDGET):
            client.send(acknowledge(PUBACK, 7))
            client.expect_nothing_before_ping()
        assert server.counter("quick_acks") <= BUDGET
