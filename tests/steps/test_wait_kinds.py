"""delay and human_task."""

from datetime import timedelta

import pytest

from orchestrator.core.json_types import Json
from orchestrator.core.kinds import Resumed
from orchestrator.core.outcome import Done, Fail, TimedOut, Wait
from orchestrator.steps import KINDS
from tests.steps.context import NOW, Context

TASK: dict[str, Json] = {
    "title": "Refund?",
    "text": "Order 7",
    "fields": [{"key": "reason", "required": True}, {"key": "size", "kind": "choice", "options": ["S", "M"]}],
    "outcomes": [{"key": "approved", "tone": "primary"}, {"key": "sent_back", "label": "Send back"}],
    "assignees": {"users": ["bob"], "groups": ["managers"]},
    "due": "P2D",
}


def _resumed(signal: dict[str, Json] | None) -> Resumed:
    return Resumed(signal=signal, memo=None, waited_since=NOW, now=NOW + timedelta(hours=1))


def test_delay_waits_for_a_time() -> None:
    kind = KINDS["delay"]
    outcome = kind.run(kind.build({"for": "PT10M"}), Context())
    assert isinstance(outcome, Wait)
    assert (outcome.kind, outcome.delay, outcome.until) == ("time", 600.0, None)


def test_delay_waits_until_a_moment() -> None:
    kind = KINDS["delay"]
    outcome = kind.run(kind.build({"until": "2026-03-01T14:00:00+01:00"}), Context())
    assert isinstance(outcome, Wait)
    assert outcome.until == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    "config", [{"until": "2026-03-01T12:00:00Z"}, {"until": "1999-01-01T00:00:00Z"}, {"for": "PT0S"}]
)
def test_delay_does_not_wait_for_the_past(config: dict[str, Json]) -> None:
    kind = KINDS["delay"]
    assert kind.run(kind.build(config), Context()) == Done({"at": NOW.isoformat()})


def test_delay_goes_on_when_resumed() -> None:
    kind = KINDS["delay"]
    outcome = kind.resume(kind.build({"for": "PT1H"}), Context(), _resumed(None))
    assert outcome == Done({"at": "2026-03-01T13:00:00+00:00"})


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({}, [""]),
        ({"for": "PT1S", "until": "2026-03-01T12:00:00Z"}, [""]),
        ({"for": {"$": "input.a"}, "until": {"$": "input.b"}}, [""]),
        ({"for": "10 minutes"}, ["for"]),
        ({"for": "-PT1S"}, ["for"]),
        ({"until": "2026-03-01T12:00:00"}, ["until"]),  # no zone
        ({"for": {"$": "input.a"}}, []),
    ],
)
def test_delay_checks_its_config(config: dict[str, Json], paths: list[str]) -> None:
    assert [problem.path for problem in KINDS["delay"].check(config)] == paths


def test_human_task_opens_a_form() -> None:
    kind = KINDS["human_task"]
    outcome = kind.run(kind.build(TASK), Context())
    assert isinstance(outcome, Wait)
    assert outcome.text == "Waiting for bob or the group managers"
    assert outcome.until == NOW + timedelta(days=2)
    assert outcome.form is not None
    assert outcome.form.due == outcome.until
    assert outcome.form.fields[0] == {
        "key": "reason",
        "kind": "text",
        "label": "Reason",
        "required": True,
        "help": "",
        "placeholder": "",
        "options": [],
    }
    assert outcome.form.outcomes == (
        {"key": "approved", "label": "Approved", "tone": "primary"},
        {"key": "sent_back", "label": "Send back"},
    )
    assert (outcome.form.users, outcome.form.groups, outcome.form.roles) == (("bob",), ("managers",), ())


def test_human_task_leaves_by_the_outcome() -> None:
    kind = KINDS["human_task"]
    signal: dict[str, Json] = {"outcome": "sent_back", "values": {"reason": "?"}, "by": "bob", "at": "t", "comment": ""}
    outcome = kind.resume(kind.build(TASK), Context(), _resumed({**signal, "extra": 1}))
    assert outcome == Done(signal, ports=("sent_back",))


def test_human_task_times_out_for_good() -> None:
    kind = KINDS["human_task"]
    outcome = kind.resume(kind.build(TASK), Context(), _resumed(None))
    assert isinstance(outcome, TimedOut)
    assert outcome.final
    assert outcome.fault.code == "task_overdue"


def test_human_task_refuses_an_outcome_that_is_not_drawn() -> None:
    kind = KINDS["human_task"]
    outcome = kind.resume(kind.build(TASK), Context(), _resumed({"outcome": "error"}))
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "unknown_outcome"


def test_human_task_has_a_port_for_each_outcome() -> None:
    ports = KINDS["human_task"].ports
    assert ports(TASK) == ("approved", "sent_back", "timeout", "error")
    assert ports({"title": "a"}) == ("approved", "rejected", "error")
    assert ports({"outcomes": "nonsense", "due": {"$": "input.due"}}) == ("timeout", "error")


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({}, []),
        ({"title": {"$": "f'{input.a}'"}, "due": {"$": "input.due"}, "assignees": {"users": {"$": "input.who"}}}, []),
        ({"outcomes": [{"key": "timeout"}]}, ["outcomes"]),
        ({"outcomes": [{"key": "a"}, {"key": "a"}]}, ["outcomes"]),
        ({"outcomes": {"$": "input.outcomes"}}, ["outcomes"]),
        ({"outcomes": [{"key": {"$": "input.key"}}]}, ["outcomes.0.key"]),
        ({"fields": [{"key": "a", "kind": "choice"}]}, ["fields.0"]),
        ({"fields": [{"key": "a", "kind": "password"}]}, ["fields.0.kind"]),
        ({"quorum": 0}, ["quorum"]),
        ({"due": "soon"}, ["due"]),
        ({"colour": "red"}, ["colour"]),
    ],
)
def test_human_task_checks_its_config(change: dict[str, Json], paths: list[str]) -> None:
    assert [problem.path for problem in KINDS["human_task"].check({**TASK, **change})] == paths


def test_only_waiting_kinds_resume() -> None:
    kind = KINDS["transform"]
    with pytest.raises(TypeError, match="never waits"):
        kind.resume(kind.build({"value": 1}), Context(), _resumed(None))
