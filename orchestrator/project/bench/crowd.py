"""Ten thousand runs that wait: what they cost the step of a run that does not."""

import time
from collections.abc import Iterator

from orchestrator.models import Token
from orchestrator.project.bench import drawings
from orchestrator.project.bench.place import PATIENCE, Place
from orchestrator.project.bench.row import Row, times_floor

WAITING = 10_000
RUNS, STEPS = 100, 5
ROUNDS = 5


def crowd(place: Place) -> Iterator[Row]:
    """The same runs before and while the others wait for their time."""
    version = place.publish(drawings.line(STEPS, 10))
    place.run_many(version, 20)
    alone = [place.run_many(version, RUNS) / (RUNS * STEPS) for _ in range(ROUNDS)]
    sleeper = place.publish(drawings.document("Sleep", [drawings.delay("sleep", "P1D")], []))
    for _ in range(WAITING):
        place.start(sleeper)
    asleep = Token.objects.filter(run__version=sleeper, state="W")
    deadline = time.monotonic() + PATIENCE
    while asleep.count() < WAITING:
        if time.monotonic() > deadline:
            raise TimeoutError("the runs that should wait do not come to it")
        time.sleep(0.1)  # looking must not disturb the others
    beside = [place.run_many(version, RUNS) / (RUNS * STEPS) for _ in range(ROUNDS)]
    yield times_floor(f"cost per step beside {WAITING:,} waiting runs (floor: alone)", 1.2, beside, alone)
