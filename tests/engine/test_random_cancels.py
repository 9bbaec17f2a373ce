"""H2 with steps that cancel others: runs end, joins get all their signals, nothing named begins too late."""

import copy
import itertools
from random import Random
from typing import Any

import pytest

from orchestrator.core.document import DEFAULT_PORT
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run
from orchestrator.queries.fsck import breaches
from orchestrator.steps import KINDS
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.test_random_graphs import assert_invariants, happened
from tests.graphs import ACTED, expected, random_document
from tests.waiting import wait_until

GRAPHS = 20
RUNS = 3  # of each graph, at once
CANCELLING = {**ACTED, "cancel": KINDS["cancel"]}
STEADY = {"drawn": [DEFAULT_PORT], "ports": [DEFAULT_PORT], "fails": False, "flaky": 0}


def with_cancels(random: Random) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    """A drawing with one to three cancelling steps; the same with steps that do nothing instead; their targets."""
    plain = random_document(random)
    keys = [step["key"] for step in plain["steps"]]
    targets: dict[str, list[str]] = {}
    for number in range(random.randint(1, 3)):
        cut, source = f"cut{number}", random.randrange(len(keys))
        targets[cut] = random.sample(keys, min(len(keys), random.randint(1, 3)))
        place = next(place for place, step in enumerate(plain["steps"]) if step["key"] == keys[source]) + 1
        # Behind it a short line, whose end cannot begin before.
        line = [cut, f"{cut}_then", f"{cut}_last"]
        plain["steps"][place:place] = [
            {"key": k, "name": k, "kind": "acted", "config": STEADY, "at": [0, 0]} for k in line
        ]
        plain["edges"] += [{"from": a, "port": DEFAULT_PORT, "to": b} for a, b in itertools.pairwise(line)]
        targets[cut] += [line[-1]] if random.random() < 0.5 else []
        if random.random() < 0.8:
            plain["edges"].append({"from": keys[source], "port": DEFAULT_PORT, "to": cut})
        if random.random() < 0.5 and source + 1 < len(keys):
            plain["edges"].append({"from": cut, "port": DEFAULT_PORT, "to": random.choice(keys[source + 1 :])})
    plain["edges"] = [edge for edge in plain["edges"] if edge["port"] in (*_drawn(plain, edge["from"]), "error")]
    drawing = copy.deepcopy(plain)
    for step in drawing["steps"]:
        if step["key"] in targets:
            step |= {"kind": "cancel", "config": {"steps": targets[step["key"]]}}
    return drawing, plain, {key for named in targets.values() for key in named}


def _drawn(raw: dict[str, Any], key: str) -> list[str]:
    return next(list(step["config"]["drawn"]) for step in raw["steps"] if step["key"] == key)


def behind(raw: dict[str, Any], starts: set[str]) -> set[str]:
    """These steps, and all that they lead to."""
    found = set(starts)
    for step in raw["steps"]:  # keys are in topological order
        if any(edge["from"] in found and edge["to"] == step["key"] for edge in raw["edges"]):
            found.add(step["key"])
    return found


@pytest.mark.parametrize("seed", range(3))
def test_random_drawings_that_cancel(house: House, sandbox: Sandbox, seed: int) -> None:
    random = Random(500 + seed)
    tools = make_tools(sandbox, CANCELLING)
    drawings = [with_cancels(random) for _ in range(GRAPHS)]
    with worker_at_work(tools) as house.worker, worker_at_work(tools) as second, keeper_at_work(second.poke):
        versions = [house.publish(drawing, kinds=CANCELLING) for drawing, _, _ in drawings]
        runs = [
            (house.start(version), *drawn)
            for version, drawn in zip(versions, drawings, strict=True)
            for _ in range(RUNS)
        ]
        wait_until(lambda: not Run.objects.open().exists(), 60, "all runs to end")
    assert_invariants([run_id for run_id, *_ in runs])
    assert list(breaches()) == []
    spared = 0
    for run_id, drawing, plain, targets in runs:
        run = Run.objects.get(pk=run_id)
        found, wanted = happened(run, run.version), expected(plain)
        unsure = frozenset(behind(plain, targets))
        assert found.sure_of(unsure) == wanted.sure_of(unsure), f"{run_id}: {drawing}"
        for cut in (step for step in drawing["steps"] if step["kind"] == "cancel" and step["key"] in found.ran):
            late = set(cut["config"]["steps"]) & behind(plain, {cut["key"]})
            spared += len(late)
            assert not late & _only_behind(plain, cut["key"]) & found.ran, (
                f"{run_id}: begun after {cut['key']}: {drawing}"
            )
    assert spared, "no drawing cancels what comes later"


def _only_behind(raw: dict[str, Any], cut: str) -> set[str]:
    """Steps of which every way in comes from this one, so that they cannot have begun before it ended."""
    found = {cut}
    for step in raw["steps"]:
        sources = [edge["from"] for edge in raw["edges"] if edge["to"] == step["key"]]
        if sources and all(source in found for source in sources):
            found.add(step["key"])
    return found - {cut}
