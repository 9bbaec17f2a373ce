"""A value that JSON does not know: the message says how to make it one that it does."""

import pytest

from orchestrator.core.errors import ExpressionFailed
from orchestrator.engine.sandbox import Sandbox


@pytest.mark.parametrize(
    ("source", "kind", "way_out"),
    [
        ("range(3)", "range", "Make it a list: list(...)."),
        ("{1, 2}", "set", "Make it a list: list(...)."),
        ("{'a': 1}.keys()", "dict_keys", "Make it a list: list(...)."),
        ("b'raw'", "bytes", "Give numbers, texts, lists or objects of these."),
    ],
)
def test_the_message_names_the_type_and_the_way_out(sandbox: Sandbox, source: str, kind: str, way_out: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        sandbox.expression(source, {})
    said = f"The result cannot be used: it is of the type {kind}, which JSON does not know. {way_out}"
    assert caught.value.message == said
