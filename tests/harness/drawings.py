"""Random drawings whose steps also wait, and what must have happened in them."""

from random import Random
from typing import Any

from orchestrator.core.kinds import Kinds, Resumed
from orchestrator.core.outcome import Outcome, Wait
from orchestrator.models import Version
from tests.engine.house import House
from tests.graphs import Acted, ActedConfig, Expected, expected, random_document


class PatientConfig(ActedConfig):
    """`waits`: what the step waits for, one after another, before it does as told."""

    waits: tuple[str, ...] = ()


class Patient(Acted):
    """A step kind that waits first: a wait is no attempt, and what was waited for is not waited for again."""

    def schema(self) -> Any:
        return PatientConfig.model_json_schema()

    def build(self, config: Any) -> ActedConfig:
        return PatientConfig.model_validate(config)

    def run(self, config: Any, context: Any) -> Outcome:
        return self._wait(config, 0) or super().run(config, context)

    def resume(self, config: Any, context: Any, resumed: Resumed) -> Outcome:
        assert isinstance(resumed.memo, int)
        return self._wait(config, resumed.memo) or super().run(config, context)

    def _wait(self, config: PatientConfig, done: int) -> Outcome | None:
        if done >= len(config.waits):
            return None
        kind: Any = config.waits[done]
        return Wait(kind=kind, text=f"wait {done}", delay=30.0 if kind == "time" else 600.0, memo=done + 1)


KINDS: Kinds = {"acted": Patient()}  # type: ignore[dict-item]  # a test double: its attributes are plain class attributes


def publish_drawings(house: House, random: Random, count: int, most: int = 9) -> list[tuple[Version, Expected]]:
    """Published drawings of 1 to `most` steps."""
    found = []
    for _ in range(count):
        raw = random_document(random, most, cancels=random.random() < 0.5)
        for step in raw["steps"]:
            step["config"]["waits"] = random.choices(("time", "event"), k=random.choice((0, 0, 0, 1, 2)))
        found.append((house.publish(raw, kinds=KINDS), expected(raw)))
    return found
