"""H2 with steps that cancel others: runs end, joins get all their signals, nothing named begins too late."""

from random import Random

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run
from orchestrator.queries.fsck import breaches
from orchestrator.steps import KINDS
from tests.cancelling_graphs import with_cancels
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.test_random_graphs import assert_invariants, happened
from tests.graphs import ACTED, expected, random_document
from tests.waiting import wait_until

GRAPHS = 20
RUNS = 3  # of each graph, at once
CANCELLING = {**ACTED, "cancel": KINDS["cancel"]}


@pytest.mark.parametrize("seed", range(3))
def test_random_drawings_that_cancel(house: House, sandbox: Sandbox, seed: int) -> None:
    random = Random(500 + seed)
    tools = make_tools(sandbox, CANCELLING)
    drawings = [with_cancels(random, random_document(random)) for _ in range(GRAPHS)]
    with worker_at_work(tools) as house.worker, worker_at_work(tools) as second, keeper_at_work(second.poke):
        versions = [house.publish(drawn.drawing, kinds=CANCELLING) for drawn in drawings]
        runs = [
            (house.start(version), drawn)
            for version, drawn in zip(versions, drawings, strict=True)
            for _ in range(RUNS)
        ]
        wait_until(lambda: not Run.objects.open().exists(), 60, "all runs to end")
    assert_invariants([run_id for run_id, _ in runs])
    assert list(breaches()) == []
    spared = 0
    for run_id, drawn in runs:
        run = Run.objects.get(pk=run_id)
        found, wanted = happened(run, run.version), expected(drawn.plain)
        assert found.sure_of(drawn.unsure) == wanted.sure_of(drawn.unsure), f"{run_id}: {drawn.drawing}"
        for cut in drawn.spared.keys() & found.ran:
            spared += len(drawn.spared[cut])
            assert not drawn.spared[cut] & found.ran, f"{run_id}: begun after {cut}: {drawn.drawing}"
    assert spared, "no drawing cancels what comes later"
