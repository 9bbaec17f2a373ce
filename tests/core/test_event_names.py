import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import BranchlineError
from orchestrator.core.event_attributes import TYPE, fault_of
from orchestrator.core.event_names import event_key, event_type
from orchestrator.core.json_types import Json

CONTROL = [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)]


@pytest.mark.parametrize("text", ["a", "7", "order.paid", "com.example/order_paid-v2", "A" * 200])
def test_a_type_stands_as_it_is(text: str) -> None:
    assert event_type(text) == text


@pytest.mark.parametrize(
    "value", ["", ".paid", "order paid", "a#b", "a\n", "é", "a" * 201, None, 7, True, ["a"], {"a": 1}, {"$": "x"}]
)
def test_what_is_no_type_is_refused_with_an_example(value: Json) -> None:
    with pytest.raises(BranchlineError, match=r"is no type of an event\. .* like order\.paid") as refused:
        event_type(value)
    assert refused.value.error_code == "event_type_invalid"


@given(st.from_regex(TYPE, fullmatch=True))
def test_every_text_of_the_pattern_is_a_type(text: str) -> None:
    assert event_type(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(("k", "k"), (" ", " "), ("a#b/c", "a#b/c"), ("Łódź 17", "Łódź 17"), ("x" * 200, "x" * 200)),
        *((17, "17"), (0, "0"), (-3, "-3"), (17.0, "17"), (-0.0, "0"), (1.5, "1.5"), (1e300, "1e+300")),
        (2**63 - 1, "9223372036854775807"),
    ],
)
def test_a_key_is_a_text_and_a_number_becomes_one(value: Json, text: str) -> None:
    assert event_key(value) == text


@pytest.mark.parametrize(
    ("value", "named"),
    [
        *((None, r"Nothing \(null\)"), (True, "true"), (False, "false"), ([1], "A list"), ({"a": 1}, "An object")),
        *(("", '""'), ("x" * 201, "A text of 201 characters"), ("a\tb", r"'a\\tb'"), ("\ud800", r"'\\ud800'")),
        *((float("nan"), "A number"), (float("inf"), "A number"), (2**63, "A number")),
    ],
)
def test_what_is_no_key_is_named_and_refused(value: Json, named: str) -> None:
    with pytest.raises(BranchlineError, match=rf"^{named}.* is no key of an event\. Give a text") as refused:
        event_key(value)
    assert refused.value.error_code == "event_key_invalid"


@pytest.mark.parametrize("letter", CONTROL)
def test_no_control_character_is_in_a_key(letter: str) -> None:
    with pytest.raises(BranchlineError):
        event_key(f"a{letter}b")


@given(st.text(max_size=201))
def test_a_step_waits_for_the_keys_that_events_can_have_and_no_others(text: str) -> None:
    can_come = fault_of("key", text) is None
    try:
        assert event_key(text) == text
    except BranchlineError:
        assert not can_come
    else:
        assert can_come


@given(st.text(max_size=20) | st.from_regex(TYPE, fullmatch=True))
def test_a_step_waits_for_the_types_that_events_can_have_and_no_others(text: str) -> None:
    can_come = fault_of("type", text) is None
    try:
        assert event_type(text) == text
    except BranchlineError:
        assert not can_come
    else:
        assert can_come


@given(st.integers(-(2**53), 2**53))
def test_one_number_has_one_key_however_it_is_spelled(number: int) -> None:
    assert event_key(float(number)) == event_key(number) == str(number)
