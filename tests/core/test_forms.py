"""What each field of a human task takes, and what its fingerprint covers."""

import math
from typing import Any

import pytest

from orchestrator.core.forms import FIELD_KINDS, check_values, content_digest, options_of, read_posted

CHOICE: dict[str, Any] = {
    "key": "f",
    "kind": "choice",
    "label": "Plan",
    "options": ["basic", {"value": "pro", "label": "Professional"}],
}


def field(kind, **more):
    return {"key": "f", "kind": kind, "label": "Answer", **more}


@pytest.mark.parametrize(
    ("form_field", "value", "kept"),
    [
        (field("text"), "hello", "hello"),
        (field("text"), "{{7*7}} ${7*7} {0.x}", "{{7*7}} ${7*7} {0.x}"),  # never evaluated, byte-identical
        (field("text"), "   ", None),  # blank counts as empty
        (field("long_text"), "a\r\nb\rc", "a\nb\nc"),  # one kind of line end
        (field("number"), 12.5, 12.5),
        (field("number"), 0, 0),  # zero is an answer
        (field("number", min=1, max=3), 3, 3),  # bounds belong to the range
        (field("number", min="x"), 5, 5),  # a bound that is no number bounds nothing
        (field("date"), "2026-02-28", "2026-02-28"),
        (field("date", min="2026-01-01", max="2026-12-31"), "2026-01-01", "2026-01-01"),
        (CHOICE, "pro", "pro"),
        (CHOICE, "basic", "basic"),
        (field("yes_no"), False, False),  # no is an answer
        (field("yes_no", required=True), False, False),
        (field("email"), " ada@example.org ", "ada@example.org"),
        (field("email"), None, None),
    ],
)
def test_it_keeps_what_fits(form_field, value, kept):
    checked = check_values([form_field], {"f": value})
    assert checked.errors == {}
    assert checked.values == {"f": kept}


@pytest.mark.parametrize(
    ("form_field", "value", "part"),
    [
        (field("text", required=True), "", "is required"),
        (field("text", required=True), None, "is required"),
        (field("yes_no", required=True), None, "is required"),
        (field("text"), ["a"], "must be text"),  # a list for a scalar
        (field("text"), {"a": 1}, "must be text"),
        (field("text"), 5, "must be text"),
        (field("text"), "x" * 501, "501 characters"),
        (field("text", max_length=3), "abcd", "at most 3"),
        (field("text", max_length=10**9), "x" * 501, "at most 500"),  # a field cannot widen our limit
        (field("text"), "a\nb", "cannot be kept"),  # one line stays one line
        (field("long_text"), "a\x00b", "cannot be kept"),  # PostgreSQL has no NUL
        (field("long_text"), "a\ud800", "cannot be kept"),  # half a surrogate pair
        (field("long_text"), "a\x1b[31m", "cannot be kept"),  # a terminal would obey it
        (field("long_text"), "x" * 10_001, "at most 10,000"),
        (field("number"), True, "must be a number"),  # bool is an int to Python only
        (field("number"), "12", "must be a number"),
        (field("number"), math.inf, "must be a number"),
        (field("number"), math.nan, "must be a number"),
        (field("number"), 1e30, "at most"),
        (field("number", min=2), 1, "at least 2"),
        (field("number", max=2), 3, "at most 2"),
        (field("date"), "2026-02-30", "no day of the calendar"),
        (field("date"), "28.02.2026", "must be a date"),
        (field("date"), "2026-02-28T10:00", "must be a date"),
        (field("date", min="2026-01-01"), "2025-12-31", "2026-01-01 or later"),
        (field("date", max="2026-01-01"), "2026-01-02", "2026-01-01 or earlier"),
        (CHOICE, "gold", "must be one of: basic, Professional"),
        (CHOICE, "Professional", "must be one of"),  # the label is not the value
        (CHOICE, ["pro"], "must be one of"),
        (field("yes_no"), "yes", "must be yes or no"),
        (field("yes_no"), 1, "must be yes or no"),
        (field("email"), "nobody", "no e-mail address"),
        (field("email"), "a@b..c", "no e-mail address"),
        (field("email"), "a@b.c\nBcc: x@y.z", "cannot be kept"),  # header injection
        (field("email"), "Ada <ada@example.org>", "no e-mail address"),
    ],
)
def test_it_refuses_by_name(form_field, value, part):
    checked = check_values([form_field], {"f": value})
    assert list(checked.errors) == ["f"]
    assert part in checked.errors["f"]
    assert "f" not in checked.values


def test_it_refuses_fields_nobody_drew():
    checked = check_values([field("text")], {"f": "x", "approved_by": "me", "x" * 200: 1})
    assert set(checked.errors) == {"approved_by", "x" * 63}
    assert checked.values == {"f": "x"}


def test_it_bounds_its_complaints():
    assert len(check_values([], {f"k{number}": 1 for number in range(5000)}).errors) == 20


@pytest.mark.parametrize("kind", FIELD_KINDS)
def test_every_kind_takes_nothing_for_an_optional_field(kind):
    assert check_values([field(kind)], {}).values == {"f": None}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "12", 12),
        ("number", " -3,5 ", -3.5),  # decimal comma, as half of the world types it
        ("number", "1e3", "1e3"),  # stays text: refused by name
        ("number", "9" * 400, "9" * 400),
        ("yes_no", "yes", True),
        ("yes_no", "no", False),
        ("yes_no", "maybe", "maybe"),
        ("text", "12", "12"),
        ("date", "2026-03-01", "2026-03-01"),
        ("text", "", None),
        ("text", None, None),
    ],
)
def test_posted_text_becomes_json(kind, text, value):
    assert read_posted([field(kind)], {"f": text}.get) == {"f": value}


def test_options_are_texts_or_pairs():
    assert options_of(CHOICE) == [("basic", "basic"), ("pro", "Professional")]
    assert options_of({"options": "abc"}) == []


SHOWN: dict[str, Any] = {
    "title": "Approve",
    "text": "1,200 EUR",
    "fields": [{"key": "a", "kind": "text", "label": "A"}],
    "outcomes": [{"key": "yes"}],
    "quorum": 1,
}


def test_the_digest_ignores_the_order_of_keys():
    turned = SHOWN | {"fields": [{"label": "A", "kind": "text", "key": "a"}]}
    assert content_digest(**turned) == content_digest(**SHOWN)


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Approve!"},
        {"text": "12,000 EUR"},
        {"fields": []},
        {"outcomes": [{"key": "no"}]},
        {"quorum": 2},
    ],
)
def test_the_digest_covers_everything_shown(change):
    assert content_digest(**(SHOWN | change)) != content_digest(**SHOWN)
