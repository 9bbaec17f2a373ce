"""What is wrong with a config is told in our words, at publishing and when a step begins."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.core.errors import ConfigInvalid
from orchestrator.core.kinds import StepKind
from orchestrator.steps import KINDS

PYDANTICS = re.compile(r"\w+ should |unable to|Value error|Assertion|Field required|Extra inputs|valid \w+\b")
WRONG: list[Any] = [
    *(None, True, -1, 0, 1.5, 10**9, float("inf"), "", "no such", "x" * 600_000, "2026-01-01T00:00:00", "P-1D"),
    *([], [[]], [None], [{}], {}, {"a": 1}, [7] * 300),
]


def places(schema: Any, definitions: Any) -> Iterator[list[str | int]]:
    """Every place in a config that its schema names, to the innermost."""
    yield []
    if "$ref" in schema:
        yield from places(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for member in schema.get("anyOf", ()):
        yield from places(member, definitions)
    if "items" in schema:
        yield from ([0, *inner] for inner in places(schema["items"], definitions))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from (["any", *inner] for inner in places(schema["additionalProperties"], definitions))
    for name, field in schema.get("properties", {}).items():
        yield from ([name, *inner] for inner in places(field, definitions))


def put(value: Any, place: list[str | int]) -> Any:
    for part in reversed(place):
        value = [value] if part == 0 else {part: value}
    return value


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_no_message_is_pydantics_and_each_names_a_place_that_is_there(kind: StepKind) -> None:
    schema = kind.schema()
    for place in {tuple(place): place for place in places(schema, schema.get("$defs"))}.values():
        for wrong in WRONG:
            config = put(wrong, place)
            if not isinstance(config, dict):
                continue
            for problem in kind.check(config):
                assert len(problem.message) < 500, (place, wrong)
                assert not PYDANTICS.search(problem.message), (place, wrong)
                assert ".str" not in problem.path, (place, wrong)
                assert "[" not in problem.path, (place, wrong)
            with pytest.raises(ConfigInvalid) as refused:
                kind.build({**config, "surprise": 1})
            assert not PYDANTICS.search(refused.value.message), (place, wrong)


@pytest.mark.parametrize(
    ("kind", "config", "messages"),
    [
        ("for_each", {"items": [1], "parallel": "many"}, ["parallel: this must be a whole number, but it is a text."]),
        ("for_each", {"items": [], "parallel": 1.5}, ["parallel: this must be a whole number, but it has a fraction."]),
        ("for_each", {"items": [1], "parallel": 20_000}, ["parallel: this must be at most 10,000."]),
        ("for_each", {"items": [1], "tolerate": 3}, ["tolerate: this must be an object, but it is a number."]),
        (
            "for_each",
            {"items": [1], "tolerate": {"count": -1, "percent": 100.5, "most": 1}},
            [
                "tolerate.count: this must be at least 0.",
                "tolerate.percent: this must be at most 100.",
                "tolerate.most: there is no such field. Remove it.",
            ],
        ),
        ("for_each", {"items": [1], "tolerate": {"count": 1, "percent": 5}}, []),  # the larger of both holds
        ("for_each", {"items": [1], "enough": {"percent": 0}}, ["enough.percent: this must be more than 0."]),
        # Of a union: what any of its members would take; what is wrong inside the one that fits best.
        ("email", {"to": 7, "subject": "", "text": "x"}, ["to: this must be a text or a list, but it is a number."]),
        ("email", {"to": {}, "subject": "", "text": "x"}, ["to: this must be a text or a list, but it is an object."]),
        ("email", {"to": ["a@b.c", 7], "subject": "", "text": "x"}, ["to.1: this must be a text, but it is a number."]),
        (
            "delay",
            {"until": "2026-01-01T00:00:00"},
            ['until: this moment has no zone. Write it like "2026-03-31T09:00:00+02:00".'],
        ),
        ("choose", {"mode": "both", "cases": []}, [
            'mode: this must be "exclusive" or "inclusive".', "cases: this must not be empty.",
        ]),
        ("scope", {"lock": "No Key"}, [
            "lock: this is no key: a key starts with a-z and goes on with a-z, 0-9 or _, at most 63 characters.",
        ]),
        # What is not known before a run is not judged.
        ("for_each", {"items": {"$": "input"}, "parallel": {"$": "3"}, "tolerate": {"count": {"$": "1"}}}, []),
        ("email", {"to": {"$": "input.to"}, "subject": "", "text": "x"}, []),
    ],
)  # fmt: skip
def test_it_says_what_is_expected_and_what_is_there(kind: str, config: dict[str, Any], messages: list[str]) -> None:
    assert [problem.message for problem in KINDS[kind].check(config)] == messages


def test_a_step_that_begins_with_a_wrong_value_says_the_same() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        KINDS["for_each"].build({"items": [1], "parallel": "many", "tolerate": {"count": -1}})
    assert refused.value.message == (
        "The config of this For each step does not fit: parallel: this must be a whole number, but it is a text; "
        "tolerate.count: this must be at least 0."
    )
