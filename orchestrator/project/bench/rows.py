"""Each row of the table: the work by the whole product, and its floor."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from designer.samples.functions import fibonacci
from orchestrator.project.bench import drawings, floors
from orchestrator.project.bench.place import Place

TIMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured row: seconds, or steps a second where `unit` says so."""

    name: str
    measured: list[float]
    floor: list[float]
    target: str
    met: bool
    unit: str = "ms"

    @property
    def median(self) -> float:
        return statistics.median(self.measured)

    @property
    def floor_median(self) -> float | None:
        return statistics.median(self.floor) if self.floor else None


def all_rows(place: Place) -> Iterator[Row]:
    """Every row that the product has by now, in the order of the design."""
    yield _factor(
        "40 light steps in a line", 1.6, *_pairs(place, drawings.line(40, 10), lambda: floors.single_commits(40))
    )
    pure = [floors.computation(lambda: fibonacci(33), 10) for _ in range(3)]
    heavy = place.publish(drawings.line(10, 33))
    yield _factor("10 heavy steps in a line", 1.02, [place.run(heavy) for _ in range(3)], pure)
    fan = drawings.fan_out(1_000, 10)
    yield _factor("fan-out of 1,000 and join", 1.0, *_pairs(place, fan, lambda: floors.commits_by_two(1_000)))
    yield _throughput(place)
    yield from _latencies(place)


def _pairs(place: Place, raw: dict[str, object], floor: Callable[[], float]) -> tuple[list[float], list[float]]:
    version = place.publish(raw)
    place.run(version)  # the first run reads the plan
    floor()
    measured, floors_ = [], []
    for _ in range(TIMES):
        measured.append(place.run(version))
        floors_.append(floor())
    return measured, floors_


def _factor(name: str, factor: float, measured: list[float], floor: list[float]) -> Row:
    met = statistics.median(measured) <= factor * statistics.median(floor)
    return Row(name=name, measured=measured, floor=floor, target=f"<= {factor:g} x floor", met=met)


def _throughput(place: Place) -> Row:
    version = place.publish(drawings.line(5, 10))
    place.run(version)
    rates = [1_500 / place.run_many(version, 300) for _ in range(TIMES)]
    floor = [1_500 / floors.commits_by_two(1_500) for _ in range(3)]
    return Row(
        name="300 runs x 5 steps",
        measured=rates,
        floor=floor,
        target=">= 2,000 steps/s",
        met=statistics.median(rates) >= 2_000,
        unit="steps/s",
    )


def _latencies(place: Place) -> Iterator[Row]:
    trips = floors.celery_round_trips(100)
    version = place.publish(drawings.line(1, 1))
    starts, frames = place.latencies(version, 200)
    yield _bounded("API start -> first handler, p50", starts, 50, 0.004, trips)
    yield _bounded("API start -> first handler, p99", starts, 99, 0.010, trips)
    yield _bounded("commit in a worker -> socket frame, p95", frames, 95, 0.250, [])


def _bounded(name: str, values: list[float], percent: int, bound: float, floor: list[float]) -> Row:
    return Row(
        name=name,
        measured=[percentile(values, percent)],
        floor=[percentile(floor, percent)] if floor else [],
        target=f"<= {bound * 1000:g} ms",
        met=percentile(values, percent) <= bound,
    )


def percentile(values: list[float], percent: int) -> float:
    """The value that `percent` of all are at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
