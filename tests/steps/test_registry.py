"""Every kind keeps the promises that validator, engine and canvas rely on."""

import json
from typing import Any, get_args

import pytest

from orchestrator.core.errors import ConfigInvalid
from orchestrator.core.kinds import Group, StepKind
from orchestrator.steps import KINDS, step_kinds_json
from orchestrator.steps.fields import Widget
from orchestrator.steps.kind import Kind

NONSENSE: list[Any] = [None, 7, "x", [], [[]], {}, {"a": [1]}, [None], {"$": 5}]
EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


@EACH
def test_it_says_what_people_must_know(kind: StepKind) -> None:
    assert KINDS[kind.kind] is kind
    assert kind.group in get_args(Group)
    assert kind.name
    assert kind.description.endswith(".")
    assert kind.icon
    assert kind.default_timeout > 0


PURE = {
    *("script", "transform", "choose", "merge"),  # compute, in a sandbox
    *("for_each", "repeat", "scope", "cancel", "end"),  # only lead control
    *("delay", "human_task", "wait_event"),  # wait; the task is opened by the step's commit, once
}


@EACH
def test_repeating_it_is_harmless_only_where_that_is_known(kind: StepKind) -> None:
    """A step of these may be begun before the commit of the one before it, and needs no undo."""
    assert kind.effects == ("none" if kind.kind in PURE else "external")
    assert kind.effects_of({}) == kind.effects


def test_a_kind_that_does_not_say_is_believed_to_act() -> None:
    assert Kind.effects == "external"


@EACH
def test_every_field_says_how_it_is_shown(kind: StepKind) -> None:
    orders = []
    for name, field in _properties(kind.schema()):
        shown = field.get("x-ui")
        assert shown, f"{kind.kind}.{name} has no x-ui"
        assert shown["widget"] in get_args(Widget)
        assert shown["label"]
        orders.append(shown["order"])
    assert all(isinstance(order, int) for order in orders)


@EACH
def test_it_refuses_unknown_fields_and_survives_nonsense(kind: StepKind) -> None:
    assert any(problem.path == "surprise" for problem in kind.check({"surprise": 1}))
    with pytest.raises(ConfigInvalid):
        kind.build({"surprise": 1})
    for name, _ in _properties(kind.schema()):
        for nonsense in NONSENSE:
            kind.check({name: nonsense})
            assert len(set(kind.ports({name: nonsense}))) == len(kind.ports({name: nonsense}))


def test_the_canvas_can_read_it() -> None:
    payload = json.loads(json.dumps(step_kinds_json()))
    assert [kind["kind"] for kind in payload["kinds"]] == list(KINDS)
    ports = {kind["kind"]: kind["ports"] for kind in payload["kinds"]}
    assert ports["http"] == ["out", "error", "timeout"]
    assert ports["end"] == []
    assert {kind["kind"]: kind["ports_from"] for kind in payload["kinds"] if kind["ports_from"]} == {
        "choose": "cases",
        "human_task": "outcomes",
    }
    assert {kind["kind"]: kind["timeout_from"] for kind in payload["kinds"] if kind["timeout_from"]} == {
        "human_task": "due",
        "wait_event": "deadline",
    }


@EACH
def test_a_field_decides_about_the_time_out_where_it_says_so(kind: StepKind) -> None:
    if kind.timeout_from is not None:
        assert "timeout" not in kind.ports({})
        assert "timeout" in kind.ports({kind.timeout_from: "PT1H"})


@EACH
def test_what_a_field_reads_besides_is_evaluated_by_the_kind_itself(kind: StepKind) -> None:
    assert set(kind.field_roots) <= set(kind.lazy)


def _properties(schema: Any) -> list[tuple[str, Any]]:
    found = list(schema.get("properties", {}).items())
    for definition in schema.get("$defs", {}).values():
        found += definition.get("properties", {}).items()
    return found
