"""H2 for retries of single steps inside containers: what failed is mended, and tried again one step after another."""

from collections import Counter
from random import Random

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, StepLog
from orchestrator.services.reopen import RunNotFailed, StepNotFailed
from orchestrator.services.retry_step import retry_step
from tests.engine.house import House, keeper_at_work, leftovers, make_tools, worker_at_work
from tests.engine.test_random_inside import GRAPHS, STYLE, Seen, all_end
from tests.engine.test_random_nested import Mended
from tests.nested_graphs import NESTED, as_published, nested_expected, random_nested


@pytest.mark.parametrize("seed", range(2))
def test_one_retry_upon_another_mends_what_failed_and_repeats_nothing(
    house: House, sandbox: Sandbox, seed: int
) -> None:
    random, acts = Random(seed), Mended()
    known = {**NESTED, "acted": acts}
    drawn = [random_nested(random, style=STYLE) for _ in range(12 * GRAPHS)]
    tools = make_tools(sandbox, known)  # type: ignore[arg-type]
    tried: Counter[str] = Counter()
    with worker_at_work(tools) as house.worker, worker_at_work(tools) as second, keeper_at_work(second.poke):
        run_ids = []
        for raw in [raw for raw in drawn if nested_expected(raw).state == "failed"][: 2 * GRAPHS]:
            document, children = as_published(raw)
            for name, child in children.items():
                house.publish(child, slug=name, kinds=known)  # type: ignore[arg-type]
            run_ids.append(house.start(house.publish(document, kinds=known)))  # type: ignore[arg-type]
        all_end()
        acts.mended = True
        while sum(retried(house, random, Seen(run_id), tried) for run_id in run_ids):
            house.worker.poke()
            all_end()
    for run in Run.objects.filter(pk__in=run_ids):
        # A join whose branches were skipped cannot be helped by trying again.
        assert run.state == "succeeded" or (run.error or {})["code"] == "branch_failed", run.error
        assert leftovers(run.pk) == {}
    successes = StepLog.objects.filter(outcome="S", node__gte=0)
    places = Counter(successes.values_list("run_id", "node", "scope_id", "generation"))
    assert set(places.values()) == {1}
    assert tried["inside"] > 1


def retried(house: House, random: Random, seen: Seen, tried: Counter[str]) -> bool:
    """Try one again that failed, chosen at random, the deepest before their containers."""
    if seen.run.state != "failed":
        return False
    failed = sorted(place for place, row in seen.rows.items() if row.outcome == "F" and row.attempt > 0)
    random.shuffle(failed)
    for place in sorted(failed, key=lambda place: place.scope == 0):
        try:
            retry_step(seen.run.pk, seen.plan.steps[place.node].key, house.actor, scope=place.scope or None)
        except (StepNotFailed, RunNotFailed):
            continue  # its failure was taken where it happened, or a join around it cannot be helped
        tried["inside" if place.scope else "outside"] += 1
        return True
    return False
