"""Who the short way remembers: what changed about them since counts at once."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator.models import ApiToken, Membership, Run, User
from orchestrator.project.direct import Answer
from tests.factories import make_member, make_workspace
from tests.project.two_ways import START, House, asked, expired, house, mine, revoked, statements

__all__ = ["house", "mine"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_who_may_not_is_refused_by_the_whole_way(house: House, mine: dict[str, str]) -> None:
    viewer = make_member(house.cast.workspace, "viewer")
    body: dict[str, Any] = {"json": {}}
    assert house.started(headers=house.headers(viewer), **body).status_code == 403
    assert house.started(headers={**mine, "Authorization": "Bearer brl_unknown"}, **body).status_code == 401
    assert house.started(headers={**mine, "Authorization": "Bearer "}, **body).status_code == 401
    assert house.started(headers={**mine, "Authorization": "Bearer " + "x" * 300}, **body).status_code == 401
    make_workspace("theirs")
    assert house.both("/api/v1/w/theirs/workflows/flow/runs/", headers=mine, **body).status_code == 404
    ApiToken.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert house.started(headers=mine, **body).status_code == 401
    ApiToken.objects.update(expires_at=None, revoked_at=datetime.now(UTC))
    assert house.started(headers=mine, **body).status_code == 401
    assert house.spied.taken == [None] * 7
    assert not Run.objects.exists()


def test_the_first_use_in_a_minute_is_noted_by_the_whole_way(house: House, mine: dict[str, str]) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    ApiToken.objects.update(last_used_at=long_ago)
    assert asyncio.run(asked(house.short, START, json={}, headers=mine)).status_code == 201
    assert asyncio.run(asked(house.short, START, json={}, headers=mine)).status_code == 201
    assert [type(one) for one in house.spied.taken] == [type(None), Answer]
    assert ApiToken.objects.get().last_used_at > long_ago  # type: ignore[operator]  # noted


def test_a_start_costs_two_statements_and_the_next_one(house: House, mine: dict[str, str]) -> None:
    """Who asks and what for, and the start itself; later the start, that looks whether all of that is still so."""
    others = house.headers(make_member(house.cast.workspace, "operator"))
    assert asyncio.run(asked(house.short, START, headers=others, json={})).status_code == 201  # reads the version
    assert [statements(house, START, mine, b"{}") for _ in range(3)] == [2, 1, 1]


def role_lost(house: House) -> None:
    Membership.objects.filter(user=house.cast.editor).update(roles=["approver"])


def narrowed(house: House) -> None:
    ApiToken.objects.update(roles=["approver"])


def left(house: House) -> None:
    Membership.objects.filter(user=house.cast.editor).delete()


def deactivated(house: House) -> None:
    User.objects.filter(pk=house.cast.editor.pk).update(is_active=False)


def archived(house: House) -> None:
    house.cast.workspace.workflows.update(archived_at=datetime.now(UTC))


def never_published(house: House) -> None:
    house.cast.workspace.workflows.update(live_version=None)


CHANGES: dict[Callable[[House], None], int] = {
    revoked: 401,
    expired: 401,
    deactivated: 401,
    role_lost: 403,
    narrowed: 403,
    left: 404,
    archived: 404,
    never_published: 409,
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_what_changed_since_a_caller_was_remembered_counts_at_once(
    house: House, mine: dict[str, str], change: Callable[[House], None]
) -> None:
    for _ in range(2):
        assert house.started(headers=mine, json={}).status_code == 201
    before = Run.objects.count()
    change(house)
    assert house.started(headers=mine, json={}).status_code == CHANGES[change]
    assert Run.objects.count() == before
