"""H2 for re-runs and skips inside containers: random nested drawings, a random step of a random item, turn or scope."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from orchestrator.core.errors import Conflict
from orchestrator.core.plan import Plan, plan_of_body
from orchestrator.core.replay import descendants
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Scope, StepLog, Version
from orchestrator.queries.fsck import breaches
from orchestrator.services.plans import plan_of
from orchestrator.services.repeat_preview import preview_rerun
from orchestrator.services.rerun import rerun_step
from orchestrator.services.skip import skip_step
from orchestrator.services.skip_inside import StepNotOpen
from orchestrator.services.skip_preview import told_skip
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.test_random_nested import publish
from tests.nested_graphs import CONTAINERS, NESTED, Happened, Style, nested_expected, random_nested
from tests.waiting import wait_until

GRAPHS = 12
ROUNDS = 3
STYLE = Style(containers=(*CONTAINERS, "sub_workflow", "sub_workflow"), locks=True, share=0.8)


class Place(NamedTuple):
    node: int
    scope: int


class Seen:
    """What a run's rows say now: the newest of each step in each place that still counts."""

    def __init__(self, run_id: UUID) -> None:
        self.run = Run.objects.get(pk=run_id)
        self.plan: Plan = plan_of(Version.objects.get(pk=self.run.version_id))
        rows = StepLog.objects.filter(run_id=run_id, final=True, node__gte=0)
        newest = rows.order_by("node", "scope_id", "-generation", "-attempt").distinct("node", "scope_id")
        self._all = {Place(row.node, row.scope_id): row for row in newest if row.outcome != "R"}
        self.blocks = {block.pk: block for block in Scope.objects.filter(run_id=run_id).order_by("pk")}
        self._last = {(block.node, block.parent): block.pk for block in self.blocks.values()}
        children = Run.objects.filter(parent_run=self.run).order_by("pk")
        started = children.values_list("parent_node", "parent_scope", "pk")
        #: the runs that sub-workflow steps started last
        self.children = {Place(node or 0, scope or 0): pk for node, scope, pk in started}
        self.rows = {place: row for place, row in self._all.items() if self._counts(place.scope)}

    def holder(self, scope: int) -> Scope:
        return self.blocks[scope & -131_072]

    def _counts(self, scope: int) -> bool:
        if not scope:
            return True
        block = self.holder(scope)
        is_last = self._last[block.node, block.parent] == block.pk
        return is_last and Place(block.node, block.parent) in self._all and self._counts(block.parent)

    def happened(self) -> Happened:
        found, keys = Happened(state=self.run.state), [step.key for step in self.plan.steps]
        for place, row in self.rows.items():
            if row.attempt < 1:
                found.blocked[keys[place.node]] += 1
                continue
            found.ran[keys[place.node]] += 1
            found.failed[keys[place.node]] += row.outcome == "F"
            if self.plan.steps[place.node].kind == "sub_workflow":
                found.add(Seen(self.children[place]).happened(), 1)
        found.failed += Counter()
        return found

    def affected(self, target: Place) -> Callable[[Place], bool]:
        """Whether a step belongs to what is done again from there: by level, and by turn."""
        again: dict[int, frozenset[int]] = {}
        later: set[tuple[int, int]] = set()
        node, scope = target
        while True:
            block = self.holder(scope) if scope else None
            level = plan_of_body(self.plan, block.node) if block else self.plan
            again[scope] = descendants(level, node) | {node}
            if block is None:
                break
            if self.plan.steps[block.node].kind == "repeat":
                later.add((scope, block.pk + 131_071))
            node, scope = block.node, block.parent

        return lambda place: self._asked(place, again, later)

    def _asked(self, place: Place, again: dict[int, frozenset[int]], later: set[tuple[int, int]]) -> bool:
        node, scope = place
        while scope not in again:
            if any(low < scope <= high for low, high in later):
                return True
            block = self.holder(scope)
            if block.parent in again and any(one & -131_072 == block.pk for one in again if one):
                return False  # another item, or an earlier turn, of a container on the way
            node, scope = block.node, block.parent
        return node in again[scope]


def ended_runs(
    house: House, sandbox: Sandbox, documents: list[dict[str, Any]], work: Callable[[list[UUID]], None]
) -> None:
    versions = [publish(house, raw) for raw in documents]
    tools = make_tools(sandbox, NESTED)
    with worker_at_work(tools) as house.worker, worker_at_work(tools) as second, keeper_at_work(second.poke):
        run_ids = [house.start(version) for version in versions]
        all_end()
        work(run_ids)


def all_end() -> None:
    wait_until(lambda: not Run.objects.open().exists(), 90, "all runs to end")
    assert list(breaches(everything=True)) == []


@pytest.mark.parametrize("seed", range(3))
def test_what_is_done_again_inside_ends_as_the_reading_says(house: House, sandbox: Sandbox, seed: int) -> None:
    """Nothing beside it is done again, everything behind it is, and all ends as it ended before."""
    random = Random(seed)
    documents = [random_nested(random, style=STYLE) for _ in range(GRAPHS)]
    done: Counter[str] = Counter()

    def work(run_ids: list[UUID]) -> None:
        for round_ in range(ROUNDS):
            chosen = {}
            for run_id in run_ids:
                seen = Seen(run_id)
                inside = sorted(place for place, row in seen.rows.items() if place.scope and row.attempt > 0)
                if not inside:
                    continue
                # Sub-workflows in containers are few: the first round is theirs.
                subs = [place for place in inside if place in seen.children]
                target = random.choice(subs if subs and round_ == 0 else inside)
                key = seen.plan.steps[target.node].key
                preview_rerun(run_id, key, house.actor, scope=target.scope)
                rerun_step(run_id, key, house.actor, scope=target.scope)
                chosen[run_id] = (seen, target)
            assert house.worker is not None
            house.worker.poke()
            all_end()
            for run_id, raw in zip(run_ids, documents, strict=True):
                now = Seen(run_id)
                assert now.happened() == nested_expected(raw)
                assert leftovers(run_id) == {}
                if run_id in chosen:
                    seen, target = chosen[run_id]
                    done.update(check(seen, now, target))

    ended_runs(house, sandbox, documents, work)
    assert done["again"] > 20
    assert done["kept"] > 20
    assert done["sub-workflows again"] > 0
    assert done["sub-workflows kept"] > 0


