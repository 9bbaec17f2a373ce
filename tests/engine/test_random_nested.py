"""H2 with containers and undo: random nested drawings through real slots and rows, against the reading by levels."""

from collections import Counter
from collections.abc import Collection
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Q, QuerySet

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Gate, Run, Scope, StepLog, UndoItem, Version
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import RunNotFailed, retry_run
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.graphs import Acted, ActedConfig
from tests.nested_graphs import (
    NESTED,
    WITH_RUNS,
    Happened,
    Style,
    as_drawn,
    as_published,
    nested_expected,
    random_nested,
    undone_expected,
)
from tests.waiting import wait_until

GRAPHS = 15
RUNS = 2  # of each graph, at once


def family(run_ids: Collection[UUID]) -> QuerySet[Run]:
    """These runs and those of their sub-workflows."""
    return Run.objects.filter(Q(pk__in=run_ids) | Q(root_run__in=run_ids))


def happened(run: Run) -> Happened:
    found = Happened(state=run.state)
    for member in family([run.pk]).select_related("version"):
        keys = member.version.plan["keys"]
        rows = StepLog.objects.filter(run=member, final=True, node__gte=0)
        for node, outcome, attempt in rows.values_list("node", "outcome", "attempt"):
            if attempt < 1:
                found.blocked[keys[node]] += 1  # a join that could not start
                continue
            found.ran[keys[node]] += 1
            found.failed[keys[node]] += outcome in ("F", "T")
    found.failed += Counter()
    return found


def assert_invariants(started: list[UUID]) -> None:
    """I1, I3, I17 over the rows of these runs and those below, in every scope."""
    run_ids = list(family(started).values_list("pk", flat=True))
    successes = Counter(
        StepLog.objects.filter(run_id__in=run_ids, outcome="S").values_list("run_id", "node", "scope_id", "generation")
    )
    assert set(successes.values()) <= {1}
    for gate in Gate.objects.filter(run_id__in=run_ids):
        assert (gate.decided, gate.ok + gate.skip + gate.fail) == (1, gate.size), f"gate {gate}"
    for scope in Scope.objects.filter(run_id__in=run_ids, total__gt=0):
        assert (scope.ok + scope.fail, scope.next) == (scope.total, scope.total)
    assert [leftovers(run_id) for run_id in run_ids] == [{}] * len(run_ids)
    assert list(breaches()) == []


def publish(house: House, drawn: dict[str, Any]) -> Version:
    raw, children = as_published(drawn)
    for name, child in children.items():
        house.publish(child, slug=name, kinds=NESTED)
    return house.publish(raw, kinds=NESTED)


def run_all(house: House, sandbox: Sandbox, documents: list[dict[str, Any]]) -> list[tuple[Run, dict[str, Any]]]:
    published = [(publish(house, raw), raw) for raw in documents]
    tools = make_tools(sandbox, NESTED)
    # Two workers in two sessions, so that branches and lanes of one run really meet in the rows.
    with (
        worker_at_work(tools) as house.worker,
        worker_at_work(tools) as second,
        keeper_at_work(second.poke),
    ):
        started = [(house.start(version), raw) for version, raw in published for _ in range(RUNS)]
        wait_until(lambda: not Run.objects.open().exists(), 90, "all runs to end")
    return [(Run.objects.get(pk=run_id), raw) for run_id, raw in started]


@pytest.mark.parametrize("seed", range(1, 4))
def test_nested_drawings_end_as_the_reading_by_levels_says(house: House, sandbox: Sandbox, seed: int) -> None:
    random = Random(seed)
    style = Style(containers=WITH_RUNS, locks=True, share=0.5)
    runs = run_all(house, sandbox, [random_nested(random, style=style) for _ in range(GRAPHS)])
    for run, raw in runs:
        assert happened(run) == nested_expected(raw)
    assert Run.objects.filter(depth__gt=1).exists()
    assert_invariants([run.pk for run, _ in runs])


@pytest.mark.parametrize("seed", range(3))
def test_what_happened_in_nested_drawings_is_undone_in_causal_order(house: House, sandbox: Sandbox, seed: int) -> None:
    """I16: the undo set is what succeeded and has an undo; none begins before those that came after it are done."""
    random = Random(seed)
    style = Style(undo=True, containers=WITH_RUNS, share=0.5)
    runs = run_all(house, sandbox, [random_nested(random, style=style) for _ in range(GRAPHS)])
    for run, raw in runs:
        wanted = nested_expected(raw)
        failed = wanted.state == "failed"
        assert run.state == ("undone" if failed else "succeeded")
        assert undone(run) == (undone_expected(raw, wanted) if failed else wanted.undone)
        for member in family([run.pk]):
            assert_causal_order(member)
    assert_invariants([run.pk for run, _ in runs])


class Mended(Acted):
    """Fails as told until it is mended."""

    mended = False

    def run(self, config: ActedConfig, context: Any) -> Any:
        return super().run(config.model_copy(update={"fails": config.fails and not self.mended}), context)


@pytest.mark.parametrize("seed", range(3))
def test_what_failed_in_nested_drawings_is_retried_where_it_stood(house: House, sandbox: Sandbox, seed: int) -> None:
    """A step that succeeded is not run again: the rows would show two successes, or another block of scopes."""
    random, acts = Random(seed), Mended()
    known = {**NESTED, "acted": acts}
    drawn = [random_nested(random) for _ in range(4 * GRAPHS)]
    failing = [raw for raw in drawn if nested_expected(raw).state == "failed"][:GRAPHS]
    versions = [house.publish(as_drawn(raw), kinds=known) for raw in failing]  # type: ignore[arg-type]
    tools = make_tools(sandbox, known)  # type: ignore[arg-type]
    with worker_at_work(tools) as house.worker, worker_at_work(tools) as second, keeper_at_work(second.poke):
        run_ids = [house.start(version) for version in versions]
        wait_until(lambda: not Run.objects.open().exists(), 90, "all runs to fail")
        acts.mended = True
        retried = [run_id for run_id in run_ids if is_retried(house, run_id)]
        wait_until(lambda: not Run.objects.open().exists(), 90, "all runs to end")
    assert retried
    for run in Run.objects.filter(pk__in=retried):
        # A join whose branches were skipped cannot be helped by trying again.
        assert run.state == "succeeded" or (run.error or {})["code"] == "branch_failed"
    assert_invariants(run_ids)


def is_retried(house: House, run_id: UUID) -> bool:
    """False when no step failed: only joins whose branches did not come."""
    try:
        retry_run(run_id, house.actor)
    except RunNotFailed:
        return False
    return True


def undone(run: Run) -> Counter[str]:
    found: Counter[str] = Counter()
    for member in family([run.pk]).select_related("version"):
        keys = member.version.plan["keys"]
        rows = StepLog.objects.filter(run=member, node__lt=0, outcome="S").values_list("node", flat=True)
        found.update(keys[-1 - node] for node in rows)
    return found


def assert_causal_order(run: Run) -> None:
    items = {item.entry: item for item in UndoItem.objects.filter(run=run)}
    done = {
        (-1 - row.node, row.scope_id, row.generation): row
        for row in StepLog.objects.filter(run=run, node__lt=0, outcome="S")
    }
    for item in items.values():
        assert (item.state, item.awaits) in {("undone", 0), ("not_needed", 0)}
        for released in item.releases:
            earlier = items[released]
            first = done[item.node, item.scope_id, item.generation]
            second = done[earlier.node, earlier.scope_id, earlier.generation]
            assert second.started_at is not None
            assert first.finished_at <= second.started_at
