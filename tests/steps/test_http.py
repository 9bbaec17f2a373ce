import asyncio

import pytest

from orchestrator.core.http_errors import ConnectionFailed, DeadlineExceeded, EgressBlocked, ResponseTooLarge
from orchestrator.core.json_types import Json
from orchestrator.core.kinds import HttpAnswer
from orchestrator.core.outcome import Done, Fail, Outcome, Retry, TimedOut
from orchestrator.steps import KINDS
from tests.steps.context import Context, Requests

URL = "https://api.example.org/orders"


def _answer(status: int = 200, body: bytes = b"", **headers: str) -> HttpAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status=status, headers=named, body=body)


def _ask(http: Requests, **config: Json) -> Outcome:
    kind = KINDS["http"]
    outcome: Outcome = asyncio.run(kind.run(kind.build({"url": URL, **config}), Context(http=http)))
    return outcome


def test_it_gives_out_status_headers_and_parsed_body() -> None:
    http = Requests(_answer(201, b'{"id": 7}', Content_Type="application/json; charset=utf-8"))
    headers = {"content-type": "application/json; charset=utf-8"}
    assert _ask(http) == Done({"status": 201, "headers": headers, "body": {"id": 7}})


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "application/json", None),
        (b"[1]", "application/problem+json", [1]),
        (b"[1]", "text/plain", "[1]"),
        ("é".encode("latin-1"), "text/plain; charset=iso-8859-1", "é"),
        (b"\xff\x00", "text/plain", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        (b"a", "text/plain; charset=rot13", "a"),
        (b"a", "text/plain; charset=nonsense", "a"),
    ],
)
def test_it_reads_bodies(body: bytes, content_type: str, expected: Json) -> None:
    outcome = _ask(Requests(_answer(200, body, Content_Type=content_type)))
    assert isinstance(outcome, Done)
    assert isinstance(outcome.output, dict)
    assert outcome.output["body"] == expected


@pytest.mark.parametrize("body", [b"{", b"[" * 1000, b'"\\u0000"', b"NaN"])
def test_json_that_is_none_fails(body: bytes) -> None:
    outcome = _ask(Requests(_answer(200, body, Content_Type="application/json")))
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "http_body"


def test_it_adds_the_query_encoded() -> None:
    http = Requests()
    _ask(http, url=f"{URL}?a=1", query={"q": "x&y=z é", "ids": [1, 2], "deep": True, "none": None})
    assert http.made[0]["url"] == f"{URL}?a=1&q=x%26y%3Dz+%C3%A9&ids=1&ids=2&deep=true"


@pytest.mark.parametrize(
    ("body_as", "body", "content", "content_type"),
    [
        ("json", {"a": "é"}, '{"a": "é"}'.encode(), "application/json"),
        ("form", {"a": "1&2", "b": [True, 2]}, b"a=1%262&b=true&b=2", "application/x-www-form-urlencoded"),
        ("text", "é", "é".encode(), "text/plain; charset=utf-8"),
    ],
)
def test_it_sends_bodies(body_as: str, body: Json, content: bytes, content_type: str) -> None:
    http = Requests()
    _ask(http, method="POST", body=body, body_as=body_as)
    headers = http.made[0]["headers"]
    assert isinstance(headers, dict)
    assert (http.made[0]["content"], headers["Content-Type"]) == (content, content_type)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_unsafe_methods_carry_the_idempotency_key(method: str) -> None:
    http = Requests()
    _ask(http, method=method)
    assert http.made[0]["headers"] == {"Idempotency-Key": "key-1"}


