"""Rounds of blows against real nodes: runs go on all the while, then a calm in which every one of them must end."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from django.db import connection

from orchestrator.models import Run
from tests.chaos.drawings import random_any
from tests.chaos.ledger import Tally
from tests.chaos.nemesis import Nemesis, Nodes
from tests.chaos.verdict import MOST_SHOWN, Started, judge
from tests.engine.house import House, make_house
from tests.harness.rows import RUN_TABLES
from tests.waiting import wait_until

TTL = 1  # seconds: short, so that stopped processes outlive their leases
STOP = 1.8  # seconds that a process is stopped
DRAWINGS = 40
MOST_OPEN = 150  # runs; more only wait
REPORT_EVERY = 20  # blows


@dataclass(frozen=True, slots=True)
class Quota:
    """How much happens in one round. `pace`: seconds between two blows."""

    runs: int
    kills: int
    stops: int
    crashes: int
    others: int
    pace: float


def play(nodes: Nodes, quota: Quota, seed: int, journal: Path) -> Tally:
    """One round. Raises AssertionError with what is lost or doubled."""
    began = time.monotonic()
    random = Random(seed)
    nemesis = Nemesis(nodes, random, stop_seconds=STOP)
    house = make_house()
    published = [(house.publish(raw), wanted) for raw, wanted in (random_any(random) for _ in range(DRAWINGS))]
    started: Started = {}
    blows = _blows(nemesis, quota)
    random.shuffle(blows)
    for number, blow in enumerate(blows, 1):
        _start(house, published, started, quota.runs * number // len(blows))
        blow()
        nemesis.tick()
        if number % REPORT_EVERY == 0:
            print(f"{number} of {len(blows)} blows, {len(started)} runs, {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201  progress
        time.sleep(quota.pace)  # the pace of the blows, not a wait for something
    nemesis.relent()
    wait_until(lambda: _all_ended(nodes), 120, "every run to end after the last blow")
    tally, wrong = judge(started, journal, nemesis.lost_at)
    tally.blows, tally.seed, tally.seconds = dict(nemesis.counts), seed, time.monotonic() - began
    assert not wrong, f"seed {seed}: {len(wrong)} wrong: " + "\n".join(wrong[:MOST_SHOWN])
    return tally


def _blows(nemesis: Nemesis, quota: Quota) -> list[Callable[[], None]]:
    others = [nemesis.flush_broker, nemesis.stop_broker, nemesis.shuffle_wakes, nemesis.jump_clock, nemesis.kill_node]
    return (
        [nemesis.kill_child] * quota.kills
        + [nemesis.stop_child] * quota.stops
        + [nemesis.crash_database] * quota.crashes
        + [others[n % len(others)] for n in range(quota.others)]
    )


def _start(house: House, published: list, started: Started, upto: int) -> None:  # type: ignore[type-arg]
    if upto > len(started) and Run.objects.open().count() > MOST_OPEN:
        wait_until(lambda: Run.objects.open().count() <= MOST_OPEN, 120, "the workers to catch up")
    while len(started) < upto:
        version, wanted = published[len(started) % DRAWINGS]
        started[house.start(version)] = version, wanted


def forget(journal: Path) -> None:
    """Empty the rows and journals of a round whose tally is kept."""
    with connection.cursor() as cursor:
        cursor.execute(RUN_TABLES)
        names = [row[0] for row in cursor.fetchall() if row[0] != "orchestrator_worker_session"]
        cursor.execute(f"TRUNCATE {', '.join(names)}")
    for path in journal.glob("*.journal"):
        path.write_bytes(b"")


def missing(wanted: Counter[str], done: Counter[str]) -> bool:
    """Whether a campaign has not yet done what it set out to do."""
    return any(done[name] < number for name, number in wanted.items())


def _all_ended(nodes: Nodes) -> bool:
    nodes.revive()
    return not Run.objects.open().exists()
