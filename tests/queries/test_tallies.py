"""Steps inside a for-each, counted over all items: every state, and a read that stays small."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from orchestrator.models import Run, Scope, StepLog
from orchestrator.queries.live import read_changes
from orchestrator.queries.step_runs import step_run_rows
from orchestrator.queries.tallies import WINDOW, Tally, tallies_of
from tests.factories import make_workspace
from tests.queries.plans import analyze, reads_of
from tests.run_factories import (
    drawn,
    make_items,
    make_log,
    make_run,
    make_token,
    make_undo_item,
    make_version,
    make_workflow,
    node_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("new_files")]
INSIDE = {"parent": "each"}
FILL = """
INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports, started_at,
    finished_at, cause, error, xid)
SELECT nextval('orchestrator_step_log_entry'), %(run)s, node, %(block)s + n, 0, 1,
    CASE WHEN n IN (7, 70000) AND node = %(fails)s THEN 'F' ELSE 'S' END, true,
    CASE WHEN n IN (7, 70000) AND node = %(fails)s THEN NULL ELSE '{out}'::text[] END, now(), now(), '{}',
    NULL, 1
FROM generate_series(1, %(total)s) n, unnest(%(nodes)s::int[]) node
"""


@pytest.fixture
def run() -> Run:
    """`each` goes through items: `ask` leads to `yes`, or to `no`; nothing is around it."""
    steps = {"each": {"kind": "for_each"}, "ask": {"kind": "choose", **INSIDE}, "yes": INSIDE, "no": INSIDE}
    document = drawn("before -> each", "ask.left -> yes", "ask.right -> no", steps=steps)
    run = make_run(make_version(make_workflow(make_workspace()), document))
    make_log(run, "before")
    make_token(run, "each", state="W", phase=1)
    return run


def told(run: Run) -> dict[str, Tally]:
    return {tally.key: tally for tally in tallies_of(run, step_run_rows(run))}


def counts(tally: Tally) -> dict[str, int]:
    return {str(state): number for state, number in tally.counts.items()}


def test_it_counts_every_state_and_shows_the_worst(run: Run) -> None:
    block = make_items(run, "each", total=20).pk
    for index, outcome in enumerate("SSSSFTK"):
        make_log(run, "ask", scope_id=block + 1 + index, outcome=outcome, ports=["left"] if outcome == "S" else None)
    make_token(run, "ask", state="F", scope_id=block + 5)
    make_token(run, "ask", state="L", scope_id=block + 8)
    make_token(run, "ask", state="W", scope_id=block + 9, waiting={"kind": "event", "text": "Waiting"})
    make_token(run, "ask", state="W", scope_id=block + 10, waiting={"kind": "retry", "text": ""})
    make_token(run, "yes", state="L", scope_id=block + 1)
    make_token(run, "yes", state="R", scope_id=block + 2)
    found = told(run)
    assert set(found) == {"ask", "yes"}, "nothing has come to `no` yet"
    assert list(counts(found["ask"]).items()) == [
        ("failed", 1), ("timed_out", 1), ("retrying", 1), ("running", 1), ("waiting", 1), ("cancelled", 1),
        ("succeeded", 4),
    ]  # fmt: skip
    assert (str(found["ask"].state), found["ask"].ports, found["ask"].more) == ("failed", ("left",), False)
    assert counts(found["yes"]) == {"running": 1, "ready": 1}
    assert str(found["yes"].state) == "running", "the most alive one"


def test_a_step_tried_again_counts_once(run: Run) -> None:
    scope = make_items(run, "each", total=2).pk + 1
    make_log(run, "ask", scope_id=scope, outcome="F")
    make_log(run, "ask", scope_id=scope, generation=1)
    make_log(run, "yes", scope_id=scope, outcome="F")
    make_token(run, "yes", state="L", scope_id=scope, generation=1)
    found = told(run)
    assert counts(found["ask"]) == {"succeeded": 1}
    assert counts(found["yes"]) == {"running": 1}


def test_what_the_for_each_did_before_it_ran_again_is_not_counted(run: Run) -> None:
    old, new = (make_items(run, "each", total=2, generation=number).pk for number in (0, 1))
    make_log(run, "ask", scope_id=old + 1, outcome="F")
    make_log(run, "ask", scope_id=new + 1, generation=1)
    assert counts(told(run)["ask"]) == {"succeeded": 1}


def test_undos_are_counted_instead_of_the_ends_they_undo(run: Run) -> None:
    block = make_items(run, "each", total=4).pk
    for index, state in enumerate(("undone", "by_hand", "stuck", "not_needed")):
        make_log(run, "yes", scope_id=block + 1 + index)
        make_undo_item(run, "yes", state)
    found = told(run)["yes"]
    assert counts(found) == {"undo_failed": 1, "succeeded": 1, "undone": 2}
    assert str(found.state) == "undo_failed"


def test_a_lane_at_work_is_at_the_first_step_of_its_body() -> None:
    steps = {
        "each": {"kind": "for_each"},
        "one": {"kind": "transform", **INSIDE},
        "two": {"kind": "transform", **INSIDE},
    }
    run = make_run(make_version(make_workflow(make_workspace()), drawn("each", "one -> two", steps=steps)))
    block = make_items(run, "each", total=100).pk
    for lo, hi in ((0, 10), (20, 20)):
        make_token(run, "each", state="L", scope_id=block, phase=2, signal={"lo": lo, "hi": hi})
    assert {key: counts(tally) for key, tally in told(run).items()} == {"one": {"running": 1}}


def test_a_closed_run_has_skipped_what_no_item_came_to(run: Run) -> None:
    block = make_items(run, "each", total=1).pk
    make_log(run, "ask", scope_id=block + 1)
    make_log(run, "yes", scope_id=block + 1)
    run.tokens.all().delete()
    make_log(run, "each")
    Run.objects.filter(pk=run.pk).update(state="succeeded", finished_at=datetime.now(UTC))
    assert {key: str(tally.state) for key, tally in told(run).items()} == {
        "ask": "succeeded", "yes": "succeeded", "no": "skipped",
    }  # fmt: skip
    unbegun = make_run(run.version, state="cancelled")
    assert told(unbegun) == {}, "its steps are listed, and say so themselves"


def test_a_drawing_without_a_for_each_costs_no_statement(django_assert_num_queries: Any) -> None:
    run = make_run(make_version(make_workflow(make_workspace())))
    read = step_run_rows(run)
    with django_assert_num_queries(0):
        assert tallies_of(run, read) == ()


def test_frames_carry_tallies(run: Run) -> None:
    block = make_items(run, "each", total=3).pk
    make_token(run, "ask", state="L", scope_id=block + 1)
    (tally,) = read_changes(run, None).tallies
    assert tally == {"key": "ask", "state": "running", "counts": {"running": 1}, "port": [], "more": False}


@pytest.fixture
def crowded(run: Run) -> Run:
    """A hundred thousand items, two of which failed at `yes`."""
    block = make_items(run, "each", total=100_000, ok=99_998, fail=2)
    values: dict[str, Any] = {
        "run": run.pk, "block": block.pk, "total": 100_000,
        "nodes": [node_of(run, "ask"), node_of(run, "yes")], "fails": node_of(run, "yes"),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(FILL, values)
    analyze()
    return run


def test_a_hundred_thousand_items_cost_a_window_of_rows_and_no_failure_is_overlooked(crowded: Run) -> None:
    read = step_run_rows(crowded)
    found = {tally.key: tally for tally in tallies_of(crowded, read)}
    assert counts(found["ask"]) == {"succeeded": WINDOW}
    assert counts(found["yes"]) == {"failed": 2, "succeeded": WINDOW}
    assert found["ask"].more
    assert found["yes"].more
    reads = reads_of(lambda: tallies_of(crowded, read))
    assert {index for index, _ in reads} <= {"step_failed", "orchestrator_steplog_pkey", "step_once"}, reads
    assert "step_failed" in {index for index, _ in reads}
    assert sum(rows for _, rows in reads) <= 4 * WINDOW, reads
    assert StepLog.objects.filter(run_id=crowded.pk).count() > 200_000
    assert Scope.objects.filter(run_id=crowded.pk).count() == 1
