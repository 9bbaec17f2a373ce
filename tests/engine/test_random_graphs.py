"""H2: random drawings through real slots and real rows, against the simple reading."""

from collections import Counter
from random import Random
from typing import Any
from uuid import UUID

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Gate, Run, StepLog, Version
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.graphs import ACTED, Expected, expected, random_document
from tests.waiting import wait_until

GRAPHS = 60
RUNS = 3  # of each graph, at once


def happened(run: Run, version: Version) -> Expected:
    """The same four facts, read from the rows."""
    keys = version.plan["keys"]
    logged = StepLog.objects.filter(run_id=run.pk, final=True).exclude(outcome="K")
    rows = list(logged.values_list("node", "outcome", "error"))
    blocked = {keys[node] for node, _, error in rows if error and error["code"] == "branch_failed"}
    ran = {keys[node]: outcome for node, outcome, _ in rows if keys[node] not in blocked}
    failed = frozenset(key for key, outcome in ran.items() if outcome == "F")
    return Expected(frozenset(ran), failed, frozenset(blocked), run.state)


def assert_invariants(run_ids: list[UUID]) -> None:
    """I1, I3, I17 over the rows of these runs."""
    successes = Counter(StepLog.objects.filter(run_id__in=run_ids, outcome="S").values_list("run_id", "node"))
    assert set(successes.values()) <= {1}
    for gate in Gate.objects.filter(run_id__in=run_ids):
        assert gate.decided == 1, f"gate {gate.gate} of {gate.run_id} was decided {gate.decided} times"
        assert gate.ok + gate.skip + gate.fail == gate.size
    assert [leftovers(run_id) for run_id in run_ids] == [{}] * len(run_ids)


def publish_random(
    house: House, random: Random, count: int, *, cancels: bool = False
) -> list[tuple[Version, dict[str, Any]]]:
    documents = [random_document(random, cancels=cancels) for _ in range(count)]
    return [(house.publish(raw, kinds=ACTED), raw) for raw in documents]


def play(house: House, sandbox: Sandbox, published: list[tuple[Version, dict[str, Any]]]) -> list[tuple[Run, Any]]:
    """Every drawing some times at once; each run that has ended, with its drawing."""
    tools = make_tools(sandbox, ACTED)
    # Two workers in two sessions, so that branches of one run really meet in the rows.
    with (
        worker_at_work(tools) as house.worker,
        worker_at_work(tools) as second,
        keeper_at_work(second.poke),
    ):
        started = [(house.start(version), raw) for version, raw in published for _ in range(RUNS)]
        wait_until(lambda: not Run.objects.open().exists(), 60, "all runs to end")
    assert_invariants([run_id for run_id, _ in started])
    return [(Run.objects.get(pk=run_id), raw) for run_id, raw in started]


@pytest.mark.parametrize("seed", range(3))
def test_random_drawings_end_as_the_simple_reading_says(house: House, sandbox: Sandbox, seed: int) -> None:
    for run, raw in play(house, sandbox, publish_random(house, Random(seed), GRAPHS // 3)):
        wanted = expected(raw)
        assert not wanted.unsure
        assert happened(run, run.version) == wanted


@pytest.mark.parametrize("seed", range(3))
def test_random_joins_that_cancel_end_as_they_may(house: House, sandbox: Sandbox, seed: int) -> None:
    played = play(house, sandbox, publish_random(house, Random(100 + seed), GRAPHS // 3, cancels=True))
    assert any(expected(raw).unsure for _, raw in played), "no drawing cancels anything"
    for run, raw in played:
        assert expected(raw).allows(happened(run, run.version)), f"{run.pk}: {raw}"
