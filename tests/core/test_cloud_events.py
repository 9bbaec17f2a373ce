"""Events as they come by HTTP: structured and binary mode, and what is refused of them by name."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.core.cloud_events import CloudEvent, EventInvalid, EventUnsupported, read_event
from orchestrator.core.errors import JsonInvalid
from orchestrator.core.event_attributes import TYPE, moment

STRUCTURED = "application/cloudevents+json"
MINIMAL = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.paid"}

LINE = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1)
RESERVED = {*MINIMAL, "data", "subject", "time", "key", "partitionkey", "datacontenttype", "dataschema"}
NAMES = st.from_regex(r"[a-z0-9]{1,40}", fullmatch=True).filter(lambda name: name not in RESERVED)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES | LINE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LINE, inner, max_size=3), max_leaves=8
)
ATTRIBUTES = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0"),
        "id": LINE.map(lambda text: text[:200]),
        "source": LINE.map(lambda text: text[:400]),
        "type": st.from_regex(TYPE, fullmatch=True),
    },
    optional={
        "subject": LINE.map(lambda text: text[:400]),
        "key": LINE.map(lambda text: text[:200]),
        "time": st.datetimes(datetime(3, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  st wants them without
            datetime.isoformat
        ),
    },
)
EXTENSIONS = st.dictionaries(NAMES, LINE.map(lambda text: text[:1_000]), max_size=20)


def sent(event: Mapping[str, Any], content_type: str = STRUCTURED) -> CloudEvent:
    return read_event(content_type, {}, json.dumps(event).encode())


def in_headers(attributes: Mapping[str, str], body: bytes = b"", content_type: str = "application/json") -> CloudEvent:
    headers = {f"Ce-{name.title()}": quote(value, safe="") for name, value in attributes.items()}
    return read_event(content_type, headers, body)


def faults(**changes: Any) -> dict[str, list[str]]:
    with pytest.raises(EventInvalid) as caught:
        sent(MINIMAL | changes)
    return codes(caught.value)


def codes(error: EventInvalid) -> dict[str, list[str]]:
    return {name: [one["code"] for one in told] for name, told in error.details.items()}  # type: ignore[union-attr, index, call-overload, misc]


@given(ATTRIBUTES, EXTENSIONS, VALUES)
def test_both_modes_say_the_same(attributes: dict[str, str], extensions: dict[str, str], data: Any) -> None:
    given_attributes = attributes | extensions
    structured = sent({**given_attributes, "data": data})
    assert in_headers(given_attributes, json.dumps(data).encode()) == structured
    assert structured.data == data
    assert structured.extra == extensions
    assert (structured.id, structured.source, structured.type) == tuple(
        attributes[name] for name in ("id", "source", "type")
    )
    assert structured.key == attributes.get("key", "")


@given(st.dictionaries(st.text(max_size=12), VALUES, max_size=6), st.binary(max_size=40))
@example({"specversion": "1.0", "id": True}, b"{")
def test_anything_else_is_refused_by_name(strange: dict[str, Any], body: bytes) -> None:
    with suppress(EventInvalid, JsonInvalid):
        assert sent(strange).id
    with suppress(EventInvalid, JsonInvalid):
        assert read_event("application/json", {f"ce-{name}": value for name, value in MINIMAL.items()}, body).id


@given(st.dictionaries(st.text(st.characters(max_codepoint=255), max_size=20), st.text(max_size=40), max_size=5))
def test_headers_never_break_it(headers: dict[str, str]) -> None:
    with pytest.raises((EventInvalid, JsonInvalid)):
        read_event("", {**{f"ce-{name}": value for name, value in headers.items()}, "ce-type": "%"}, b"")


@given(st.text(max_size=30))
@example("2026-02-30T00:00:00Z")
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
@example("2026-01-01T00:00:00+99:99")
def test_a_time_is_a_moment_or_nothing(text: str) -> None:
    found = moment(text)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-31T14:05:00Z", datetime(2026, 3, 31, 14, 5, tzinfo=UTC)),
        ("2026-03-31t14:05:00z", datetime(2026, 3, 31, 14, 5, tzinfo=UTC)),  # RFC 3339 allows lower case
        ("2026-03-31T14:05:00.5+02:00", datetime(2026, 3, 31, 12, 5, 0, 500_000, tzinfo=UTC)),
        ("2026-03-31T14:05:00.123456789Z", datetime(2026, 3, 31, 14, 5, 0, 123_456, tzinfo=UTC)),  # Go writes these
        ("2026-03-31T14:05:00", None),  # no zone
        ("2026-03-31 14:05:00Z", None),
        ("2026-W14-2T14:05:00Z", None),  # ISO 8601, not RFC 3339
        ("20260331T140500Z", None),
        ("2026-03-31T24:05:00Z", None),
        ("٢٠٢٦-03-31T14:05:00Z", None),  # digits, but not ASCII's
    ],
)
def test_times_are_rfc_3339(text: str, expected: datetime | None) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"specversion": "0.3"}, {"specversion": ["specversion_unsupported"]}),
        ({"specversion": 1.0}, {"specversion": ["wrong_type"]}),
        ({"id": None}, {"id": ["required"]}),  # null is absent, in CloudEvents too
        ({"id": ""}, {"id": ["blank"]}),
        ({"id": 7}, {"id": ["wrong_type"]}),
        ({"id": "x" * 201}, {"id": ["too_long"]}),
        ({"id": "a\x1b[31m"}, {"id": ["text_invalid"]}),
        ({"source": "a\nb"}, {"source": ["text_invalid"]}),
        ({"type": "order paid"}, {"type": ["event_type_invalid"]}),
        ({"type": "order#7"}, {"type": ["event_type_invalid"]}),  # "#" parts type and key in a topic
        ({"type": ".order"}, {"type": ["event_type_invalid"]}),
        ({"type": "order.paid\n"}, {"type": ["text_invalid"]}),
        ({"subject": ""}, {"subject": ["blank"]}),
        ({"time": "yesterday"}, {"time": ["time_invalid"]}),
        ({"time": 1_790_000_000}, {"time": ["wrong_type"]}),
        ({"datacontenttype": "text/plain"}, {"datacontenttype": ["data_not_json"]}),
        ({"data_base64": "AAAA"}, {"data_base64": ["data_not_json"]}),
        ({"key": "x" * 201}, {"key": ["too_long"]}),
        ({"key": ["a"]}, {"key": ["wrong_type"]}),
        ({"trace_id": "1"}, {"trace_id": ["attribute_name_invalid"]}),
        ({"traceId": "1"}, {"traceId": ["attribute_name_invalid"]}),
        ({"tenant": {"id": 1}}, {"tenant": ["wrong_type"]}),
        ({"tenant": "x" * 1_001}, {"tenant": ["too_long"]}),
        ({f"a{n}": "1" for n in range(21)}, {"body": ["too_many_attributes"]}),
        ({"id": "", "type": "?"}, {"id": ["blank"], "type": ["event_type_invalid"]}),  # all of them at once
    ],
)
def test_each_fault_names_its_attribute(changes: dict[str, Any], expected: dict[str, list[str]]) -> None:
    assert faults(**changes) == expected


def test_the_key_is_the_extension_of_that_name_or_the_partition_key() -> None:
    assert sent(MINIMAL).key == ""
    assert sent({**MINIMAL, "partitionkey": "7"}).key == "7"
    both = sent({**MINIMAL, "partitionkey": "7", "key": "order-7"})
    assert (both.key, both.extra) == ("order-7", {"partitionkey": "7"})
    # What headers can only say as text is the same as a number.
    assert sent({**MINIMAL, "key": 7}).key == in_headers({**MINIMAL, "key": "7"}).key == "7"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),  # the example of the HTTP protocol binding
        ("%25E2", "%E2"),  # decoded once
        ('"a \\"b\\" c"', 'a "b" c'),  # as older senders write it
        ("50%", "50%"),
        ("  spaced  ", "spaced"),
    ],
)
def test_headers_are_percent_decoded_once(header: str, text: str) -> None:
    headers = {f"ce-{name}": value for name, value in MINIMAL.items()} | {"CE-Subject": header}
    assert read_event("", headers, b"").subject == text


@pytest.mark.parametrize("header", ["%FF", "%ED%A0%80", "caf\xe9"])
def test_a_header_that_is_no_percent_encoded_utf_8_is_refused(header: str) -> None:
    headers = {f"ce-{name}": value for name, value in MINIMAL.items()} | {"ce-subject": header}
    with pytest.raises(EventInvalid) as caught:
        read_event("", headers, b"")
    assert codes(caught.value) == {"subject": ["header_invalid"]}


@pytest.mark.parametrize(
    "content_type",
    [STRUCTURED, "application/cloudevents+json; charset=utf-8", "APPLICATION/CloudEvents+JSON", "application/json"],
)
def test_structured_mode_goes_by_the_content_type(content_type: str) -> None:
    assert sent(MINIMAL, content_type).type == "order.paid"


def test_a_structured_event_is_not_changed_by_headers() -> None:
    assert read_event(STRUCTURED, {"ce-type": "other"}, json.dumps(MINIMAL).encode()).type == "order.paid"


def test_binary_mode_needs_no_data() -> None:
    event = in_headers(MINIMAL, b"", "text/plain")
    assert event.data is None


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("application/cloudevents-batch+json", {}),
        ("application/cloudevents+avro", {}),
        ("text/plain", {"ce-id": "1"}),
        ("", {"ce-id": "1"}),
        ("application/x-www-form-urlencoded", {}),
        ("application/octet-stream", {}),
    ],
)
def test_other_forms_are_refused_with_a_way_out(content_type: str, headers: dict[str, str]) -> None:
    with pytest.raises(EventUnsupported, match="application/cloudevents\\+json"):
        read_event(content_type, headers, b"[1]")


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b'{"id": 1, "id": 2}', b"[" * 1_000])
def test_a_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises((EventInvalid, JsonInvalid)):
        read_event(STRUCTURED, {}, body)


def test_data_nests_as_deep_in_headers_as_in_the_body() -> None:
    deep = "[" * 63 + "]" * 63
    text = json.dumps({**MINIMAL, "data": None})[:-5] + deep + "}"
    assert read_event(STRUCTURED, {}, text.encode()) == in_headers(MINIMAL, deep.encode())
    with pytest.raises(JsonInvalid):
        in_headers(MINIMAL, f"[{deep}]".encode())
