"""H3: runs on real nodes while processes die, stop, and the database, the broker and the clock fall over.

`make chaos` plays rounds until the whole campaign is done, and goes on with one that was interrupted.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from django.db import connection

from orchestrator.models import Run, WorkerSession
from tests.chaos import functions
from tests.chaos.campaign import TTL, Quota, forget, missing, play
from tests.chaos.drawings import random_flat
from tests.chaos.ledger import Ledger
from tests.chaos.nemesis import Nodes
from tests.chaos.node import able_to_call
from tests.engine.house import make_house
from tests.engine.test_random_graphs import assert_invariants, happened
from tests.harness.clock import RUNS
from tests.servers import servers
from tests.waiting import wait_until

pytestmark = pytest.mark.chaos

LONG = os.environ.get("BRANCHLINE_CHAOS") == "long"
SHORT_ROUND = Quota(runs=200, kills=20, stops=6, crashes=1, others=10, pace=0.05)
LONG_ROUND = Quota(runs=1_000, kills=100, stops=26, crashes=3, others=10, pace=0.05)
CAMPAIGN = Counter({"runs": 20_000, "kill -9": 2_000, "stopped beyond the lease": 500, "database crashes": 50})
LEDGER = Path(os.environ.get("BRANCHLINE_CHAOS_LEDGER", ".chaos/rounds.jsonl"))
SEED = int(os.environ.get("BRANCHLINE_CHAOS_SEED", "11"))


@pytest.fixture
def movable_clock(transactional_db: None) -> Iterator[None]:
    """Every later connection to this database reads a clock that the nemesis can move."""
    database = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(RUNS)
        cursor.execute(f'ALTER DATABASE "{database}" SET search_path = harness, pg_catalog, public')
    connection.close()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{database}" RESET search_path')
            cursor.execute("DROP SCHEMA harness CASCADE")
        connection.close()


@pytest.fixture
def nodes(process_environment: dict[str, str], movable_clock: None, tmp_path: Path) -> Iterator[Nodes]:
    environment = able_to_call(functions, process_environment, tmp_path, ttl=TTL)
    nodes = Nodes(environment, tmp_path / "nodes.log")
    try:
        wait_until(lambda: WorkerSession.objects.count() >= 4, 40, "two nodes to start")
        yield nodes
    finally:
        nodes.stop()


def test_nothing_is_lost_and_nothing_is_doubled(nodes: Nodes, tmp_path: Path) -> None:
    if servers().postgres is None:
        pytest.skip("the PostgreSQL of DATABASE_URL is not ours to crash")
    ledger, wrongs = Ledger(LEDGER if LONG else None), LEDGER.parent if LONG else tmp_path
    wanted = CAMPAIGN if LONG else Counter({"runs": SHORT_ROUND.runs})
    while missing(wanted, ledger.blows + Counter({"runs": ledger.total("runs")})):
        ledger.add(play(nodes, LONG_ROUND if LONG else SHORT_ROUND, SEED + len(ledger.rounds), tmp_path, wrongs))
        forget(tmp_path)
        print(f"\nAfter round {len(ledger.rounds)}:\n{ledger.report()}", flush=True)  # noqa: T201  the report
    assert ledger.total("taken_over"), "no attempt was ever lost: the blows hit nothing"


def test_runs_end_without_any_broker(nodes: Nodes) -> None:
    """I6: wake-ups only make it faster."""
    valkey = servers().valkey
    if valkey is None:
        pytest.skip("the broker of BROKER_URL is not ours to stop")
    house = make_house()
    drawn = random_flat(Random(5))
    version = house.publish(drawn.raw)
    valkey.stop()
    try:
        started = [house.start(version, {"mark": ""}) for _ in range(20)]
        wait_until(lambda: not Run.objects.open().exists(), 60, "every run to end without a broker")
    finally:
        valkey.start()
    assert [happened(Run.objects.get(pk=run_id), version) for run_id in started] == [drawn.wanted] * 20
    assert_invariants(started)
