import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.document import Retry
from orchestrator.core.retry import next_attempt

PLAIN = Retry(attempts=10, first=1.0, factor=2.0, cap=60.0, jitter="none")
SHORT = Retry(attempts=10, first=1.0, factor=2.0, cap=60.0, jitter="none", budget=100.0)


@pytest.mark.parametrize(
    ("attempt", "wait"),
    [
        (1, 1.0),  # first failure: the base
        (3, 4.0),  # doubled twice
        (7, 60.0),  # 64 would be above the cap
        (9, 60.0),
        (10, None),  # that was the last attempt
        (11, None),
        (10**9, None),
    ],
)
def test_it_backs_off(attempt: int, wait: float | None) -> None:
    assert next_attempt(PLAIN, attempt, 0.0, None, 0.0) == wait


@pytest.mark.parametrize(
    ("spent", "wish", "wait"),
    [
        (0.0, None, 1.0),
        (99.0, None, 1.0),  # ends exactly with the budget
        (99.5, None, None),  # would end after it
        (0.0, 30.0, 30.0),  # the other side asks for more
        (0.0, 0.2, 1.0),  # ... for less: our own back-off holds
        (0.0, 101.0, None),  # no sooner is allowed, no later can be afforded
        (80.0, 30.0, None),
        (0.0, math.inf, None),
        (0.0, math.nan, 1.0),
    ],
)
def test_it_keeps_wish_and_budget(spent: float, wish: float | None, wait: float | None) -> None:
    assert next_attempt(SHORT, 1, spent, wish, 0.0) == wait


def test_it_spreads_with_full_jitter() -> None:
    policy = Retry(attempts=5, first=8.0, factor=2.0, cap=60.0)
    assert [next_attempt(policy, 2, 0.0, None, draw) for draw in (0.0, 0.25, 0.5)] == [0.0, 4.0, 8.0]


def test_it_gives_up_without_a_policy() -> None:
    assert next_attempt(Retry(), 1, 0.0, None, 0.5) is None


def test_a_billion_attempts_cost_nothing() -> None:
    policy = Retry(attempts=2 * 10**9, first=1.0, factor=3, cap=60.0, jitter="none")  # a whole number, too
    assert next_attempt(policy, 10**9, 0.0, None, 0.0) == 60.0


policies = st.builds(
    Retry,
    attempts=st.integers(-5, 2 * 10**9),
    first=st.floats(0, 1e300),
    factor=st.floats(0, 1e300) | st.integers(0, 100),
    cap=st.floats(0, 1e9),
    jitter=st.sampled_from(["full", "none"]),
    budget=st.none() | st.floats(0, 1e9),
)


@given(
    policies,
    st.integers(1, 10**9),
    st.floats(0, 1e9),
    st.none() | st.floats(0),
    st.floats(0, 1, exclude_max=True),
)
def test_it_never_breaks_its_promises(
    policy: Retry, attempt: int, spent: float, wish: float | None, draw: float
) -> None:
    wait = next_attempt(policy, attempt, spent, wish, draw)
    if wait is None:
        return
    assert attempt < policy.attempts
    assert 0 <= wait <= max(policy.cap, wish or 0.0)
    assert wish is None or math.isnan(wish) or wait >= wish
    assert policy.budget is None or spent + wait <= policy.budget
