"""What the whole product keeps in memory: shared pages counted once (PSS), the bench itself not counted."""

import statistics
import threading
import time
from collections.abc import Iterator

import psutil

from orchestrator.project.bench import drawings
from orchestrator.project.bench.place import Place
from orchestrator.project.bench.row import Row

REST = 3.0  # seconds until what was loaded has settled
EVERY = 0.5  # seconds between looks
MEGABYTE = 1_000_000


def memory(place: Place) -> Iterator[Row]:
    version = place.publish(drawings.line(5, 10))
    time.sleep(REST)  # idleness is what is measured
    yield _row("memory of web, 2 workers, PostgreSQL, Valkey, idle", 450, [_held() for _ in range(5)])
    seen: list[float] = []
    done = threading.Event()
    watching = threading.Thread(target=_watch, args=(seen, done))
    watching.start()
    try:
        place.run_many(version, 300)
        place.run(place.publish(drawings.fan_out(1_000, 10)))
    finally:
        done.set()
        watching.join()
    yield _row("the same, loaded (most)", 900, [max(seen)])


def _watch(seen: list[float], done: threading.Event) -> None:
    while not done.wait(EVERY):
        seen.append(_held())


def _held() -> float:
    """Megabytes of all processes that were started for the product."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # a connection of PostgreSQL that has just ended
    return total / MEGABYTE


def _row(name: str, bound: float, measured: list[float]) -> Row:
    return Row(
        name=name, measured=measured, target=f"<= {bound:g} MB", met=statistics.median(measured) <= bound, unit="MB"
    )
