"""The bench names what it measures, and refuses what it does not know."""

import threading
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from orchestrator.project.bench.functions import alone
from orchestrator.project.bench.row import at_most, pairs_times_floor, percentile, times_floor
from orchestrator.project.bench.rows import MEASUREMENTS
from orchestrator.project.management.commands.bench import chosen


def test_without_names_everything_is_measured() -> None:
    assert chosen("") == list(MEASUREMENTS)


def test_names_are_kept_in_their_order() -> None:
    assert chosen("start, line") == ["start", "line"]


def test_an_unknown_name_is_refused_with_those_that_are() -> None:
    with pytest.raises(CommandError, match=r'no measurement "speed".*line'):
        chosen("line,speed")


@pytest.mark.parametrize(
    ("percent", "value"),
    [
        (50, 51),  # of 1..100, half are at or below 50; the next one is taken
        (99, 100),
        (100, 100),
    ],
)
def test_a_percentile_is_one_of_the_values(percent: int, value: int) -> None:
    assert percentile(list(range(1, 101)), percent) == value


def test_a_row_is_met_by_its_median() -> None:
    assert at_most("a", 0.004, [0.001, 0.004, 9.0]).met
    assert not at_most("a", 0.004, [0.001, 0.005, 9.0]).met
    assert times_floor("a", 1.5, [3.0], [2.0]).met
    assert not times_floor("a", 1.4, [3.0], [2.0]).met


def test_pairs_are_met_by_the_median_of_their_ratios() -> None:
    """An hour in which the machine was twice as slow says nothing: it slows both values of a pair."""
    pairs = [(2.0, 2.0), (4.4, 4.0), (2.2, 2.0), (4.8, 4.0), (2.0, 2.0)]
    row = pairs_times_floor("a", 1.1, pairs)
    assert row.factor == pytest.approx(1.1)
    assert row.met
    assert (row.median, row.floor_median) == (2.2, 2.0)
    assert not pairs_times_floor("a", 1.09, pairs).met


def test_without_pairs_the_factor_is_that_of_the_medians() -> None:
    assert times_floor("a", 1.5, [3.0, 1.0, 9.0], [2.0]).factor == pytest.approx(1.5)
    assert at_most("a", 0.004, [0.001]).factor is None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_pure_work_is_measured_in_a_copy_that_is_gone_afterwards() -> None:
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text()
    once, often = alone(12, 1), alone(12, 200)
    assert 0 < once < often
    assert children.read_text() == before
