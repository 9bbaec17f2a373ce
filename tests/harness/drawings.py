"""Random drawings whose steps also wait, flat and nested, and what must have happened in them."""

from random import Random
from typing import Any

from orchestrator.core.document import DEFAULT_PORT
from orchestrator.core.kinds import Kinds, Resumed
from orchestrator.core.outcome import Awaited, Outcome, Wait
from orchestrator.models import Version
from orchestrator.steps import KINDS as PRODUCT_KINDS
from tests.engine.drawings import document
from tests.engine.drawings import step as drawn_step
from tests.engine.house import House
from tests.graphs import STEADY, Acted, ActedConfig, Expected, expected, random_document
from tests.harness.told import TYPE
from tests.nested_graphs import (
    WITH_RUNS,
    Happened,
    Style,
    as_published,
    nested_expected,
    random_nested,
)

#: What must have happened in a flat drawing, or in one with containers.
Wanted = Expected | Happened
WAITS = ("time", "event", "told a", "told b", "told *", "even a", "even b", "even *")
NESTED = Style(containers=WITH_RUNS, locks=True, share=0.6)


class PatientConfig(ActedConfig):
    """`waits`: what the step waits for, one after another, before it does as told.

    Time, somebody's wake-up, or an event of a key ("told a") or of any ("told *"), or only even ones ("even a").
    """

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
        event: Any = (resumed.signal or {}).get("event")
        if event is not None and config.waits[resumed.memo - 1].startswith("even") and event["data"] % 2:
            return self._wait(config, resumed.memo - 1) or super().run(config, context)
        return self._wait(config, resumed.memo) or super().run(config, context)

    def _wait(self, config: PatientConfig, done: int) -> Outcome | None:
        if done >= len(config.waits):
            return None
        kind: Any = config.waits[done]
        if " " in kind:
            return self._told(config, done)
        return Wait(kind=kind, text=f"wait {done}", delay=30.0 if kind == "time" else 600.0, memo=done + 1)

    def _told(self, config: PatientConfig, done: int) -> Wait:
        """The first event that comes ends the step at once where that is all the step does."""
        sort, key = config.waits[done].split()
        plain = not config.fails and not config.flaky and config.ports == [DEFAULT_PORT]
        is_first = sort == "told" and plain and done + 1 == len(config.waits)
        awaited = Awaited(type=TYPE, key=None if key == "*" else key, since=None, is_first=is_first)
        return Wait(kind="event", text=f"wait {done}", delay=600.0, memo=done + 1, awaited=awaited)


#: The product's containers, and steps that follow their script.
KINDS: Kinds = {**PRODUCT_KINDS, "acted": Patient()}  # type: ignore[dict-item]  # a test double


def publish_drawings(house: House, random: Random, count: int, most: int = 9) -> list[tuple[Version, Wanted]]:
    """Published flat drawings of 1 to `most` steps."""
    found: list[tuple[Version, Wanted]] = []
    for _ in range(count):
        raw = random_document(random, most, cancels=random.random() < 0.5)
        for step in raw["steps"]:
            step["config"]["waits"] = _random_waits(random)
        found.append((house.publish(raw, kinds=KINDS), expected(raw)))
    return found


def publish_nested(house: House, random: Random, count: int) -> list[tuple[Version, Wanted]]:
    """Published drawings with containers, two deep; a for-each runs in every second, a sub-workflow in the others."""
    found: list[tuple[Version, Wanted]] = []
    while len(found) < count:
        drawn = random_nested(random, depth=2, style=NESTED)
        kinds = {step["key"]: step["kind"] for step in drawn["steps"]}
        wanted = nested_expected(drawn)
        if ("for_each", "sub_workflow")[len(found) % 2] not in {kinds[key] for key in wanted.ran}:
            continue
        for step in drawn["steps"]:
            # What an item does may be done in one go, and then it has no place to wait in.
            if step["kind"] == "acted" and kinds.get(step.get("parent")) != "for_each":
                step["config"]["waits"] = _random_waits(random)
        raw, children = as_published(drawn)
        for name, child in children.items():
            house.publish(child, slug=name, kinds=KINDS)
        found.append((house.publish(raw, kinds=KINDS), wanted))
    return found


def publish_told(house: House) -> list[tuple[Version, Wanted]]:
    """Published drawings of little else than waits for events: turns of a repeat, of which each waits for the next."""
    found: list[tuple[Version, Wanted]] = []
    for waits in (["told a"], ["told *"], ["even a"], ["even *"]):
        repeat = drawn_step("box", "repeat", config={"turns": 3, "until": {"$": "turn == 3"}}, times=3)
        inner = drawn_step("hear", "acted", parent="box", config={**STEADY, "waits": waits})
        drawn = document([repeat, inner])
        raw, _ = as_published(drawn)
        found.append((house.publish(raw, kinds=KINDS), nested_expected(drawn)))
    return found


def _random_waits(random: Random) -> list[str]:
    return random.choices(WAITS, weights=(4, 4, 1, 1, 1, 1, 1, 1), k=random.choice((0, 0, 0, 1, 2)))
