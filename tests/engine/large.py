"""For-eaches whose outputs are too large together to be one value."""

from typing import Any

import pytest

from orchestrator.core.outcome import Done, Outcome
from orchestrator.engine import item_outputs
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Payload, Run, StepLog
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.engine.kinds import Told, kinds
from tests.engine.test_lanes import at_work, ended, place

TEXT = "x" * 1_000


def each(key: str, items: str, **more: Any) -> dict[str, Any]:
    return step(key, "for_each", config={"items": {"$": items}}, **more)


def value(key: str, source: str, **more: Any) -> dict[str, Any]:
    return step(key, config={"value": {"$": source}}, **more)


def fat(total: int, *after: dict[str, Any], lines: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A for-each `fat` over so many numbers, and what comes after it."""
    return document([each("fat", f"list(range({total}))"), step("a", "told", parent="fat"), *after], *lines, **more)


def large(context: Any) -> Outcome:
    return Done({"n": place(context), "text": TEXT})


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few thousand bytes be too much for one value, and one read."""
    monkeypatch.setattr(item_outputs, "MOST_WHOLE", 5_000)
    monkeypatch.setattr(item_outputs, "MOST_AT_ONCE", 3_000)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items' outputs each read has put together."""
    found: list[int] = []
    original = item_outputs.in_order

    def spy(exits: Any, first: int, count: int, rows: Any) -> Any:
        found.append(count)
        return original(exits, first, count, rows)

    monkeypatch.setattr(item_outputs, "in_order", spy)
    return found


def reference_of(run: Run) -> Any:
    """What the log keeps of `fat`."""
    row = StepLog.objects.filter(run=run, node=0, outcome="S").latest("generation")
    assert row.output_ref is not None
    kept = Payload.objects.get(pk=row.output_ref)
    assert kept.block is not None
    return kept.body


def run_of(house: House, sandbox: Sandbox, raw: dict[str, Any], answer: Any = large, state: str = "succeeded") -> Run:
    known = kinds(told=Told(answer))
    version = house.publish(raw, kinds=known)
    with at_work(house, sandbox, known):
        return ended(house, house.start(version), state)
