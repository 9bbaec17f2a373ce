"""Step kinds whose attempts a test holds in its hands."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Kinds
from orchestrator.core.outcome import Done, Outcome
from orchestrator.steps import KINDS
from tests.graphs import Acted, ActedConfig


class Held(Acted):
    """Stays in its handler until `release`, or until it hears of a cancellation where `listens`."""

    def __init__(self, *, listens: bool = True) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        self.listens = listens

    def enter(self, seconds: float = 10) -> None:
        """Wait until an attempt is inside."""
        assert self.entered.acquire(timeout=seconds), "no attempt began"

    def run(self, config: ActedConfig, context: Any) -> Outcome:
        self.entered.release()
        while not self.release.wait(0.01):
            if self.listens and context.cancelled():
                break
        return Done("held")


class HeldAway(Held):
    """The same on the event loop."""

    def is_async(self, config: JsonObject) -> bool:
        return True

    async def run(self, config: ActedConfig, context: Any) -> Outcome:  # type: ignore[override]
        self.entered.release()
        while not self.release.is_set():
            await asyncio.sleep(0.01)
        return Done("held")


class Told(Acted):
    """Ends as the test's function says; it is given the step context."""

    def __init__(self, answer: Callable[[Any], Outcome]) -> None:
        self.answer = answer

    def run(self, config: ActedConfig, context: Any) -> Outcome:
        return self.answer(context)


def kinds(**more: Acted) -> Kinds:
    """The product's kinds and these."""
    return {**KINDS, **more}  # type: ignore[dict-item]  # test doubles
