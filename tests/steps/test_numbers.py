"""True and false are no numbers: whoever writes them where a number is asked meant something else."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from orchestrator.core.errors import ConfigInvalid
from orchestrator.steps import KINDS
from tests.steps.test_plain_words import put

#: Every place of the format where a config asks for a number, and what it says that it wants.
ASKED = {
    "http": {
        "headers.any": "a text or a whole number or a number",
        "accept_status.0": "a whole number or a text",
    },
    "for_each": {
        "parallel": "a whole number",
        "tolerate.count": "a whole number",
        "tolerate.percent": "a number",
        "enough.count": "a whole number",
        "enough.percent": "a number",
    },
    "repeat": {"turns": "a whole number"},
    "sub_workflow": {"version": "a whole number"},
    "human_task": {
        "quorum": "a whole number",
        "fields.0.min": "a number or a text",
        "fields.0.max": "a number or a text",
        "fields.0.max_length": "a whole number",
    },
}
PLACES = [(kind, place, wanted) for kind, places in ASKED.items() for place, wanted in places.items()]


def asked(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[list[str]]:
    """The places in a config where its schema asks for a number."""
    if schema.get("type") in {"integer", "number"}:
        yield []
    if "$ref" in schema:
        yield from asked(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    for member in schema.get("anyOf", ()):
        yield from asked(member, definitions)
    inside = {"0": schema.get("items"), "any": schema.get("additionalProperties"), **schema.get("properties", {})}
    for name, part in inside.items():
        if isinstance(part, dict):
            yield from ([name, *deeper] for deeper in asked(part, definitions))


def _put(value: object, place: str) -> Any:
    return put(value, [0 if part == "0" else part for part in place.split(".")])


def test_all_such_places_are_in_the_table() -> None:
    schemas: dict[str, Any] = {name: kind.schema() for name, kind in KINDS.items()}
    found = {name: {".".join(place) for place in asked(one, one.get("$defs", {}))} for name, one in schemas.items()}
    assert {name: places for name, places in found.items() if places} == {n: set(places) for n, places in ASKED.items()}


@pytest.mark.parametrize(("kind", "place", "wanted"), PLACES)
@pytest.mark.parametrize("flag", [True, False])
def test_a_flag_is_refused(kind: str, place: str, wanted: str, *, flag: bool) -> None:
    problems = [problem for problem in KINDS[kind].check(_put(flag, place)) if problem.path == place]
    message = f"{place}: this must be {wanted}, but it is true or false."
    assert [(problem.code, problem.message) for problem in problems] == [("config_invalid", message)]


@pytest.mark.parametrize(("kind", "place", "wanted"), PLACES)
def test_a_number_is_not(kind: str, place: str, wanted: str) -> None:
    number = 200 if kind == "http" else 1
    assert not [problem for problem in KINDS[kind].check(_put(number, place)) if problem.path == place]


def test_a_flag_that_an_expression_gave_is_refused_when_the_step_begins() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        KINDS["for_each"].build({"items": [1], "parallel": True})
    assert refused.value.message == (
        "The config of this For each step does not fit: parallel: this must be a whole number, but it is true or false."
    )
