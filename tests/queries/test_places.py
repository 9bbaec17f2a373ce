"""Where a scope stands, in the words of all pages."""

from typing import Any

import pytest

from orchestrator.models import Run, Workspace
from orchestrator.queries.places import place_words
from tests.run_factories import drawn, make_items, make_run, make_scope, make_version, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    """Scopes, repeats and for-eaches in each other."""
    steps = {
        "box": {"kind": "scope"},
        "each": {"kind": "for_each", "parent": "box"},
        "again": {"kind": "repeat", "parent": "each"},
        "inner": {"kind": "scope", "parent": "again"},
        "pay": {"parent": "inner"},
    }
    workspace = Workspace.objects.create(slug="acme", name="Acme")
    return make_run(make_version(make_workflow(workspace), drawn(*steps, steps=steps)))


@pytest.fixture
def places(run: Run) -> dict[str, int]:
    """A scope at each level: item 3 (of 2,000), in its second turn."""
    box = make_scope(run, "box").pk + 1
    item = make_items(run, "each", total=2_000, parent=box).pk + 3
    turn = make_scope(run, "again", parent=item).pk + 2
    return {"box": box, "item": item, "turn": turn, "inner": make_scope(run, "inner", parent=turn).pk + 1}


def test_nested_places_read_the_outermost_first_and_plain_scopes_say_nothing(places: dict[str, int]) -> None:
    assert place_words(places.values()) == {
        places["item"]: "item 3",
        places["turn"]: "item 3, turn 2",
        places["inner"]: "item 3, turn 2",
    }


def test_scopes_are_asked_and_told_as_the_reader_has_them(places: dict[str, int]) -> None:
    assert place_words([None, str(places["turn"]), None]) == {str(places["turn"]): "item 3, turn 2"}


def test_inside_what_is_named_already_only_the_rest_is_told(places: dict[str, int]) -> None:
    assert place_words(places.values(), within=places["item"]) == {
        places["turn"]: "turn 2",
        places["inner"]: "turn 2",
    }


def test_large_numbers_are_read_as_those_of_items(run: Run) -> None:
    scope = make_items(run, "each", total=2_000).pk + 1_200
    assert place_words([scope]) == {scope: "item 1,200"}


def test_one_statement_tells_the_places_of_many_runs(
    run: Run, places: dict[str, int], django_assert_num_queries: Any
) -> None:
    other = make_run(run.version)
    turns = [make_scope(other, "again").pk + number for number in range(1, 30)]
    place_words(turns)  # drawings are kept in memory
    with django_assert_num_queries(1):
        found = place_words([*places.values(), *turns])
    assert found[turns[6]] == "turn 7"
    assert found[places["inner"]] == "item 3, turn 2"
    with django_assert_num_queries(0):
        assert place_words([None, None]) == {}


def test_what_is_gone_is_not_told(run: Run) -> None:
    assert place_words([77 * 131_072 + 1]) == {}