def check(before: Seen, now: Seen, target: Place) -> Counter[str]:
    affected = before.affected(target)
    found: Counter[str] = Counter()
    for place, row in before.rows.items():
        if row.outcome == "K":
            continue
        if affected(place):
            found["again"] += 1
            assert place not in now.rows or now.rows[place].entry > row.entry, f"{place} of {target}"
        else:
            found["kept"] += 1
            assert now.rows[place].entry == row.entry, f"{place} of {target}"
        if place in before.children and place.scope and place in now.rows:
            found["sub-workflows again"] += affected(place)
            found["sub-workflows kept"] += not affected(place)
            # What succeeded is repeated by a run of its own; what failed, by the one that stands there or by a new one.
            is_new = now.children[place] != before.children[place]
            assert is_new or not affected(place) or row.outcome != "S", f"{place} of {target}"
            assert not is_new or affected(place), f"{place} of {target}"
    return found


@pytest.mark.parametrize("seed", range(3))
def test_skip_upon_skip_lets_a_failed_run_go_on_and_tries_nothing_again(
    house: House, sandbox: Sandbox, seed: int
) -> None:
    random = Random(seed)
    drawn = [random_nested(random, style=STYLE) for _ in range(6 * GRAPHS)]
    documents = [raw for raw in drawn if nested_expected(raw).state == "failed"][:GRAPHS]
    skipped: Counter[str] = Counter()

    def work(run_ids: list[UUID]) -> None:
        while True:
            before = {run_id: Seen(run_id) for run_id in run_ids}
            done = Counter(str(skip_one(house, random, seen)) for seen in before.values())
            skipped.update(done)
            if set(done) == {"None"}:
                break
            assert house.worker is not None
            house.worker.poke()
            all_end()
            for run_id, seen in before.items():
                now = Seen(run_id)
                failures = {place for place, row in seen.rows.items() if row.outcome == "F" and row.attempt > 0}
                for place in failures & set(now.rows):
                    is_container = seen.plan.steps[place.node].kind in {"scope", "for_each", "repeat"}
                    row = now.rows[place]
                    assert is_container or row.entry == seen.rows[place].entry or (row.session_id or 0) < 0

        for run in Run.objects.filter(pk__in=run_ids, state="failed"):
            # A join whose branches were skipped cannot be helped; its failure takes the container around along.
            assert (run.error or {})["code"] == "branch_failed", run.error

    ended_runs(house, sandbox, documents, work)
    assert skipped["inside"] > 2


def skip_one(house: House, random: Random, seen: Seen) -> str | None:
    """Skip one that failed, chosen at random among those that can be."""
    if seen.run.state != "failed":
        return None
    failed = sorted(place for place, row in seen.rows.items() if row.outcome == "F" and row.attempt > 0)
    random.shuffle(failed)
    for place in sorted(failed, key=lambda place: place.scope == 0):
        step = seen.plan.steps[place.node]
        if step.kind in {"scope", "for_each", "repeat"}:
            continue
        try:
            told_skip(seen.run.pk, step.key, house.actor, scope=place.scope or None)
        except StepNotOpen:
            continue  # its failure was taken where it happened
        skip_step(seen.run.pk, step.key, house.actor, output=None, scope=place.scope or None)
        return "inside" if place.scope else "outside"
    return None


@pytest.mark.parametrize("seed", range(2))
def test_asked_again_and_again_while_the_run_is_at_work(house: House, sandbox: Sandbox, seed: int) -> None:
    """Whatever moment it meets, all ends as the reading says, and every count is right."""
    random = Random(seed)
    documents = [random_nested(random, style=STYLE) for _ in range(GRAPHS)]
    told: Counter[str] = Counter()

    def work(run_ids: list[UUID]) -> None:
        assert house.worker is not None
        for times in range(60):
            if times >= 6 and told["open"] > 5:  # on a busy machine it may take longer to meet some at work
                break
            for run_id in run_ids * 2:  # the second time most of them are open
                seen = Seen(run_id)
                inside = sorted(place for place, row in seen.rows.items() if place.scope and row.attempt > 0)
                if inside:
                    told[ask(house, seen, random.choice(inside))] += 1
            house.worker.poke()
        all_end()
        for run_id, raw in zip(run_ids, documents, strict=True):
            assert Seen(run_id).happened() == nested_expected(raw)
            assert leftovers(run_id) == {}

    ended_runs(house, sandbox, documents, work)
    assert told["open"] > 5
    assert set(told) <= {"open", "ended", "step_running", "step_never_ran", "run_busy"}


def ask(house: House, seen: Seen, place: Place) -> str:
    """Whether it found the run open or ended, or why it was refused."""
    was_open = Run.objects.open().filter(pk=seen.run.pk).exists()
    try:
        rerun_step(seen.run.pk, seen.plan.steps[place.node].key, house.actor, scope=place.scope)
    except Conflict as refused:
        return refused.error_code
    return "open" if was_open else "ended"
