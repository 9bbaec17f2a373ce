import smtplib

import pytest

from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Done, Fail, Outcome, Retry
from orchestrator.steps import KINDS
from tests.steps.context import Context, Sent

MAIL: dict[str, Json] = {"to": ["ann@example.org"], "subject": "Hello", "text": "Hi {{settings.SECRET_KEY}} {0.x}"}


def _send(mail: Sent, **change: Json) -> Outcome:
    kind = KINDS["email"]
    outcome: Outcome = kind.run(kind.build({**MAIL, **change}), Context(mail=mail))
    return outcome


def test_it_sends_the_text_as_it_is() -> None:
    mail = Sent()
    assert _send(mail) == Done({"message_id": "<1@test>"})
    assert mail.messages == [{"to": ("ann@example.org",), "subject": "Hello", "text": MAIL["text"], "html": None}]


def test_one_address_may_stand_alone() -> None:
    mail = Sent()
    _send(mail, to=" ann@example.org ")
    assert mail.messages[0]["to"] == ("ann@example.org",)


@pytest.mark.parametrize("broken", ["\n", "\r", "\r\n", "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("field", ["subject", "to"])
def test_a_header_cannot_be_ended(field: str, broken: str) -> None:
    mail = Sent()
    value: Json = f"Hello{broken}Bcc: eve@example.org" if field == "subject" else [f"ann@example.org{broken}eve@x.org"]
    outcome = _send(mail, **{field: value})
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "mail_header"
    assert mail.messages == []


@pytest.mark.parametrize(
    "to", [[], ["ann"], ["ann@example.org, eve@example.org"], ["<ann@example.org>"], ["a b@example.org"], ["@"]]
)
def test_it_refuses_what_is_no_address(to: list[Json]) -> None:
    outcome = _send(Sent(), to=to)
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "mail_address"


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        (ValueError("header"), Fail, "mail_header"),
        (smtplib.SMTPRecipientsRefused({}), Fail, "mail_refused"),
        (smtplib.SMTPServerDisconnected(), Retry, "mail_unavailable"),
        (ConnectionRefusedError(), Retry, "mail_unavailable"),
    ],
)
def test_the_backend_may_fail(error: Exception, expected: type, code: str) -> None:
    outcome = _send(Sent(raises=error))
    assert isinstance(outcome, expected)
    assert isinstance(outcome, Fail | Retry)
    assert outcome.fault.code == code


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        (MAIL, []),
        ({**MAIL, "to": [{"$": "input.a"}, "b@example.org"]}, []),
        ({**MAIL, "to": {"$": "input.a"}}, []),
        ({"to": "a@example.org", "subject": "s"}, [""]),
        ({"to": 7, "subject": "s", "text": "t"}, ["to"]),
        ({}, ["to", "subject"]),
    ],
)
def test_it_checks_its_config(config: dict[str, Json], paths: list[str]) -> None:
    assert [problem.path for problem in KINDS["email"].check(config)] == paths