def test_safe_methods_carry_no_key_and_own_keys_are_kept() -> None:
    http = Requests()
    _ask(http, method="GET")
    _ask(http, method="POST", headers={"idempotency-key": "mine"})
    assert [made["headers"] for made in http.made] == [{}, {"idempotency-key": "mine"}]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-A": "1\r\nX-B: 2"}, "http_header"),
        ({"X-A": "1\nX-B: 2"}, "http_header"),
        ({"X-A": "\x00"}, "http_header"),
        ({"X-A\r\nX-B": "1"}, "http_header"),
        ({"X A": "1"}, "http_header"),
        ({"": "1"}, "http_header"),
        ({"X-A": "snow \N{SNOWMAN}"}, "http_header"),
        ({"Host": "internal"}, "http_header"),
        ({"content-length": "0"}, "http_header"),
        ({"Transfer-Encoding": "chunked"}, "http_header"),
    ],
)
def test_headers_cannot_be_injected(headers: dict[str, Json], code: str) -> None:
    http = Requests()
    outcome = _ask(http, headers=headers)
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == code
    assert http.made == []


@pytest.mark.parametrize("body", [["a"], 5])
def test_a_form_needs_an_object_and_text_needs_text(body: Json) -> None:
    for body_as in ("form", "text"):
        outcome = _ask(Requests(), method="POST", body=body, body_as=body_as)
        assert isinstance(outcome, Fail)
        assert outcome.fault.code == "http_body"


@pytest.mark.parametrize(
    ("accept", "status", "accepted"),
    [
        (["2xx"], 204, True),
        (["2xx"], 304, False),
        ([200, 404], 404, True),
        (["200-204"], 204, True),
        (["200-204"], 205, False),
        (["5xx"], 503, True),  # what is accepted is no trouble
    ],
)
def test_it_accepts(accept: list[Json], status: int, *, accepted: bool) -> None:
    assert isinstance(_ask(Requests(_answer(status)), accept_status=accept), Done) is accepted


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),  # past
        ("999999999", 86_400.0),  # nobody means ten years
        ("soon", None),
        ("-5", None),
    ],
)
@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_passing_trouble_is_tried_again(status: int, retry_after: str | None, seconds: float | None) -> None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    outcome = _ask(Requests(HttpAnswer(status=status, headers=headers, body=b"")))
    assert isinstance(outcome, Retry)
    assert (outcome.after, outcome.fault.details) == (seconds, {"status": status})


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 409, 500, 501])
def test_other_statuses_are_permanent_and_keep_the_body_to_themselves(status: int) -> None:
    outcome = _ask(Requests(_answer(status, b"internal secret", Location="http://10.0.0.1/")))
    assert isinstance(outcome, Fail)
    assert (outcome.fault.code, outcome.fault.details) == ("http_status", {"status": status})
    assert "secret" not in outcome.fault.message


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        (EgressBlocked("no"), Fail, "egress_blocked"),
        (EgressBlocked("no", code="url_port"), Fail, "url_port"),
        (ResponseTooLarge("big"), Fail, "response_too_large"),
        (DeadlineExceeded("late"), TimedOut, "deadline"),
        (ConnectionFailed("broke"), Retry, "connection_failed"),
    ],
)
def test_requests_without_answer(error: Exception, expected: type, code: str) -> None:
    outcome = _ask(Requests(raises=error))
    assert isinstance(outcome, expected)
    assert isinstance(outcome, Fail | Retry | TimedOut)
    assert outcome.fault.code == code


def test_a_url_that_cannot_be_read_fails() -> None:
    outcome = _ask(Requests(), url="http://[", query={"a": 1})
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "url_invalid"


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({"url": URL}, []),
        ({"url": {"$": "input.url"}, "headers": {"Authorization": {"$secret": "token"}}, "body": {"$": "input"}}, []),
        ({"url": URL, "method": {"$": "input.method"}}, []),
        ({"url": URL, "method": "FETCH"}, ["method"]),
        ({"url": URL, "accept_status": ["ok"]}, ["accept_status"]),
        ({"url": URL, "timeout": 5}, ["timeout"]),
        ({}, ["url"]),
    ],
)
def test_it_checks_its_config(config: dict[str, Json], paths: list[str]) -> None:
    assert [problem.path for problem in KINDS["http"].check(config)] == paths
