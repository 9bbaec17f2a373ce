"""Rounds of blows against real nodes: runs go on all the while, then a calm in which every one of them must end."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import uuid4

from django.db import connection

from orchestrator.core.parse import parse_document
from orchestrator.models import Delivery, Run, Version
from orchestrator.services.versions import publish_version
from tests.chaos.drawings import Drawn, Wanted, random_any
from tests.chaos.evidence import keep
from tests.chaos.journal import FILES
from tests.chaos.ledger import Tally
from tests.chaos.nemesis import Nemesis, Nodes
from tests.chaos.operator import Operator
from tests.chaos.sender import Sender, wrong_events
from tests.chaos.verdict import MOST_SHOWN, Started, judge
from tests.engine.drawings import document, step
from tests.engine.house import House, make_house
from tests.harness.rows import RUN_TABLES
from tests.waiting import wait_until

TTL = 1  # seconds: short, so that stopped processes outlive their leases
STOP = 1.8  # seconds that a process is stopped
DRAWINGS = 40
EARLY = 0.3  # of runs of which an event comes before anybody waits for it
MOST_OPEN = 150  # runs; more only wait
CALM = 120  # seconds in which every run must have ended after the last blow
REPORT_EVERY = 20  # blows
#: A version of a sub-workflow that nobody asks for.
DECOY = document([step("decoy")])


@dataclass(frozen=True, slots=True)
class Quota:
    """How much happens in one round. `pace`: seconds between two blows."""

    runs: int
    kills: int
    stops: int
    crashes: int
    others: int
    pace: float


def play(nodes: Nodes, quota: Quota, seed: int, journal: Path, wrongs: Path) -> Tally:
    """One round. Raises AssertionError with what is lost or doubled, and keeps all about it in the folder `wrongs`."""
    began = time.monotonic()
    random = Random(seed)
    nemesis = Nemesis(nodes, random, stop_seconds=STOP)
    house = make_house()
    published = [publish(house, random_any(random)) for _ in range(DRAWINGS)]
    started: Started = {}
    operator = Operator(house, started, random, journal)
    blows = _blows(nemesis, quota)
    random.shuffle(blows)
    with Sender(house.workspace.pk) as sender:
        for number, blow in enumerate(blows, 1):
            wait_until(lambda: _has_room(nemesis), 120, "the workers to catch up")
            for mark in _start(house, published, started, quota.runs * number // len(blows)):
                if random.random() < EARLY:
                    sender.early(mark)
            operator.look()
            blow()
            nemesis.tick()
            if number % REPORT_EVERY == 0:
                seconds = time.monotonic() - began
                print(f"{number} of {len(blows)} blows, {len(started)} runs, {seconds:.0f} s", flush=True)  # noqa: T201  progress
            time.sleep(quota.pace)  # the pace of the blows, not a wait for something
        nemesis.relent()
        still_open = _wait_for_ends(nodes, operator)
    tally, wrong = judge(started, journal, nemesis, operator.cancelled, operator.retried)
    wrong_heard = list(wrong_events(sender))
    tally.lost += len(wrong_heard)
    tally.events, tally.sent_again = len(sender.acknowledged), sender.repeated
    tally.heard = Delivery.objects.filter(state="D").count()
    wrong = [*still_open, *wrong, *wrong_heard]
    tally.blows, tally.seed, tally.seconds = dict(nemesis.counts), seed, time.monotonic() - began
    if wrong:
        kept = keep(wrongs / f"wrong-{seed}.txt", wrong, journal, nemesis.history)
        raise AssertionError(f"seed {seed}: {len(wrong)} wrong, see {kept}: " + "\n".join(wrong[:MOST_SHOWN]))
    return tally


def publish(house: House, drawn: Drawn) -> tuple[Version, Wanted]:
    """Publish a drawing and its sub-workflows, each of those in two versions of which one must never run."""
    pinned = {
        step["config"]["workflow"]
        for raw in (drawn.raw, *drawn.children.values())
        for step in raw["steps"]
        if "version" in step["config"]
    }
    for name, raw in drawn.children.items():
        first, second = (raw, DECOY) if name in pinned else (DECOY, raw)
        workflow = house.publish(first, slug=name).workflow
        publish_version(workflow=workflow, document=parse_document(second), raw=second, note="", actor=house.actor)
    return house.publish(drawn.raw), drawn.wanted


def _blows(nemesis: Nemesis, quota: Quota) -> list[Callable[[], None]]:
    others = [nemesis.flush_broker, nemesis.stop_broker, nemesis.shuffle_wakes, nemesis.jump_clock, nemesis.kill_node]
    return (
        [nemesis.kill_child] * quota.kills
        + [nemesis.stop_child] * quota.stops
        + [nemesis.crash_database] * quota.crashes
        + [others[n % len(others)] for n in range(quota.others)]
    )


def _start(house: House, published: list[tuple[Version, Wanted]], started: Started, upto: int) -> list[str]:
    """The marks of the new runs."""
    marks = [uuid4().hex for _ in range(upto - len(started))]
    for mark in marks:
        version, wanted = published[len(started) % DRAWINGS]
        started[house.start(version, {"mark": mark})] = version, wanted
    return marks


def _has_room(nemesis: Nemesis) -> bool:
    nemesis.tick()
    return Run.objects.open().count() <= MOST_OPEN


def forget(journal: Path) -> None:
    """Empty the rows and journals of a round whose tally is kept."""
    with connection.cursor() as cursor:
        cursor.execute(RUN_TABLES)
        names = [row[0] for row in cursor.fetchall() if row[0] != "orchestrator_worker_session"]
        cursor.execute(f"TRUNCATE {', '.join(names)}")
    for path in journal.glob(FILES):
        path.write_bytes(b"")


def missing(wanted: Counter[str], done: Counter[str]) -> bool:
    """Whether a campaign has not yet done what it set out to do."""
    return any(done[name] < number for name, number in wanted.items())


def _wait_for_ends(nodes: Nodes, operator: Operator) -> list[str]:
    """After the last blow. In words, the runs that do not end."""
    try:
        wait_until(lambda: _all_ended(nodes, operator), CALM, "every run to end after the last blow")
    except AssertionError:
        return [f"lost: run {run} is still {state}" for run, state in Run.objects.open().values_list("pk", "state")]
    return []


def _all_ended(nodes: Nodes, operator: Operator) -> bool:
    nodes.revive()
    return not operator.retry_what_is_left() and not Run.objects.open().exists()
