"""A for-each over many items with a trivial body: at a size that is common, and at the largest there may be."""

from collections.abc import Iterator

from orchestrator.project.bench import drawings, floors
from orchestrator.project.bench.place import Place
from orchestrator.project.bench.row import Row, at_most, times_floor

MANY, MOST = 10_000, 100_000
TIMES = 5


def for_each(place: Place) -> Iterator[Row]:
    version = place.publish(drawings.for_each())
    place.run(version, {"items": [1]})  # the first run reads the plan
    floors.copied_rows(MANY)
    measured, floor = [], []
    for _ in range(TIMES):
        measured.append(place.run(version, {"items": list(range(MANY))}))
        floor.append(floors.copied_rows(MANY))
    yield at_most(f"for-each over {MANY:,} items, trivial body", 1.5, measured, floor)
    longest = [place.run(version, {"items": list(range(MOST))}) for _ in range(3)]
    linear = [seconds * MOST / MANY for seconds in measured]
    yield times_floor(f"the same over {MOST:,} (floor: {MOST // MANY} times that)", 1.2, longest, linear)
