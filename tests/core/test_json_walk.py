import pytest

from orchestrator.core.json_types import Json
from orchestrator.core.json_walk import Marked, first_flaw, marked_nodes, walk


def test_it_finds_marked_nodes_with_their_paths() -> None:
    value: Json = {
        "url": {"$": "input.url"},
        "headers": [{"name": "X", "value": {"$secret": "key"}}],
        "plain": {"$": "a", "more": 1},  # two keys: an ordinary object
        "$": "not a node: the object holds more",
    }
    assert list(marked_nodes(value, "config")) == [
        Marked("expression", "input.url", "config.url"),
        Marked("secret", "key", "config.headers.0.value"),
    ]


def test_a_value_may_be_a_node_itself() -> None:
    assert list(marked_nodes({"$": 5}, "output")) == [Marked("expression", 5, "output")]


def test_it_walks_in_document_order() -> None:
    assert [path for path, _ in walk({"a": [1, {"b": 2}], "c": 3})] == ["", "a", "a.0", "a.1", "a.1.b", "c"]


@pytest.mark.parametrize(
    ("value", "code", "path"),
    [
        ({"a": [float("inf")]}, "out_of_range", "a.0"),
        ({"a": 2**63}, "out_of_range", "a"),
        (["\ud83d"], "text_invalid", "0"),
        ({"a\x00": 1}, "text_invalid", ""),
        ({"a": {1, 2}}, "wrong_type", "a"),
    ],
)
def test_it_finds_what_cannot_be_stored(value: Json, code: str, path: str) -> None:
    flaw = first_flaw(value)
    assert flaw is not None
    assert (flaw.code, flaw.path) == (code, path)


def test_it_takes_what_json_holds() -> None:
    assert first_flaw({"a": [None, True, -(2**63) + 1, 1e308, "😀", {}]}) is None
