"""Admissions are taken by the block; the ceiling is never passed, and refusing costs nothing."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from redis.exceptions import RedisError

from orchestrator.rest import throttle

NOON = 1_700_000_040.0 - 1_700_000_040 % throttle.WINDOW


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that stands still at the beginning of a window."""
    now = SimpleNamespace(at=NOON)
    monkeypatch.setattr(throttle, "time", SimpleNamespace(time=lambda: now.at))
    return now


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many admissions each question to Valkey asked for."""
    asked: list[int] = []
    counted = throttle.counted

    def noted(key: str, more: int = 1) -> int:
        asked.append(more)
        return counted(key, more)

    monkeypatch.setattr(throttle, "counted", noted)
    return asked


def test_one_question_serves_a_block_of_requests(valkey: str, clock: Any, calls: list[int]) -> None:
    caller = f"token:{uuid4()}"
    assert all(throttle.admits(caller, 60_000) for _ in range(61))
    assert calls == [60, 60]


def test_a_low_ceiling_is_counted_one_by_one(valkey: str, clock: Any, calls: list[int]) -> None:
    caller = f"token:{uuid4()}"
    assert [throttle.admits(caller, 3) for _ in range(5)] == [True, True, True, False, False]
    assert calls == [1, 1, 1]  # refusing needs no question


@pytest.mark.parametrize("most", [1, 999, 2_000, 2_999, 3_001])
def test_processes_together_never_admit_more(
    valkey: str, clock: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    caller = f"address:{uuid4()}"
    processes: list[dict[str, Any]] = [{}, {}, {}]
    admitted = 0
    for turn in range(3 * most):
        monkeypatch.setattr(throttle, "_leases", processes[turn % 3])
        admitted += throttle.admits(caller, most)
    assert admitted == most  # all three went on until the end, so no block was left over


def test_the_next_window_begins_anew(valkey: str, clock: Any) -> None:
    caller = f"token:{uuid4()}"
    assert [throttle.admits(caller, 1) for _ in range(2)] == [True, False]
    clock.at += throttle.WINDOW
    assert [throttle.admits(caller, 1) for _ in range(2)] == [True, False]


def test_forgetting_leases_opens_nothing(valkey: str, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_LEASES", 2)
    caller = f"token:{uuid4()}"
    assert throttle.admits(caller, 1)
    for _ in range(3):
        throttle.admits(f"token:{uuid4()}", 1)
    assert caller not in throttle._leases
    assert not throttle.admits(caller, 1)


def test_without_valkey_nothing_is_refused(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(key: str, more: int = 1) -> int:
        raise RedisError

    monkeypatch.setattr(throttle, "counted", away)
    caller = f"token:{uuid4()}"
    assert all(throttle.admits(caller, 1) for _ in range(3))
