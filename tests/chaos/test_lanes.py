"""A worker dies inside a chunk of a for-each (I15): what was stored is not done again, nothing is stored twice."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from orchestrator.models import Run, StepLog
from orchestrator.models.scope import BLOCK
from orchestrator.queries.fsck import breaches
from tests.chaos import lane_functions
from tests.chaos.journal import told
from tests.chaos.node import able_to_call, node_at_work
from tests.engine.drawings import document, step
from tests.engine.house import House, leftovers, make_house, output

pytestmark = pytest.mark.chaos
TOTAL = 640


@pytest.fixture
def house(process_environment: dict[str, str], tmp_path: Path) -> Iterator[House]:
    """One worker node of two processes."""
    environment = able_to_call(lane_functions, process_environment, tmp_path, log_level="CRITICAL")
    with node_at_work(environment, tmp_path / "node.log"):
        yield make_house()


def begin(house: House, *, deadly: int, times: int, tolerated: int = 0) -> UUID:
    arguments = {"item": {"$": "item"}, "deadly": deadly, "times": times}
    items = {"items": {"$": f"list(range({TOTAL}))"}, "tolerate": {"count": tolerated}}
    call = step("act", "call", parent="each", config={"function": "lanes.act", "arguments": arguments})
    return house.start(house.publish(document([step("each", "for_each", config=items), call])))


def stored(run: Run, outcome: str) -> Counter[int]:
    """Item -> rows of the step log with this outcome."""
    scopes = StepLog.objects.filter(run=run, node=1, outcome=outcome).values_list("scope_id", flat=True)
    return Counter(scope % BLOCK - 1 for scope in scopes)


def done(folder: Path) -> Counter[int]:
    return Counter(int(line) for line in told(folder).read_text().split())


def test_a_worker_killed_in_a_chunk_repeats_what_was_not_stored_and_no_more(house: House, tmp_path: Path) -> None:
    run = house.end_of(begin(house, deadly=333, times=1), 60)
    assert output(run) == list(range(TOTAL))
    assert stored(run, "S") == Counter(range(TOTAL))
    repeated = {item for item, times in done(tmp_path).items() if times > 1}
    assert 333 in repeated
    # Every lane of the dead process lost at most what one call holds; the other process lost nothing.
    assert len(repeated) <= 12 * 20
    assert max(done(tmp_path).values()) == 2
    assert (leftovers(run.pk), list(breaches())) == ({}, [])


def test_an_item_that_always_kills_its_worker_fails_and_the_others_go_on(house: House, tmp_path: Path) -> None:
    run = house.end_of(begin(house, deadly=333, times=1_000, tolerated=1), 120)
    assert output(run) == [None if item == 333 else item for item in range(TOTAL)]
    assert stored(run, "S") == Counter(item for item in range(TOTAL) if item != 333)
    (fault,) = StepLog.objects.filter(run=run, node=1, outcome="F").values_list("error", flat=True)
    assert fault is not None
    assert fault["code"] == "worker_lost"
    # Five in a row without a stored item; before that, the deaths with what the lane had not stored yet.
    assert 5 <= done(tmp_path)[333] <= 10
    assert (leftovers(run.pk), list(breaches())) == ({}, [])
