"""The engine's rows: chains, fan-out, throughput."""

import statistics
from collections.abc import Callable, Iterator

from orchestrator.project.bench import drawings, floors
from orchestrator.project.bench.place import Place
from orchestrator.project.bench.row import Row, pairs_times_floor

TIMES = 5
#: More where the target is so near the floor that a few pairs would be met or missed by chance.
MANY_TIMES = 15


def line(place: Place) -> Iterator[Row]:
    pairs = _pairs(place, drawings.line(40, 10), lambda: floors.single_commits(40))
    yield pairs_times_floor("40 light steps in a line", 1.6, pairs)


def heavy(place: Place) -> Iterator[Row]:
    alone = place.publish(drawings.alone(33, 10))
    pairs = _pairs(place, drawings.line(10, 33), lambda: place.answer(alone), MANY_TIMES)
    yield pairs_times_floor("10 heavy steps in a line", 1.02, pairs)


def fan_out(place: Place) -> Iterator[Row]:
    pairs = _pairs(place, drawings.fan_out(1_000, 10), lambda: floors.commits_by_two(1_000), MANY_TIMES)
    yield pairs_times_floor("fan-out of 1,000 and join", 1.0, pairs)


def throughput(place: Place) -> Iterator[Row]:
    version = place.publish(drawings.line(5, 10))
    place.run(version)
    rates = [1_500 / place.run_many(version, 300) for _ in range(TIMES)]
    floor = [1_500 / floors.commits_by_two(1_500) for _ in range(3)]
    yield Row(
        name="300 runs x 5 steps",
        measured=rates,
        floor=floor,
        target=">= 2,000 steps/s",
        met=statistics.median(rates) >= 2_000,
        unit="steps/s",
    )


def _pairs(
    place: Place, raw: dict[str, object], floor: Callable[[], float], times: int = TIMES
) -> list[tuple[float, float]]:
    """Each run with the mean of the floors right before and right after it: the machine gets slower and faster."""
    version = place.publish(raw)
    expected = place.run(version)  # reads the plan
    floor()
    before, pairs = floor(), []
    for _ in range(times):
        run, after = place.run(version, expected=expected), floor()
        pairs.append((run, (before + after) / 2))
        before = after
    return pairs
