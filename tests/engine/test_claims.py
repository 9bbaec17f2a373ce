"""What a claim takes: the first of all its queues that nobody else holds, each once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import cast

from orchestrator.engine import statements
from orchestrator.engine.lease import leases_of
from orchestrator.models import Token
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, own_connection, rows
from tests.waiting import wait_until


def test_it_looks_further_where_others_hold_the_first(house: House) -> None:
    """With 7 of the first 8 held it finds one, looks again among more, and takes that one no second time."""
    version = house.publish(document([step("a")]))
    for _ in range(12):
        house.start(version)
    tokens = list(Token.objects.order_by("id").values_list("id", flat=True))
    beat(1)
    with own_connection() as other, other.transaction():
        other.execute("SELECT FROM orchestrator_token WHERE id = ANY(%s) FOR UPDATE", (tokens[:7],))
        assert [lease["id"] for lease in claim(1, 2)] == tokens[7:9]
        assert [lease["id"] for lease in claim(1, 9)] == tokens[9:]
    assert [lease["id"] for lease in claim(1, 9)] == tokens[:7]


def test_several_queues_are_one_line(house: House) -> None:
    plain, heavy = (house.publish(document([step("a", queue=queue)])) for queue in ("default", "heavy"))
    order = [
        house.start(heavy, priority=0),
        house.start(plain, priority=0),
        house.start(heavy, priority=100),
        house.start(plain, priority=100),
    ]
    beat(1)
    claimed = [rows(statements.CLAIM, 1, ["default", "heavy"], 3, True), rows(statements.CLAIM, 1, ["heavy"], 3, True)]
    runs = [[lease["run_id"] for lease in leases] for leases in claimed]
    assert runs == [[order[2], order[3], order[0]], []]


def test_each_lease_knows_its_own_run(house: House) -> None:
    """What concerns a run stands in one row of it, wherever the rows of others stand between."""
    version = house.publish(document([step("a"), step("b")]))
    runs = [house.start(version, {"number": number}) for number in range(3)]
    Token.objects.filter(node=0).update(ready_at="2020-01-01T00:00Z")
    beat(1)
    rows = claim(1, 9)
    assert sorted(row["workspace_id"] is None for row in rows) == [False] * 3 + [True] * 3
    leases = leases_of(rows)
    numbers = [runs.index(lease.run.run_id) for lease in leases]
    assert numbers == [0, 1, 2, 0, 1, 2]
    assert [str(lease.run.input) for lease in leases] == [f'{{"number": {number}}}' for number in numbers]
    assert leases[0].run is leases[3].run
    leases[0].seen[0] = ("one", None)
    assert not leases[3].seen, "branches of a run do not share what they have seen"


def test_the_next_step_of_a_chain_knows_what_the_chain_has_seen(house: House) -> None:
    """Its steps may not be in the rows yet: they begin ahead of the commits before them."""
    house.start(house.publish(document([step("a"), step("b")], "a > b")))
    beat(1)
    (lease,) = leases_of(claim(1))
    lease.seen[0], lease.outer[9] = ("a", None), ("around", None)
    moved = lease.moved(node=1, epoch=lease.epoch + 1, started_at=lease.started_at)
    assert moved.seen is lease.seen
    assert moved.outer is lease.outer
    assert moved.run is lease.run


def test_a_lease_begins_when_it_is_made_not_when_it_was_asked_for(house: House) -> None:
    """Else a step might begin, by the clock, before the one that led to it had ended."""
    run_id = house.start(house.publish(document([step("a")])))
    beat(1)

    def claimed() -> datetime:
        with own_connection() as other:
            [row] = other.execute(statements.CLAIM, (1, ["default"], 1, True)).fetchall()
            return cast("datetime", row["started_at"])

    with ThreadPoolExecutor(1) as thread:
        with own_connection() as control, control.transaction():
            control.execute("SELECT branchline_lock_run(%s)", (run_id,))
            lease = thread.submit(claimed)
            wait_until(someone_waits, 10, "the claim to wait for the run")
            [row] = control.execute(statements.DATABASE_TIME).fetchall()
        assert lease.result(10) > row["now"]


def someone_waits() -> bool:
    return bool(rows("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) AS it")[0]["it"])
