import math
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.document import MAX_ITEMS, Tolerate
from orchestrator.steps.for_each.config import Enough
from orchestrator.steps.for_each.config import Tolerate as TolerateItems

written = st.decimals(0, 100, places=6) | st.decimals(0, 100, places=1)
#: Of which shares are often whole numbers, where a slip shows.
totals = st.integers(1, MAX_ITEMS // 1000).map(lambda thousands: thousands * 1000) | st.integers(0, MAX_ITEMS)


@settings(max_examples=500)
@given(totals, written)
def test_a_share_is_that_of_the_written_number(total: int, percent: Decimal) -> None:
    """Rounded down where it bears failures, up where it asks for successes."""
    exact = total * percent / 100
    assert TolerateItems(percent=float(percent)).of(total) == math.floor(exact)
    assert Tolerate(percent=float(percent)).of(total) == math.floor(exact)
    if percent:
        assert Enough(percent=float(percent)).of(total) == max(1, math.ceil(exact))


def test_a_whole_share_is_not_rounded_down() -> None:
    of_a_thousand = {percent: TolerateItems(percent=percent).of(1000) for percent in (32.3, 64.1, 64.6, 65.1)}
    assert of_a_thousand == {32.3: 323, 64.1: 641, 64.6: 646, 65.1: 651}


def test_the_smallest_share_of_all_is_still_a_share() -> None:
    assert Tolerate(percent=99.9999999999).of(1000) == 999
    assert Enough(percent=0.0000001).of(MAX_ITEMS) == 1
    assert Enough(percent=50.0000000001).of(1000) == 501
