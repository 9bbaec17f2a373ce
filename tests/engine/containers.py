"""Containers to draw with, and the end of a run of them."""

from typing import Any

from orchestrator.models import Run
from tests.engine.drawings import step
from tests.engine.house import House, leftovers


def inside(parent: str, key: str, kind: str = "transform", **more: Any) -> dict[str, Any]:
    return step(key, kind, parent=parent, **more)


def value(expression: str) -> dict[str, Any]:
    return {"value": {"$": expression}}


def scope(key: str = "box", **config: Any) -> dict[str, Any]:
    return step(key, "scope", config=config)


def for_each(items: Any, key: str = "each", **config: Any) -> dict[str, Any]:
    return step(key, "for_each", config={"items": items, **config})


def repeat(condition: str, expression: str, turns: int = 10) -> dict[str, Any]:
    return step("again", "repeat", config={"turns": turns, condition: {"$": expression}})


def ended(house: House, raw: dict[str, Any], value: Any = None) -> Run:
    run = house.end_of(house.start(house.publish(raw), value))
    assert leftovers(run.pk) == {}
    return run
