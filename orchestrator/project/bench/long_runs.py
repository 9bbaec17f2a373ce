"""The page and the API of runs with very many step runs: items of a for-each, and branches at once."""

from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

from orchestrator.core.json_types import Json
from orchestrator.models import Version
from orchestrator.project.bench import drawings
from orchestrator.project.bench.browsing import PAGE, browser, times
from orchestrator.project.bench.place import WORKSPACE, Place
from orchestrator.project.bench.row import Row, at_most

ITEMS, BRANCHES = 10_000, 1_000
READS = {"page, timeline": "?tab=timeline", "page, history": "?tab=history", "page, steps": "?tab=steps"}
ANSWERS = {"API, step runs": "steps/", "API, history": "history/?limit=200"}


def long_runs(place: Place) -> Iterator[Row]:
    """Both runs really run first."""
    items = _ended(place, place.publish(drawings.for_each()), {"items": list(range(ITEMS))})
    branches = _ended(place, place.publish(drawings.fan_out(BRANCHES, 1)))
    with closing(browser(place)) as client:
        for name, run in ((f"for-each of {ITEMS:,}", items), (f"fan-out of {BRANCHES:,}", branches)):
            for what, rest in READS.items():
                yield at_most(f"{name}: {what}", PAGE, times(client, f"/w/{WORKSPACE}/runs/{run}/{rest}"))
            for what, rest in ANSWERS.items():
                yield at_most(f"{name}: {what}", PAGE, times(client, f"/api/v1/w/{WORKSPACE}/runs/{run}/{rest}"))


def _ended(place: Place, version: Version, value: Json = None) -> UUID:
    run_id = place.start(version, value)
    place.ended([run_id])
    return run_id
