"""What pydantic finds wrong with a value, in our own words. Values are not shown: they may be secret."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from orchestrator.core.document import KEY_PATTERN
from orchestrator.core.form import KEY_RULE

_FOUND = {type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "a text"}
_FOUND |= {list: "a list", dict: "an object"}
#: What was expected, where something of another type was found.
_TYPES = {
    "string_type": "a text",
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), "an object"
    ),
    "none_required": "null",
}
_MOMENT = 'Write it like "2026-03-31T09:00:00+02:00"'
#: The whole sentence, with names of the error's context.
_SENTENCES = {
    "missing": "this is needed",
    "extra_forbidden": "there is no such field. Remove it",
    "unexpected_keyword_argument": "there is no such field. Remove it",
    "int_from_float": "this must be a whole number, but it has a fraction",
    "finite_number": "this must be a finite number",
    "greater_than_equal": "this must be at least {ge}",
    "greater_than": "this must be more than {gt}",
    "less_than_equal": "this must be at most {le}",
    "less_than": "this must be less than {lt}",
    "multiple_of": "this must be a multiple of {multiple_of}",
    "string_too_short": "this must have at least {min_length} characters",
    "string_too_long": "this must have at most {max_length} characters",
    "too_short": "this must have at least {min_length} entries",
    "too_long": "this must have at most {max_length} entries",
    "string_pattern_mismatch": "this must have the form {pattern}",
    "literal_error": "this must be {expected}",
    "enum": "this must be {expected}",
    "timezone_aware": f"this moment has no zone. {_MOMENT}",
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        f"this is no moment. {_MOMENT}",
    ),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), 'this is no date like "2026-03-31"'),
    **dict.fromkeys(("time_type", "time_parsing"), 'this is no time like "09:00:00"'),
    **dict.fromkeys(("uuid_type", "uuid_parsing"), "this is no UUID"),
}
_EMPTY = {"string_too_short", "too_short"}


def spoken(value: object) -> str:
    """What sort of value it is: "a text"."""
    return _FOUND.get(type(value), type(value).__name__)


def expects_type(detail: ErrorDetails) -> bool:
    """Whether the value is of the wrong type altogether."""
    return detail["type"] in _TYPES


def plain(details: Sequence[ErrorDetails]) -> str:
    """One sentence about all errors at one place. Several: no member of a union fits."""
    for detail in details:
        if not expects_type(detail):
            return _sentence(detail)
    expected = " or ".join(dict.fromkeys(_TYPES[detail["type"]] for detail in details))
    return f"this must be {expected}, but it is {spoken(details[0]['input'])}."


def _sentence(detail: ErrorDetails) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    if detail["type"] in _EMPTY and context.get("min_length") == 1:
        return "this must not be empty."
    if context.get("pattern") == f"^{KEY_PATTERN}$":
        return f"this is no key: {KEY_RULE}."
    known = _SENTENCES.get(detail["type"])
    if known is None:  # our own validators
        return f"{detail['msg'].removeprefix('Value error, ').removeprefix('Assertion failed, ').rstrip('.')}."
    spelled = {name: _spelled(value) for name, value in context.items()}
    return f"{known.format(**spelled)}."


def _spelled(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("'", '"')
    return f"{value:,.15g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
