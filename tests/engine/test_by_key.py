"""Claims and ends read the tokens that they are about, however many there are and whatever statistics say of them."""

import json
from typing import Any

import pytest

from orchestrator.core.outcome import Done
from orchestrator.engine import statements
from orchestrator.engine.database import OwnConnection
from orchestrator.engine.lease import leases_of
from orchestrator.models import Version
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.rows import beat, claim, own_connection
from tests.engine.test_ends_together import ending

A = 11
WIDTH, RUNS = 100, 3
READ = """
SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read FROM pg_stat_xact_user_tables
WHERE relname = 'orchestrator_token'
"""


def many(house: House, *, seen_empty: bool) -> Version:
    """Branches of some runs, ready. `seen_empty`: statistics were taken while there was no token."""
    if seen_empty:
        with own_connection() as opened:
            opened.execute("VACUUM ANALYZE orchestrator_token")
    keys = [f"b{number}" for number in range(WIDTH)]
    steps = [*(step(key) for key in keys), step("z", "merge", join={"mode": "all"})]
    version = house.publish(document(steps, *(f"{key} > z" for key in keys)))
    for _ in range(RUNS):
        house.start(version)
    return version


def tokens_read(opened: OwnConnection, statement: str, arguments: tuple[Any, ...]) -> int:
    """How many tokens a call reads whose plans are made now."""
    with opened.transaction():
        assert opened.execute(statement, arguments).fetchall()
        [row] = opened.execute(READ).fetchall()
    return int(row["read"])


@pytest.mark.parametrize("seen_empty", [False, True])
@pytest.mark.parametrize("count", [1, 3, 12])  # from four on they are written together
def test_an_end_reads_no_other_token_of_its_session(house: House, seen_empty: bool, count: int) -> None:
    version = many(house, seen_empty=seen_empty)
    beat(A)
    leased = leases_of(claim(A, WIDTH * RUNS))
    assert len(leased) == WIDTH * RUNS
    run_id = leased[0].run.run_id
    mine = sorted((lease for lease in leased if lease.run.run_id == run_id), key=lambda lease: lease.token_id)
    made = [ending(version, lease, Done(1)) for lease in mine[:count]]
    with own_connection() as opened:
        assert tokens_read(opened, statements.ADVANCE, (A, json.dumps(made))) <= 4 * count


@pytest.mark.parametrize("seen_empty", [False, True])
def test_a_claim_reads_a_few_tokens_more_than_it_takes(house: House, seen_empty: bool) -> None:
    many(house, seen_empty=seen_empty)
    beat(A)
    count = 4
    with own_connection() as opened:
        assert tokens_read(opened, statements.CLAIM, (A, ["default"], count, True)) <= 20 * count
