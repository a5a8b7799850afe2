"""Whatever a client sends, no turn does more than a bounded amount of work, others get their answers, and what is kept for
the attacker is bounded. Work is counted by the server, not timed."""

import itertools
import re

import pytest

from hostile import ATTACKS, Crew
from server import SANITIZED

STRIKES = 6
# Each takes the server some turns; an attack that is left unread never has all its say.
EXCHANGES_A_STRIKE = 40
# Units of work (src/runtime/turn_work.h), each about 100 ns. A turn has a share of them for each of its parts; each part
# may pass its own by a step.
TURN_WORK_MAX = 100000
STEP_WORK_MAX = 40000


def largest(admin, name):
    text = admin.get("/metrics").text
    values = re.findall(rf"^roost_shard_largest_{name}_work_units{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    assert values, text
    return max(float(value) for value in values)


def is_served(bystander, number):
    """A ping, and a message to itself, get their answers."""
    bystander.expect_nothing_before_ping()
    payload = f"{number}"
    assert bystander.hand_over("bystander/own", payload, qos=1) == 0
    assert bystander.take().payload == payload.encode()


@pytest.mark.roost_only("it counts its work")
@pytest.mark.parametrize("name", ATTACKS)
def test_no_client_holds_a_shard(serve, name):
    attack = ATTACKS[name]
    server = serve("--shards", "1", "--admin", "http://127.0.0.1:0", *attack.options, log_level="info")
    admin = server.admin()
    with server.client("bystander", 4, keepalive=0) as bystander, Crew(server.address) as crew:
        bystander.subscribe(("bystander/own", 1))
        is_served(bystander, "before")
        resident = server.resident_bytes()
        for number, _ in enumerate(itertools.islice(attack.play(crew), STRIKES)):
            for turn in range(EXCHANGES_A_STRIKE):
                is_served(bystander, f"{number}-{turn}")
                if not crew.has_more_to_say():
                    break
        kept = server.resident_bytes() - resident
        assert largest(admin, "step") <= STEP_WORK_MAX
        assert largest(admin, "turn") <= TURN_WORK_MAX
        if not SANITIZED:  # those keep what was freed
            assert kept <= attack.kept_bytes, f"{kept >> 20} MiB are kept"
    with server.client("newcomer") as newcomer:  # whatever was lost with the attacker, his places were not
        newcomer.expect_nothing_before_ping()
