"""What a sandbox says of a text that failed: the spot and the way out."""

import pytest

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_types import Json
from orchestrator.engine.sandbox import Sandbox, evaluate_value
from tests.security.sandboxes import ROOTS, sandbox

__all__ = ["sandbox"]


@pytest.mark.parametrize(
    ("source", "roots", "sentence"),
    [
        ("input.order.sku", {"input": {"order": {"id": 1}}}, "`input.order` has no key 'sku'; its keys are: id."),
        ("input.rows[5]", {"input": {"rows": [1]}}, "`input.rows` has 1 items, so there is no number 5."),
        ("input.a.b", {"input": {"a": None}}, "`input.a` is empty (None), so it has no 'b'."),
        ("steps.later.id", {"steps": {}}, "Step 'later' has no output here: it comes later or was skipped."),
        ("item.x", {}, "`item` is not known here. It is known inside a for-each."),
        ("(1 +\n1 / 0)", {}, "Line 2: ZeroDivisionError: division by zero."),
        ("{1, 2}", {}, "The result cannot be used: it is of the type set, which JSON does not know."),
        ("foo + 1", {}, "`foo` is not known in an expression."),
    ],
)
def test_messages_name_the_spot_and_the_way_out(
    sandbox: Sandbox, source: str, roots: dict[str, Json], sentence: str
) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        sandbox.expression(source, roots)
    assert caught.value.message.startswith(sentence)


def test_a_config_says_which_field_failed(sandbox: Sandbox) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate_value({"fields": [{"label": {"$": "1/0"}}]}, ROOTS, sandbox, path="config")
    assert caught.value.details["field"] == "config.fields.0.label"
    assert caught.value.message.startswith("In config.fields.0.label: Line 1: ZeroDivisionError")


def test_lazy_paths_and_secrets_stay(sandbox: Sandbox) -> None:
    config: Json = {"cases": [{"port": {"$": "'a'"}, "when": {"$": "1/0"}}], "key": {"$secret": "token"}}
    expected = {"cases": [{"port": "a", "when": {"$": "1/0"}}], "key": {"$secret": "token"}}
    assert evaluate_value(config, ROOTS, sandbox, lazy=("cases.*.when",)) == expected


@pytest.mark.parametrize("source", [None, 5, ["1"], {"$": "1"}])
def test_an_expression_must_be_text(sandbox: Sandbox, source: Json) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate_value({"a": {"$": source}}, ROOTS, sandbox)
    assert caught.value.error_code == "expression_invalid"
