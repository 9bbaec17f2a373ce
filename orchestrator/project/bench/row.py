"""One line of the table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured row: seconds, or what `unit` says. `measured` holds one value per repetition.

    `ratios`: of each value to the floors that were measured beside it.
    """

    name: str
    measured: Sequence[float]
    floor: Sequence[float] = ()
    target: str
    met: bool
    unit: str = "ms"
    ratios: Sequence[float] = ()

    @property
    def median(self) -> float:
        return statistics.median(self.measured)

    @property
    def floor_median(self) -> float | None:
        return statistics.median(self.floor) if self.floor else None

    @property
    def factor(self) -> float | None:
        """How many floors it takes."""
        if self.ratios:
            return statistics.median(self.ratios)
        return self.median / statistics.median(self.floor) if self.floor else None


def times_floor(name: str, factor: float, measured: Sequence[float], floor: Sequence[float]) -> Row:
    """A row whose target is a multiple of its floor."""
    met = statistics.median(measured) <= factor * statistics.median(floor)
    return Row(name=name, measured=measured, floor=floor, target=f"<= {factor:g} x floor", met=met)


def pairs_times_floor(name: str, factor: float, pairs: Sequence[tuple[float, float]]) -> Row:
    """The same where each value has its floor beside it.

    What changes on the machine from one minute to the next changes both values of a pair, but not their ratio.
    """
    measured, floor = zip(*pairs, strict=True)
    ratios = [value / beside for value, beside in pairs]
    met = statistics.median(ratios) <= factor
    return Row(name=name, measured=measured, floor=floor, target=f"<= {factor:g} x floor", met=met, ratios=ratios)


def at_most(name: str, bound: float, measured: Sequence[float], floor: Sequence[float] = ()) -> Row:
    """A row whose target is a number of seconds."""
    shown = f"<= {bound:g} s" if bound >= 1 else f"<= {bound * 1000:g} ms"
    return Row(name=name, measured=measured, floor=floor, target=shown, met=statistics.median(measured) <= bound)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of all are at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
