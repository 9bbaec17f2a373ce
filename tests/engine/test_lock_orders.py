"""What waits for others holds nothing that these may come to need: PostgreSQL breaks such rings only after a second."""

import json

import pytest

from orchestrator.engine import statements
from orchestrator.models import Gate, Token
from orchestrator.queries.fsck import breaches
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, own_connection, rows
from tests.harness.test_interleaved import Second

A = 11
BODY = {"waiting": {"kind": "body", "text": "for its steps"}}


#: What others have before tokens and gates, and what they may come to need then.
HELD = {
    "the lock of a scope": ("SELECT branchline_lock_is_free(%s, 'bench')", ("token", "gate", "scope")),
    "a block": ("SELECT FROM orchestrator_scope WHERE run_id = %s FOR UPDATE", ("token", "gate")),
}


@pytest.mark.parametrize("held", HELD)
def test_who_cancels_a_branch_waits_for_its_containers_before_all_else(house: House, held: str) -> None:
    takes, needs = HELD[held]
    join = {"mode": "any", "late": "cancel"}
    box = [step("box", "scope", config={"lock": "bench"}), step("s", parent="box")]
    raw = document([step("a"), *box, step("z", "merge", join=join)], "a > z", "box > z")
    version = house.publish(raw)
    node = {key: place for place, key in enumerate(version.plan["keys"])}
    run_id = house.start(version)
    beat(A)
    first, outer = claim(A, 2)
    starts = [{"node": node["s"], "queue": "default", "timeout": 30}]
    opens = {"then": "open", "scope": {"index": 1, "starts": starts, "lock": "bench"}, **BODY}
    rows(statements.ADVANCE, A, json.dumps([{"t": outer["id"], "e": outer["epoch"], **opens}]))
    ends = {"then": "go", "o": "S", "ports": ["out"], "sig": [node["z"], 0, 0]}
    rows(statements.ADVANCE, A, json.dumps([{"t": first["id"], "e": first["epoch"], **ends}]))
    assert Gate.objects.get(run_id=run_id, gate=node["z"]).cancel_pending
    with own_connection("asks") as asks, own_connection("observer") as observer:
        with asks.transaction():
            asks.execute(takes, (run_id,))
            other = Second(statements.CANCEL_BRANCHES, run_id)
            assert other.state(observer) == "waits"
            for table in needs:
                asks.execute(f"SELECT FROM orchestrator_{table} WHERE run_id = %s FOR UPDATE NOWAIT", (run_id,))
        assert [row["kind"] for row in other.end()] == ["cancelled"]
    assert not Token.objects.filter(run_id=run_id, node=node["box"]).exists()
    assert list(breaches()) == []
