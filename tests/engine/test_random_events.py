"""H2 with events: random nested drawings whose steps wait for events that come before, meanwhile, or never."""

import copy
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Delivery, Run, StepLog, Token
from orchestrator.queries.fsck import breaches
from orchestrator.services.events import publish_event
from tests.engine.house import House, keeper_at_work, make_tools, worker_at_work
from tests.engine.rows import own_connection
from tests.engine.test_random_nested import assert_invariants, happened, publish
from tests.harness.told import in_order
from tests.nested_graphs import NESTED, WITH_RUNS, Style, nested_expected, random_nested
from tests.waiting import wait_until

GRAPHS = 12
STYLE = Style(containers=WITH_RUNS, locks=True, share=0.5)


def with_waits(random: Random, drawn: dict[str, Any]) -> dict[str, Any]:
    """The same drawing, in which some steps succeed with an event of their run, or fail by waiting in vain."""
    drawn = copy.deepcopy(drawn)
    for step in drawn["steps"]:
        config = step["config"]
        plain = step["kind"] == "acted" and config["drawn"] == ["out"] and not config["flaky"]
        if plain and (config["fails"] or random.random() < 0.5):
            step |= {"kind": "wait_event", "config": _in_vain() if config["fails"] else _wanted(random)}
    return drawn


def _in_vain() -> dict[str, Any]:
    return {"type": "told", "key": "of nobody", "deadline": "PT0.05S"}


def _wanted(random: Random) -> dict[str, Any]:
    where = {"where": {"$": "event.data % 2 == 0"}} if random.random() < 0.5 else {}
    return {"type": "told", "key": {"$": "input.mark"}, **where}


def tell(house: House, key: str, number: int) -> None:
    publish_event(
        actor=house.actor, event={"id": str(uuid4()), "source": "/h2", "type": "told", "key": key, "data": number}
    )


def tell_who_waits(house: House, number: int) -> None:
    """One event for each key that is waited for at this moment, but that of nobody."""
    topics = Token.objects.filter(state="W").exclude(waiting__topic=None).values_list("waiting__topic", flat=True)
    for key in {topic.partition("#")[2] for topic in topics} - {"of nobody"}:
        tell(house, key, number)


@pytest.mark.parametrize("seed", range(1, 4))
def test_nested_drawings_with_events_end_as_the_reading_by_levels_says(
    house: House, sandbox: Sandbox, seed: int
) -> None:
    random = Random(seed)
    drawn = [random_nested(random, style=STYLE) for _ in range(GRAPHS)]
    versions = [publish(house, with_waits(random, raw)) for raw in drawn]
    tools, told = make_tools(sandbox, NESTED), 0
    with worker_at_work(tools) as house.worker, worker_at_work(tools) as second, keeper_at_work(second.poke):
        started = []
        for version, raw in zip(versions, drawn, strict=True):
            mark = uuid4().hex
            started.append((house.start(version, {"mark": mark}), raw))
            for number in range(random.choice((0, 0, 1, 3))):
                tell(house, mark, number)

        def all_ended() -> bool:
            nonlocal told
            told += 1
            tell_who_waits(house, told)
            second.poke()
            return not Run.objects.open().exists()

        wait_until(all_ended, 90, "all runs to end")
    for run_id, raw in started:
        assert happened(Run.objects.get(pk=run_id)) == nested_expected(raw)
    assert_invariants([run_id for run_id, _ in started])
    assert Delivery.objects.filter(state="D").exists()
    assert StepLog.objects.filter(outcome="T").exists()
    with own_connection() as database:
        in_order(database)
    assert list(breaches(everything=True)) == []
