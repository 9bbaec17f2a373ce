"""Workers die while a retried for-each goes on: every item ends once, no more go on at once than `parallel` says."""

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.models import Run, StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.services.reopen import retry_run
from tests.chaos import retried_functions
from tests.chaos.journal import told
from tests.chaos.node import able_to_call, node_at_work
from tests.engine.drawings import document, step
from tests.engine.house import leftovers, make_house, output

pytestmark = pytest.mark.chaos
TOTAL, PARALLEL = 18, 3
DEADLY = (1, 6, 7, 15)


def drawing() -> dict[str, object]:
    arguments = {"item": {"$": "item"}, "deadly": {"$": f"item in {list(DEADLY)}"}}
    config = {"items": list(range(TOTAL)), "parallel": PARALLEL, "tolerate": {"count": 11}}
    once = {"attempts": 1, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}  # a death spends none
    act = step("act", "call", parent="each", retry=once, config={"function": "retried.act", "arguments": arguments})
    wait = step("wait", "delay", parent="each", config={"for": "PT0S"})
    return document([step("each", "for_each", config=config), wait, act], "wait > act")


def most_at_once(lines: list[str]) -> int:
    """How many items had begun and neither ended nor died, at most."""
    here: set[str] = set()
    most = 0
    for what, item in (line.split() for line in lines):
        here = here | {item} if what == "begin" else here - {item}
        most = max(most, len(here))
    return most


def test_a_retried_for_each_under_kill_9(
    process_environment: dict[str, str], tmp_path: Path, transactional_db: None
) -> None:
    environment = able_to_call(retried_functions, process_environment, tmp_path, log_level="CRITICAL")
    with node_at_work(environment, tmp_path / "node.log"):
        house = make_house()
        run_id = house.start(house.publish(drawing()))
        assert house.end_of(run_id, 60).state == "failed"
        (tmp_path / "mended").touch()
        retry_run(run_id, house.actor)
        run = house.end_of(run_id, 120)
    assert (run.state, output(run)) == ("succeeded", list(range(TOTAL)))
    lines = told(tmp_path).read_text().splitlines()
    assert most_at_once(lines) <= PARALLEL
    begun = Counter(int(line.split()[1]) for line in lines if line.startswith("begin"))
    assert set(begun) == set(range(TOTAL))
    assert all(begun[item] >= 2 for item in DEADLY)
    successes = StepLog.objects.filter(run_id=run_id, node=2, outcome="S").values_list("scope_id", flat=True)
    assert len(successes) == len(set(successes)) == TOTAL
    assert Run.objects.get(pk=run_id).error is None
    assert (leftovers(run_id), list(breaches())) == ({}, [])
