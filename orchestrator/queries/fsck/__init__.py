"""The engine's invariants as queries: each finds rows that must not exist. They only read, on a live system too.

Live rows (tokens, open tasks) are few and looked at whole. Of the past, `breaches` looks at runs that are open or began
a short while ago, which a run's id tells (UUIDv7): both are found by an index, so a check costs the same at a million
finished runs. `everything` looks at all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction

from orchestrator.queries.fsck import containers, events, joins, limits, runs, steps, undo, waits
from orchestrator.queries.fsck.invariant import Invariant

MOST = 100  # findings shown of each
RECENT = 3_600  # seconds: how far back a check of a live system looks
PATIENCE = 30  # seconds one query may take; what is cut off is raised, not passed over

EVERYTHING = "SELECT id FROM orchestrator_run"
# The first half is served by run_open, the second by the primary key: a UUIDv7 begins with its millisecond.
LIVE = f"""SELECT id FROM orchestrator_run
    WHERE state NOT IN ('succeeded', 'failed', 'cancelled', 'undone', 'undo_stuck')
    UNION SELECT id FROM orchestrator_run WHERE id >= rpad(lpad(to_hex(
        (extract(epoch FROM clock_timestamp() - interval '{RECENT} s') * 1000)::bigint), 12, '0'), 32, '0')::uuid"""

INVARIANTS = (
    *steps.INVARIANTS,
    *joins.INVARIANTS,
    *runs.INVARIANTS,
    *limits.INVARIANTS,
    *waits.INVARIANTS,
    *events.INVARIANTS,
    *containers.INVARIANTS,
    *undo.INVARIANTS,
)


@dataclass(frozen=True, slots=True)
class Breach:
    """One row that contradicts an invariant."""

    invariant: Invariant
    run: str
    what: str


def breaches(*, everything: bool = False) -> Iterator[Breach]:
    """Every breach of every invariant, the first hundred of each. Raises QueryCanceled where one takes too long."""
    for invariant in INVARIANTS:
        for run, what in _rows(query(invariant, everything=everything)):
            yield Breach(invariant, run, what)


def query(invariant: Invariant, *, everything: bool = False) -> str:
    """The invariant's whole statement."""
    looked_at = EVERYTHING if everything else LIVE
    return f"WITH runs AS ({looked_at}) SELECT * FROM ({invariant.sql}) AS found LIMIT {MOST}"


def _rows(statement: str) -> list[tuple[str, str]]:
    with transaction.atomic(), connection.cursor() as cursor:
        # Until the end of this transaction: a check must never be what a live system waits for.
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{PATIENCE}s"])
        cursor.execute(statement)
        return list(cursor.fetchall())


__all__ = ["INVARIANTS", "Breach", "Invariant", "breaches", "query"]
