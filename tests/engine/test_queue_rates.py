"""Rates of queues as rows: how many steps begin in a period."""

import pytest

from orchestrator.engine import statements
from orchestrator.services.queue_limits import Rate
from tests.engine.house import House
from tests.engine.lines import A, B, begin, give_back, limit, line, park, pass_time, sessions
from tests.engine.rows import claim, finish, rows

__all__ = ["sessions"]


PER_MINUTE = Rate(starts=6, period=60)  # one in ten seconds


def test_starts_come_evenly(house: House) -> None:
    limit(house, rate=PER_MINUTE)
    begin(house, *"abcd")
    assert [len(claim(A, 9)), len(claim(B, 9))] == [1, 0]
    assert line() == "T"
    for seconds, begun in ((9, 0), (1, 1), (8, 0), (2, 1), (600, 1)):
        pass_time(seconds)
        assert len(claim(A, 9)) == begun
    assert line() == "-"


def test_a_burst_may_come_at_once_after_a_quiet_time(house: House) -> None:
    limit(house, rate=Rate(starts=6, period=60, burst=3))
    begin(house, *"abcdefgh")
    assert len(claim(A, 9)) == 3
    pass_time(10)
    assert len(claim(A, 9)) == 1
    pass_time(25)
    assert len(claim(A, 9)) == 2
    pass_time(3_600)
    assert len(claim(A, 9)) == 2


@pytest.mark.parametrize(("starts", "period", "burst"), [(1, 1, 1), (3, 1, 3), (7, 60, 5), (100_000, 86_400, 100_000)])
def test_a_burst_is_exact(house: House, starts: int, period: float, burst: int) -> None:
    limit(house, rate=Rate(starts=starts, period=period, burst=burst))
    begin(house, *(f"s{number}" for number in range(20)))
    assert len(claim(A, 30)) == min(burst, 20)


def test_both_limits_hold(house: House) -> None:
    found = limit(house, 2, Rate(starts=6, period=60, burst=3))
    begin(house, *"abcdef")
    one, two = claim(A, 9)
    assert line() == "F"
    for lease in (one, two):
        finish(A, lease)
    assert give_back(found)
    assert len(claim(A, 9)) == 1
    assert line() == "T"
    assert not give_back(found)
    pass_time(30)
    assert len(claim(A, 9)) == 1


def test_a_due_line_is_opened_and_told_of(house: House) -> None:
    limit(house, rate=PER_MINUTE)
    begin(house, *"ab")
    claim(A, 9)
    assert rows(statements.OPEN_DUE_LINES) == []
    assert 8 < rows(statements.NEXT_TIMER)[0]["seconds"] <= 10
    pass_time(10)
    assert rows(statements.OPEN_DUE_LINES) == [{"queue": "default"}]
    assert rows(statements.OPEN_DUE_LINES) == []
    assert line() == "O"
    assert len(claim(A, 9)) == 1


def test_a_retry_is_a_start_and_a_resumption_is_none(house: House) -> None:
    limit(house, rate=PER_MINUTE)
    begin(house, "a")
    (lease,) = claim(A, 9)
    park(lease, "wait")
    begin(house, *"bc")
    (resumed,) = claim(A, 9)  # the others wait for their start
    assert (resumed["id"], resumed["phase"]) == (lease["id"], 1)
    finish(A, resumed)
    pass_time(10)
    (lease,) = claim(A, 9)
    park(lease, "retry")
    pass_time(9)
    assert claim(A, 9) == []
    pass_time(21)
    assert len(claim(A, 9)) == 1


def test_a_new_rate_begins_anew(house: House) -> None:
    limit(house, rate=Rate(starts=1, period=86_400))
    begin(house, *"abc")
    assert len(claim(A, 9)) == 1
    limit(house, rate=Rate(starts=60, period=60, burst=5))
    assert len(claim(A, 9)) == 2
