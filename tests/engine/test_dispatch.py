"""A herald says at once what somebody waits for, lets the rest stand back, and forgets nothing."""

import queue
from collections import Counter
from collections.abc import Iterator
from unittest.mock import patch
from uuid import uuid4

import pytest

from orchestrator.engine import dispatch, pokes
from orchestrator.engine.dispatch import STAND_BACK, Draft, Herald

LONG = 3_600.0  # seconds: what waits so long was not waited for
PATIENCE = 10.0


class Heard(Herald):
    """Keeps what it would send."""

    def __init__(self) -> None:
        self.sent: queue.Queue[tuple[dict[str, int], dict[int, Draft]]] = queue.Queue()
        super().__init__()

    def _send(self, queues: Counter[str], drafts: dict[int, Draft]) -> None:
        self.sent.put((dict(queues), drafts))


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
    assert herald.sent.get(timeout=PATIENCE) == ({"slow": 1, "fast": 1}, {})
    herald.changed(2, run_id, task=True)
    assert herald.sent.get(timeout=PATIENCE) == ({}, {1: Draft({run_id}), 2: Draft({run_id}, tasks=True)})


def test_nothing_to_say_wakes_nobody(herald: Heard) -> None:
    herald.ready([])
    herald.ready(["a"])
    assert herald.sent.get(timeout=PATIENCE) == ({"a": 1}, {})
    assert herald.sent.empty()


def test_its_last_words_wait_for_nothing(herald: Heard) -> None:
    run_id = uuid4()
    herald.ready(["a", "a"], after=LONG)
    herald.changed(1, run_id, task=True, after=LONG)
    herald.stop()
    assert herald.sent.get_nowait() == ({"a": 2}, {1: Draft({run_id}, tasks=True)})


def test_a_thousand_events_are_one_message(herald: Heard) -> None:
    run_id = uuid4()
    herald.changed(1, None, event=True)
    assert herald.sent.get(timeout=PATIENCE) == ({}, {1: Draft(events=True)})
    herald.changed(1, run_id, after=LONG)
    for _ in range(1_000):
        herald.changed(1, run_id, event=True, after=LONG)
        herald.changed(1, None, event=True, after=LONG)
        herald.changed(2, None, event=True, after=LONG)
    herald.stop()
    assert herald.sent.get_nowait() == ({}, {1: Draft({run_id}, events=True), 2: Draft(events=True)})
    assert herald.sent.empty()


@pytest.mark.parametrize(("poked", "after"), [(True, STAND_BACK), (False, 0.0)])
def test_the_message_stands_back_only_behind_a_poke(*, poked: bool, after: float) -> None:
    with patch.object(dispatch, "herald") as herald, patch.object(pokes, "poke", return_value=poked):
        dispatch.wake("default", 2)
    herald().ready.assert_called_once_with(["default", "default"], after=after)
