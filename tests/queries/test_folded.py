"""Timeline and history of a run with a long for-each: one bar and one line for it, and an item's own when asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from orchestrator.core.errors import NotFound
from orchestrator.models import Run, Scope
from orchestrator.models.scope import BLOCK
from orchestrator.policy import Actor
from orchestrator.queries.history import history
from orchestrator.queries.items import item_at
from orchestrator.queries.step_run import Progress
from orchestrator.queries.step_runs import step_runs
from orchestrator.queries.timeline import Span, spans_of
from tests.factories import actor_of, make_member
from tests.factories import make_workspace as workspace
from tests.queries.plans import analyze, reads_of
from tests.run_factories import (
    drawn,
    make_items,
    make_log,
    make_record,
    make_run,
    make_task,
    make_token,
    make_version,
    make_workflow,
    node_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("new_files")]
BEGAN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
TOTAL = 10_000
FILL = """
INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports, started_at,
    finished_at, cause, xid)
SELECT nextval('orchestrator_step_log_entry'), %(run)s, node, %(block)s + n, 0, 1, 'S', true, '{out}', %(began)s,
    %(began)s + interval '1 second', '{}', 1
FROM generate_series(1, %(total)s) n, unnest(%(nodes)s::int[]) node
"""


@pytest.fixture
def run() -> Run:
    """`before`, then items of which each is picked, and packed in turns of `again`; the for-each has not ended."""
    steps = {
        "each": {"kind": "for_each"},
        "pick": {"parent": "each"},
        "again": {"kind": "repeat", "parent": "each"},
        "pack": {"parent": "again"},
    }
    run = make_run(
        make_version(make_workflow(workspace()), drawn("before -> each", "pick -> again", "pack", steps=steps))
    )
    make_log(run, "before", started_at=BEGAN - timedelta(seconds=1), finished_at=BEGAN)
    return run


def fill(run: Run, **fields: Any) -> Scope:
    """Ten thousand items of two steps each; in the fourth, `again` packs twice."""
    block = make_items(run, "each", total=TOTAL, **fields)
    values: dict[str, Any] = {"run": run.pk, "block": block.pk, "total": TOTAL, "began": BEGAN}
    with connection.cursor() as cursor:
        cursor.execute(FILL, values | {"nodes": [node_of(run, "pick"), node_of(run, "again")]})
    analyze()
    turns = make_items(run, "again", total=0, parent=block.pk + 4)
    for turn in (1, 2):
        make_log(run, "pack", scope_id=turns.pk + turn)
    return block


def reader(run: Run) -> Actor:
    return actor_of(run.workspace, make_member(run.workspace, "operator"))


def ended(run: Run, **fields: Any) -> None:
    later = BEGAN + timedelta(seconds=60)
    make_log(run, "each", started_at=later, finished_at=later + timedelta(seconds=1), **fields)


def keys(spans: tuple[Span, ...]) -> list[tuple[str, str]]:
    return [(span.key, span.kind) for span in spans]


def test_a_for_each_is_one_bar_from_its_first_item_to_its_end(run: Run) -> None:
    fill(run, ok=9_998, fail=2)
    ended(run)
    spans = spans_of(run).items
    assert keys(spans) == [("before", "attempt"), ("each", "items")]
    assert spans[1].progress == Progress(total=TOTAL, ok=9_998, failed=2)
    assert spans[1].begun == BEGAN
    assert spans[1].ended == BEGAN + timedelta(seconds=61)
    assert not spans_of(run).cut


def test_its_step_run_began_with_the_first_item_too(run: Run) -> None:
    fill(run)
    ended(run)
    (_, each) = step_runs(run).items
    assert (each.key, each.started_at, each.finished_at) == ("each", BEGAN, BEGAN + timedelta(seconds=61))


def test_one_at_work_is_a_bar_too_and_its_lanes_are_none(run: Run) -> None:
    block = fill(run, ok=5)
    make_token(run, "each", state="W", phase=1, first_started_at=BEGAN)
    make_token(run, "each", state="L", scope_id=block.pk, phase=2, signal={"lo": 5, "hi": 9})
    make_token(run, "pick", state="L", scope_id=block.pk + 8)
    make_task(run, "pick")
    (_, bar) = spans_of(run).items
    assert (bar.key, bar.kind, str(bar.state), bar.ended) == ("each", "items", "running", None)


def test_one_that_never_opened_its_list_is_an_attempt(run: Run) -> None:
    ended(run, outcome="F", error={"code": "not_a_list", "message": "No list."})
    assert keys(spans_of(run).items) == [("before", "attempt"), ("each", "attempt")]


def test_an_item_has_a_timeline_of_its_own(run: Run) -> None:
    block = fill(run)
    spans = spans_of(run, scope=block.pk + 4).items
    again = [("again", "attempt"), ("again", "wait")]
    assert sorted(keys(spans)) == [*again, ("pack", "attempt"), ("pack", "attempt"), ("pick", "attempt")]
    assert sorted(keys(spans_of(run, scope=block.pk + 5).items)) == [*again, ("pick", "attempt")]


def test_a_history_has_one_line_for_all_items_and_one_of_each_when_asked(run: Run) -> None:
    block = fill(run, ok=TOTAL)
    ended(run)
    make_record(run, "finished")
    actor = reader(run)
    lines = history(actor, run.pk, {}).items
    assert {line.step for line in lines if line.kind == "attempt"} == {"before", "each"}
    (each,) = (line for line in lines if line.step == "each")
    assert each.as_json()["progress"] == {"total": TOTAL, "ok": TOTAL, "failed": 0}
    own = history(actor, run.pk, {}, scope=block.pk + 4).items
    assert sorted(line.step or "" for line in own) == ["again", "pack", "pack", "pick"]


@pytest.mark.parametrize("what", ["timeline", "history"])
def test_nothing_inside_items_is_read(run: Run, what: str) -> None:
    block = fill(run, ok=TOTAL)
    ended(run)
    actor = reader(run)

    def read(scope: int | None) -> object:
        return spans_of(run, scope=scope) if what == "timeline" else history(actor, run.pk, {}, scope=scope)

    for scope in (None, block.pk + 4):
        reads = reads_of(lambda scope=scope: read(scope))  # type: ignore[misc]
        assert reads
        assert sum(rows for _, rows in reads) < 50, reads


def test_a_place_that_is_no_item_is_not_found(run: Run) -> None:
    block = make_items(run, "each", total=3)
    assert item_at(run, block.pk + 3).number == 3
    turns = make_items(run, "again", total=0, parent=block.pk + 1)
    for scope in (0, block.pk, block.pk + 4, turns.pk + 1, block.pk + BLOCK * 7 + 1):
        with pytest.raises(NotFound):
            item_at(run, scope)
    other = make_run(run.version)
    with pytest.raises(NotFound):
        item_at(other, block.pk + 1)
