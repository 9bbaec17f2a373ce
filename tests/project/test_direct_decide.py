"""A decision by the short way, with its task read ahead or not, ends as by the whole way."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F

from orchestrator.models import ApiToken, AuditEntry, Decision, HumanTask, Membership, Token
from orchestrator.models.ballot import digest_of
from orchestrator.project.callers import LONGEST_FORESEEN
from orchestrator.project.direct import Answer
from tests.factories import make_member
from tests.project.two_ways import House, asked, expired, house, revoked, statements

__all__ = ["house"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("is_shown", [True, False])
def test_a_decision_costs_two_statements_or_one_after_the_task_was_shown(house: House, is_shown: bool) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    task = house.task()
    if is_shown:
        show(house, task, headers)
        HumanTask.objects.update(notified_at=datetime.now(UTC))  # that the mail has gone changes nothing
    body = {"outcome": "yes", "digest": digest_of(task)}
    cost = statements(house, f"/api/v1/w/demo/tasks/{task.pk}/decide/", headers, json.dumps(body).encode())
    assert cost == (1 if is_shown else 2)
    assert house.spied._callers._foreseen == {}, "it serves once"


def show(house: House, task: HumanTask, headers: dict[str, str]) -> None:
    """Read the task before it is decided, which lets the short way read ahead."""
    asyncio.run(asked(house.short, f"/api/v1/w/demo/tasks/{task.pk}/", "GET", headers=headers))
    if house.spied._ahead is not None:
        house.spied._ahead.result(10)


def decided(house: House, tasks: tuple[HumanTask, HumanTask], headers: dict[str, str], **body: Any) -> Any:
    """One answer for one task by the short way, and for its twin by the whole way."""
    addresses = [f"/api/v1/w/demo/tasks/{task.pk}/decide/" for task in tasks]
    return house.both(*addresses, headers=headers, json={"outcome": "yes", "digest": digest_of(tasks[0]), **body})


@pytest.mark.parametrize("is_shown", [True, False])
def test_a_decision_is_answered_as_by_the_whole_way(house: House, is_shown: bool) -> None:
    approver = make_member(house.cast.workspace, "approver")
    headers = house.headers(approver)
    twins = house.task(), house.task()
    if is_shown:
        show(house, twins[0], headers)
    answer = decided(house, twins, headers)
    assert (answer.status_code, answer.json()["closed"]) == (200, True)
    assert [type(one) for one in house.spied.taken] == [Answer]
    assert HumanTask.objects.filter(state="done").count() == 2
    assert decided(house, twins, headers).status_code == 409
    assert isinstance(house.spied.taken[1], Exception)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"outcome": "maybe"}),
        (400, {"outcome": "no"}),
        (412, {"digest": "0" * 64}),
        (400, {"digest": ""}),
        (400, {"more": 1}),
        (400, {"values": []}),
    ],
)
@pytest.mark.parametrize("is_shown", [True, False])
def test_what_a_decision_lacks_is_told_by_the_whole_way(
    house: House, status: int, body: dict[str, Any], is_shown: bool
) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    twins = house.task(), house.task()
    if is_shown:
        show(house, twins[0], headers)
    answer = decided(house, twins, headers, **body)
    assert (answer.status_code, len(house.spied.taken)) == (status, 1), answer.text
    assert not HumanTask.objects.filter(state="done").exists()


def test_a_denied_decision_is_recorded_once(house: House) -> None:
    """By both ways: `both` compares the entries."""
    requester = make_member(house.cast.workspace, "approver")
    twins = house.task(requester=requester), house.task(requester=requester)
    headers = house.headers(requester)
    show(house, twins[0], headers)
    assert decided(house, twins, headers).status_code == 403
    denials = AuditEntry.objects.filter(action="task.decide", allowed=False)
    assert denials.count() == 2
    assert decided(house, twins, house.headers(make_member(house.cast.workspace, "viewer"))).status_code == 403
    assert denials.count() == 4


def decided_by_another(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    assert decided(house, twins, headers).status_code == 200


def meant_for_others(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    other = make_member(house.cast.workspace, "approver")
    HumanTask.objects.update(users=[other.username], roles=[], groups=[], version=2)


def asked_otherwise(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    HumanTask.objects.update(title="Something else", version=2)


def waits_no_more(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    Token.objects.update(epoch=F("epoch") + 1)


def demoted(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    Membership.objects.filter(roles=["approver"]).update(roles=["viewer"])


def expelled(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    Membership.objects.filter(roles=["approver"]).delete()


def token_revoked(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    revoked(house)


def token_expired(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    expired(house)


def token_narrowed(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    ApiToken.objects.update(roles=["viewer"])


def noted_since(house: House, twins: tuple[HumanTask, HumanTask]) -> None:
    ApiToken.objects.update(last_used_at=datetime.now(UTC))


SINCE_SHOWN: dict[Callable[[House, tuple[HumanTask, HumanTask]], None], int] = {
    decided_by_another: 409,
    meant_for_others: 403,
    asked_otherwise: 412,
    waits_no_more: 409,
    demoted: 403,
    expelled: 404,
    token_revoked: 401,
    token_expired: 401,
    token_narrowed: 403,
    noted_since: 200,
}


@pytest.mark.parametrize("change", list(SINCE_SHOWN))
def test_what_changed_since_a_task_was_shown_counts_at_once(
    house: House, change: Callable[[House, tuple[HumanTask, HumanTask]], None]
) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    twins = house.task(), house.task()
    show(house, twins[0], headers)
    assert len(house.spied._callers._foreseen) == 1
    change(house, twins)
    assert decided(house, twins, headers).status_code == SINCE_SHOWN[change]
    made = Decision.objects.filter(task__in=twins)
    assert made.count() == (2 if change in (decided_by_another, noted_since) else 0)


def test_who_was_remembered_does_not_decide_what_is_asked_by_now(house: House) -> None:
    """The answer fits the task as it is now, not as it was read ahead: whose it is must be read anew, too."""
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    twins = house.task(), house.task()
    show(house, twins[0], headers)
    asked_otherwise(house, twins)
    revoked(house)
    for task in twins:
        task.refresh_from_db()
    assert decided(house, twins, headers).status_code == 401
    assert not Decision.objects.exists()


def test_what_a_stranger_was_not_shown_is_not_decided(house: House) -> None:
    approver, task = make_member(house.cast.workspace, "approver"), house.task()
    show(house, task, house.headers(approver))
    twins = task, house.task()
    assert decided(house, twins, house.headers(make_member(house.cast.workspace, "viewer"))).status_code == 403


def test_a_long_task_is_not_kept(house: House) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    show(house, house.task(text="x" * LONGEST_FORESEEN), headers)
    assert house.spied._callers._foreseen == {}


def test_reading_ahead_keeps_nobody_waiting(house: House) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    house.spied._ahead = Future()
    house.spied.foresee(shown_scope(house.task(), headers))
    house.spied._ahead, house.spied._free = None, 0
    house.spied.foresee(shown_scope(house.task(), headers))
    assert house.spied._ahead is None


def shown_scope(task: HumanTask, headers: dict[str, str]) -> dict[str, Any]:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"method": "GET", "path": f"/api/v1/w/demo/tasks/{task.pk}/", "headers": raw}


def test_an_unknown_task_is_told_alike(house: House) -> None:
    headers = house.headers(make_member(house.cast.workspace, "approver"))
    body = {"outcome": "yes", "digest": "0" * 64}
    for name in (str(uuid4()), str(uuid4()).upper(), "none"):
        assert house.both(f"/api/v1/w/demo/tasks/{name}/decide/", headers=headers, json=body).status_code == 404
    assert len(house.spied.taken) == 1
