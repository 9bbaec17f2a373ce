"""Outputs too large for one value are shown as a reference, and read a stretch at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.outcome import Done, Outcome
from orchestrator.engine import item_outputs, statements
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Scope, StepLog
from orchestrator.queries.item_outputs import named_rows
from orchestrator.queries.items import items_of
from orchestrator.queries.runs import run_detail
from orchestrator.queries.step_detail import step_detail
from orchestrator.services.rerun import rerun_step
from tests.engine.drawings import step
from tests.engine.house import House, error, output
from tests.engine.kinds import Told, kinds
from tests.engine.large import TEXT, each, fat, large, little, reference_of, run_of, value
from tests.engine.rows import own_connection
from tests.engine.test_lanes import at_work, ended, place
from tests.queries.plans import reads_of

__all__ = ["little"]


@pytest.mark.usefixtures("little")
def test_the_output_of_a_run_is_shown_as_reference(house: House, sandbox: Sandbox) -> None:
    for raw in (fat(20), fat(20, output={"$": "steps.fat"})):
        run = run_of(house, sandbox, raw)
        shown = run_detail(house.actor, run.pk).as_json()
        assert shown["output"] is None
        assert shown["outputs_of"] == {
            "step": "fat",
            "run": str(run.pk),
            "total": 20,
            "bytes": reference_of(run)["bytes"],
        }


@pytest.mark.usefixtures("little")
def test_a_step_shows_the_reference_and_its_items(house: House, sandbox: Sandbox) -> None:
    run = run_of(house, sandbox, fat(20, each("thin", "steps.fat"), step("b", parent="thin"), lines=("fat > thin",)))
    shown = step_detail(house.actor, run.pk, "fat").as_json()
    assert shown["output"] is None
    assert shown["outputs_of"]["total"] == 20  # type: ignore[index,call-overload]
    scope = items_of(house.actor, run.pk, "fat", {"limit": "2"}).items[1].scope
    assert step_detail(house.actor, run.pk, "a", scope=scope).output == {"n": 1, "text": TEXT}
    given = step_detail(house.actor, run.pk, "thin").input
    assert given["items"]["outputs_of"]["step"] == "fat"  # type: ignore[index,call-overload]


@pytest.mark.usefixtures("little")
def test_run_again_each_generation_reads_its_own_outputs(house: House, sandbox: Sandbox) -> None:
    def answer(context: Any) -> Outcome:
        return Done({"n": place(context) + 100 * context.lease.generation, "text": TEXT})

    known = kinds(told=Told(answer))
    raw = fat(20, each("thin", "steps.fat"), value("b", "item.n", parent="thin"), lines=("fat > thin",))
    version = house.publish(raw, kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version))
        # Only what reads: it reads the outputs that are there.
        assert read_again(house, run.pk, "thin") == list(range(20))
        # The for-each itself: its outputs, and what reads them, are new ones.
        assert read_again(house, run.pk, "fat") == [n + 200 for n in range(20)]
    assert Scope.objects.filter(run=run, node=0).count() == 2


def read_again(house: House, run_id: UUID, key: str) -> Any:
    rerun_step(run_id, key, house.actor)
    assert house.worker is not None
    house.worker.poke()
    return output(ended(house, run_id))


@pytest.mark.usefixtures("little")
def test_what_an_item_gives_after_the_end_is_not_part_of_the_outputs(house: House, sandbox: Sandbox) -> None:
    """A for-each that had `enough`: an attempt that was at work then still leaves its row."""
    raw = fat(20, each("thin", "steps.fat"), value("b", "item.n", parent="thin"), lines=("fat > thin",))
    run = run_of(house, sandbox, raw)
    last = StepLog.objects.filter(run=run, node=2).order_by("-scope_id").values().first()
    assert last is not None
    StepLog.objects.filter(run=run, node=2, scope_id=last["scope_id"]).delete()
    StepLog.objects.create(**{**last, "xid": last["xid"] + 1_000})
    known = kinds(told=Told(large))
    with at_work(house, sandbox, known):
        rerun_step(run.pk, "thin", house.actor)
        assert house.worker is not None
        house.worker.poke()
        run = ended(house, run.pk, "failed")
    assert "1 of 20 items failed" in error(run)["message"]
    assert "`item` is empty" in error(run)["message"]


@pytest.mark.usefixtures("little")
def test_a_stretch_ends_where_its_items_grow_large(house: House, sandbox: Sandbox) -> None:
    def answer(context: Any) -> Outcome:
        return Done({"n": place(context), "text": "x" * (4_000 if place(context) in (0, 1, 2, 17, 59) else 10)})

    raw = fat(60, each("thin", "steps.fat"), value("b", "item.n", parent="thin"), lines=("fat > thin",))
    assert output(run_of(house, sandbox, raw, answer)) == list(range(60))


def outputs_in(run: Run) -> ItemOutputs:
    return ItemOutputs.from_json(reference_of(run))


@pytest.mark.usefixtures("little")
def test_items_are_read_in_either_direction_a_stretch_at_a_time(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_outputs, "MOST_AT_ONCE", 10_000)
    outputs = outputs_in(run_of(house, sandbox, fat(90)))
    for places in (range(90), range(89, -1, -1)):
        asked: list[Any] = []
        stretches = item_outputs.Stretches(own_pool(asked))
        assert [stretches.item(outputs, place)["n"] for place in places] == list(places)  # type: ignore[index,call-overload]
        assert len(asked) == 10  # nine of 1 kB each in a stretch


def own_pool(asked: list[Any]) -> Any:
    class Pool:
        @contextmanager
        def connection(self) -> Iterator[Any]:
            asked.append(True)
            with own_connection() as one:
                yield one

    return Pool()


OTHER_RUNS = """
INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, finished_at,
    cause, xid)
SELECT s.entry, o.id, s.node, s.scope_id, s.generation, s.attempt, s.outcome, s.final, s.finished_at, s.cause, s.xid
FROM orchestrator_steplog s CROSS JOIN (SELECT gen_random_uuid() AS id FROM generate_series(1, 20)) o
WHERE s.run_id = %s
"""


def test_both_reads_look_at_no_other_rows(house: House, sandbox: Sandbox) -> None:
    run = run_of(house, sandbox, fat(2_000))
    block = Scope.objects.get(run=run).pk
    span = {"run": run.pk, "nodes": [1], "first": block + 1, "last": block + 2_000, "most": 8_000_000, "seen": "9:9:"}
    with connection.cursor() as cursor:
        cursor.execute(OTHER_RUNS, [run.pk])
        cursor.execute("ANALYZE orchestrator_steplog")
    whole = reads_of(lambda: named_rows(statements.ITEM_OUTPUTS, span))
    assert [rows for _, rows in whole] == [2_000]
    part = reads_of(lambda: named_rows(statements.ITEM_STRETCH, {**span, "last": block + 200}))
    assert [rows for _, rows in part] == [200]
