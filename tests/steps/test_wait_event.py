"""wait_event: which event is asked for, what is done with the one that came."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.durations import LONGEST, format_duration
from orchestrator.core.errors import ConfigInvalid, ExpressionFailed
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.kinds import Resumed
from orchestrator.core.outcome import Awaited, Done, Fail, Outcome, Retry, TimedOut, Wait
from orchestrator.engine.sandbox import Sandbox
from orchestrator.steps import KINDS
from tests.steps.context import NOW, Context, NoSandbox

KIND = KINDS["wait_event"]
PAID: dict[str, Json] = {"type": "order.paid"}
LATER = NOW + timedelta(hours=1)
EVENT: JsonObject = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop",
    "type": "order.paid",
    "time": NOW.isoformat(),
    "key": "17",
    "data": {"amount": 120, "currency": "EUR"},
}


class Overloaded(NoSandbox):
    """A sandbox that has no time."""

    def expression(self, source: str, roots: Mapping[str, Json]) -> Json:
        raise ExpressionFailed("It took too long.", code="expression_timeout")


NOTHING = NoSandbox()


def began(**config: Json) -> Wait:
    outcome = KIND.run(KIND.build({**PAID, **config}), Context())
    assert isinstance(outcome, Wait)
    return outcome


def resumed(signal: JsonObject | None, memo: Json, sandbox: Sandbox | NoSandbox = NOTHING, **config: Json) -> Outcome:
    """The step is resumed an hour later."""
    context = Context(roots={"input": {"least": 100}}, now=LATER, sandbox=sandbox)
    given = Resumed(signal=signal, memo=memo, waited_since=NOW, now=LATER)
    outcome: Outcome = KIND.resume(KIND.build({**PAID, **config}), context, given)
    return outcome


def got(event: JsonObject, sandbox: Sandbox | NoSandbox = NOTHING, **config: Json) -> Outcome:
    return resumed({"event": event}, began(**config).memo, sandbox, **config)


@pytest.mark.parametrize(
    ("config", "awaited", "until", "text"),
    [
        ({}, (None, None, True), None, "Waiting for the event order.paid"),
        ({"key": "17"}, ("17", None, True), None, "Waiting for the event order.paid"),
        ({"key": 17}, ("17", None, True), None, "Waiting for the event order.paid"),
        ({"where": {"$": "event.data.x"}}, (None, None, False), None, "Waiting for the event order.paid"),
        ({"deadline": "PT2H"}, (None, None, True), NOW + timedelta(hours=2), "Waiting for the event order.paid"),
        ({"deadline": "PT0S"}, (None, None, True), NOW, "Waiting for the event order.paid"),
        ({"look_back": "PT0S"}, (None, NOW, True), None, "Waiting for the event order.paid"),
        ({"look_back": "P1D"}, (None, NOW - timedelta(days=1), True), None, "Waiting for the event order.paid"),
    ],
)
def test_it_asks_for_an_event(
    config: dict[str, Json], awaited: tuple[str | None, datetime | None, bool], until: datetime | None, text: str
) -> None:
    wait = began(**config)
    key, since, is_first = awaited
    assert wait.awaited == Awaited(type="order.paid", key=key, since=since, is_first=is_first)
    assert (wait.kind, wait.text, wait.until, wait.delay, wait.form) == ("event", text, until, None, None)


def test_the_event_is_its_output() -> None:
    assert got(EVENT) == Done(EVENT)


@pytest.mark.parametrize(
    ("where", "is_wanted"),
    [
        ("event.data.amount > 100", True),
        ("event.data.amount > 1000", False),
        ("event.data.amount > input.least and event.key == '17'", True),
        ("event.get('subject')", False),
        ("'yes'", True),
        ("0", False),
        ("None", False),
    ],
)
def test_only_a_wanted_event_ends_the_wait(sandbox: Sandbox, where: str, is_wanted: bool) -> None:
    outcome = got(EVENT, sandbox, where={"$": where})
    assert outcome == (Done(EVENT) if is_wanted else began(where={"$": where}))


def test_what_is_not_wanted_begins_nothing_anew(sandbox: Sandbox) -> None:
    """Neither the deadline nor how far it looks back: both count from the beginning of the wait."""
    config: dict[str, Json] = {"where": {"$": "False"}, "deadline": "PT2H", "look_back": "PT5M", "key": "17"}
    wait = began(**config)
    for _ in range(3):
        again = resumed({"event": EVENT}, wait.memo, sandbox, **config)
        assert again == wait


@given(
    st.floats(0, LONGEST).map(format_duration) | st.none(),
    st.floats(0, LONGEST).map(format_duration) | st.none(),
    st.integers(1, 5),
)
def test_a_wait_stays_the_same_however_often_it_is_resumed(
    sandbox: Sandbox, deadline: str | None, look_back: str | None, times: int
) -> None:
    config: dict[str, Json] = {"where": {"$": "event.data.amount < 0"}}
    config |= {} if deadline is None else {"deadline": deadline}
    config |= {} if look_back is None else {"look_back": look_back}
    wait = began(**config)
    assert (wait.until is None) == (deadline is None)
    assert wait.until is None or wait.until >= NOW
    assert wait.awaited is not None
    assert wait.awaited.since is None or wait.awaited.since <= NOW
    again: Outcome = wait
    for _ in range(times):
        assert isinstance(again, Wait)
        again = resumed({"event": EVENT}, again.memo, sandbox, **config)
    assert again == wait


def test_it_times_out_for_good() -> None:
    outcome = resumed(None, began(deadline="PT1H", key="17").memo, deadline="PT1H", key="17")
    assert isinstance(outcome, TimedOut)
    assert outcome.final
    assert outcome.fault.code == "event_overdue"
    assert outcome.fault.message == "The event order.paid did not come in time (PT1H)."
    assert outcome.fault.details == {"type": "order.paid", "key": "17"}


def test_a_condition_that_fails_is_final_and_names_the_event(sandbox: Sandbox) -> None:
    outcome = got(EVENT, sandbox, where={"$": "event.data.total > 1"})
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "expression_failed"
    assert outcome.fault.message.startswith("where: ")
    assert "total" in outcome.fault.message
    assert {"id": "e-1", "source": "/shop"}.items() <= outcome.fault.details.items()


def test_a_condition_that_may_pass_is_tried_again() -> None:
    outcome = got(EVENT, Overloaded(), where={"$": "event.data.amount"})
    assert isinstance(outcome, Retry)
    assert outcome.fault.code == "expression_timeout"


@pytest.mark.parametrize(
    ("config", "ports"),
    [
        ({}, ("out", "error")),
        ({"deadline": None}, ("out", "error")),
        ({"deadline": "P1D"}, ("out", "timeout", "error")),
        ({"deadline": {"$": "input.patience"}}, ("out", "timeout", "error")),
    ],
)
def test_it_has_a_time_out_port_when_it_has_a_deadline(config: dict[str, Json], ports: tuple[str, ...]) -> None:
    assert KIND.ports({**PAID, **config}) == ports


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"type": "a"}, []),
        ({"type": {"$": "input.type"}, "key": {"$": "input.key"}, "where": {"$": "event.data"}}, []),
        ({"type": "a", "deadline": {"$": "input.d"}, "look_back": {"$": "input.l"}}, []),
        ({}, [("config_missing", "type")]),
        ({"type": ""}, [("event_type_invalid", "type")]),
        ({"type": "order paid"}, [("event_type_invalid", "type")]),
        ({"type": "a#b"}, [("event_type_invalid", "type")]),
        ({"type": "a", "key": ""}, [("event_key_invalid", "key")]),
        ({"type": "a", "key": None}, [("event_key_invalid", "key")]),
        ({"type": "a", "key": True}, [("event_key_invalid", "key")]),
        ({"type": "a", "key": ["b"]}, [("event_key_invalid", "key")]),
        ({"type": "a", "key": 17}, []),
        ({"type": "a", "where": "event.data.amount > 100"}, [("condition_not_expression", "where")]),
        ({"type": "a", "where": True}, [("condition_constant", "where")]),
        ({"type": "a", "where": {"all": [{"$": "event.id"}]}}, [("condition_not_expression", "where")]),
        ({"type": "a", "deadline": "-PT1S"}, [("duration_negative", "deadline")]),
        ({"type": "a", "deadline": "soon"}, [("duration_invalid", "deadline")]),
        ({"type": "a", "deadline": "P9999999D"}, [("duration_too_long", "deadline")]),
        ({"type": "a", "look_back": "P1Y"}, [("duration_calendar", "look_back")]),
        ({"type": "a", "colour": 1}, [("config_unknown", "colour")]),
    ],
)
def test_it_checks_its_config(config: dict[str, Json], found: list[tuple[str, str]]) -> None:
    assert [(problem.code, problem.path) for problem in KIND.check(config)] == found


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"key": None}, "event_key_invalid", "key is null.*remove the key"),
        ({"key": False}, "event_key_invalid", "false is no key"),
        ({"key": {"a": 1}}, "event_key_invalid", "An object is no key"),
        ({"key": "a\nb"}, "event_key_invalid", "control characters"),
        ({"type": 5}, "event_type_invalid", "no type of an event"),
        ({"deadline": "P9999999D"}, "duration_too_long", "ten years"),
    ],
)
def test_an_expression_that_gives_what_does_not_fit_is_refused(change: dict[str, Json], code: str, says: str) -> None:
    with pytest.raises(ConfigInvalid, match=says) as refused:
        KIND.build({**PAID, **change})
    assert refused.value.error_code == code
