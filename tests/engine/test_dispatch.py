"""A herald says at once what somebody waits for, lets the rest stand back, and forgets nothing."""

import queue
from collections import Counter
from collections.abc import Iterator
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest

from orchestrator.engine import dispatch, pokes
from orchestrator.engine.dispatch import STAND_BACK, Herald

LONG = 3_600.0  # seconds: what waits so long was not waited for
PATIENCE = 10.0


class Heard(Herald):
    """Keeps what it would send."""

    def __init__(self) -> None:
        self.sent: queue.Queue[tuple[dict[str, int], dict[int, set[UUID]], set[int]]] = queue.Queue()
        super().__init__()

    def _send(self, queues: Counter[str], runs: dict[int, set[UUID]], tasks: set[int]) -> None:
        self.sent.put((dict(queues), runs, tasks))


@pytest.fixture
def herald() -> Iterator[Heard]:
    made = Heard()
    yield made
    made.stop()


def test_what_may_stand_back_goes_with_the_next_that_may_not(herald: Heard) -> None:
    run_id = uuid4()
    herald.ready(["slow"], after=LONG)
    herald.changed(1, run_id, after=LONG)
    herald.ready(["fast"])
    assert herald.sent.get(timeout=PATIENCE) == ({"slow": 1, "fast": 1}, {}, set())
    herald.changed(2, run_id, task=True)
    assert herald.sent.get(timeout=PATIENCE) == ({}, {1: {run_id}, 2: {run_id}}, {2})


def test_nothing_to_say_wakes_nobody(herald: Heard) -> None:
    herald.ready([])
    herald.ready(["a"])
    assert herald.sent.get(timeout=PATIENCE) == ({"a": 1}, {}, set())
    assert herald.sent.empty()


def test_its_last_words_wait_for_nothing(herald: Heard) -> None:
    run_id = uuid4()
    herald.ready(["a", "a"], after=LONG)
    herald.changed(1, run_id, task=True, after=LONG)
    herald.stop()
    assert herald.sent.get_nowait() == ({"a": 2}, {1: {run_id}}, {1})


@pytest.mark.parametrize(("poked", "after"), [(True, STAND_BACK), (False, 0.0)])
def test_the_message_stands_back_only_behind_a_poke(*, poked: bool, after: float) -> None:
    with patch.object(dispatch, "herald") as herald, patch.object(pokes, "poke", return_value=poked):
        dispatch.wake("default", 2)
    herald().ready.assert_called_once_with(["default", "default"], after=after)
