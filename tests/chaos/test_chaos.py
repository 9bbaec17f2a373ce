"""H3: two hundred runs on real nodes while processes die, stop, and the database and the broker fall over."""

import os
import time
from collections.abc import Iterator
from random import Random

import pytest

from orchestrator.models import Run, StepLog, WorkerSession
from orchestrator.steps import load_modules
from tests.chaos.drawings import random_real_document
from tests.chaos.nemesis import Nemesis, Nodes
from tests.engine.house import House, make_house
from tests.engine.test_random_graphs import assert_invariants, happened
from tests.servers import servers
from tests.waiting import wait_until

pytestmark = pytest.mark.chaos

LONG = os.environ.get("BRANCHLINE_CHAOS") == "long"
RUNS, DRAWINGS = (4_000, 200) if LONG else (200, 40)
SECONDS = 600 if LONG else 18
TTL = 2.0  # seconds: short, so that stopped processes outlive their leases within the test
BETWEEN = 0.5  # seconds between blows


@pytest.fixture
def nodes(process_environment: dict[str, str]) -> Iterator[Nodes]:
    load_modules(["tests.chaos.functions"])
    environment = {
        **process_environment,
        "BRANCHLINE_STEP_MODULES": "tests.chaos.functions",
        "BRANCHLINE_LEASE_TTL": str(int(TTL)),
        "BRANCHLINE_LOG_LEVEL": "ERROR",
    }
    nodes = Nodes(environment)
    try:
        wait_until(lambda: WorkerSession.objects.count() >= 4, 40, "two nodes to start")
        yield nodes
    finally:
        nodes.stop()


def test_nothing_is_lost_and_nothing_is_doubled(transactional_db: None, nodes: Nodes) -> None:
    if servers().postgres is None:
        pytest.skip("the PostgreSQL of DATABASE_URL is not ours to crash")
    random = Random(int(os.environ.get("BRANCHLINE_CHAOS_SEED", "11")))
    house = make_house()
    drawings = [random_real_document(random) for _ in range(DRAWINGS)]
    published = [(house.publish(raw), wanted) for raw, wanted in drawings]
    started = [(house.start(published[n % DRAWINGS][0]), *published[n % DRAWINGS]) for n in range(RUNS)]
    nemesis = Nemesis(nodes, random, stop_seconds=TTL * 2.5)
    began = time.monotonic()
    crash_at = began + SECONDS / 3
    while time.monotonic() < began + SECONDS:
        nemesis.strike()
        if time.monotonic() > crash_at:
            nemesis.crash_database()
            crash_at = time.monotonic() + (SECONDS / 3 if not LONG else 12)
            started += more_runs(house, published, 20)
        time.sleep(BETWEEN)  # the pace of the blows, not a wait for something
    nemesis.wake_stopped(all_of_them=True)
    calm = time.monotonic()
    wait_until(lambda: not Run.objects.open().exists(), 60, "every run to end after the last blow")
    for run_id, version, wanted in started:
        assert happened(Run.objects.get(pk=run_id), version) == wanted
    assert_invariants([run_id for run_id, _, _ in started])
    unknown = StepLog.objects.filter(outcome="U").count()
    assert unknown, "no attempt was ever lost: the blows hit nothing"
    print(  # noqa: T201  the report
        f"\n{len(started)} runs, {StepLog.objects.count()} attempts, {unknown} of unknown outcome taken over, "
        f"all ended {time.monotonic() - calm:.1f} s after the last of: {dict(nemesis.counts)}"
    )


def more_runs(house: House, published: list, count: int) -> list:  # type: ignore[type-arg]
    """New runs between two crashes."""
    return [(house.start(version), version, wanted) for version, wanted in published[:count]]


def test_runs_end_without_any_broker(transactional_db: None, nodes: Nodes) -> None:
    """I6: wake-ups only make it faster."""
    valkey = servers().valkey
    if valkey is None:
        pytest.skip("the broker of BROKER_URL is not ours to stop")
    house = make_house()
    raw, wanted = random_real_document(Random(5))
    version = house.publish(raw)
    valkey.stop()
    try:
        started = [house.start(version) for _ in range(20)]
        wait_until(lambda: not Run.objects.open().exists(), 60, "every run to end without a broker")
    finally:
        valkey.start()
    assert [happened(Run.objects.get(pk=run_id), version) for run_id in started] == [wanted] * 20
    assert_invariants(started)
