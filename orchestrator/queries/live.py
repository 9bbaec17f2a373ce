"""What live sockets read: who their people are now, and what changed. Few statements for any number of sockets."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast
from uuid import UUID

from django.contrib.auth import HASH_SESSION_KEY, get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import Json
from orchestrator.models import Membership, Run, User
from orchestrator.policy import Action, may
from orchestrator.queries.actors import actor_as, actor_in, find_token, valid_tokens
from orchestrator.queries.drawing import drawing_of
from orchestrator.queries.runs import run_error, runs_for
from orchestrator.queries.step_runs import step_run_rows
from orchestrator.queries.tallies import tallies_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A person at the other end of a socket, and by what they came in: a session, or the actor's token."""

    actor: Actor
    session_key: str | None = None
    #: Changes with the password, so that a new one ends the sockets of old sessions.
    session_mark: str = ""


class Lost(IntEnum):
    """Why somebody may not be here (any more): the close code of their socket."""

    SIGNED_OUT = 4401  #: the session, the token or the account is not valid
    REMOVED = 4403  #: no member of the workspace, or without a role that may watch anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a socket is told of a run."""

    run_id: UUID
    seq: int
    state: str
    changes: tuple[Json, ...]
    error: Json
    #: The changes for those who may read the run's data; None when they are told no more than others.
    changes_with_data: tuple[Json, ...] | None = None
    #: How the steps inside a for-each stand over its items: whole, not what changed.
    tallies: tuple[Json, ...] = ()

    def as_json(self, *, shown: bool = False) -> dict[str, Json]:
        """What is sent. `shown`: to somebody who may read the run's data."""
        with_data = self.changes_with_data if shown else None
        frame: dict[str, Json] = {
            "run": str(self.run_id),
            "seq": self.seq,
            "changes": self.changes if with_data is None else with_data,
            "state": self.state,
        }
        if self.tallies:
            frame["tallies"] = self.tallies
        return {**frame, "error": self.error} if self.error else frame


def admit(workspace_slug: str, *, session_key: str | None, bearer: str) -> Viewer | Lost:
    """Who comes in by a bearer token, or else by a session. A workspace that does not exist has no members."""
    if bearer:
        token = find_token(bearer)
        if token is None:
            return Lost.SIGNED_OUT
        actor = actor_in(workspace_slug, token.user, token=token)
        return Viewer(actor=actor) if actor and _may_watch(actor) else Lost.REMOVED
    # As a page's request: one way to tell whether a session is good.
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active:
        return Lost.SIGNED_OUT
    actor = actor_in(workspace_slug, user)
    mark = request.session[HASH_SESSION_KEY]
    found = Viewer(actor=actor, session_key=session_key, session_mark=mark) if actor and _may_watch(actor) else None
    return found or Lost.REMOVED


def standings(viewers: Collection[Viewer]) -> dict[Viewer, Actor | Lost]:
    """How each viewer stands now, in at most four statements."""
    people = User.objects.filter(is_active=True).in_bulk({_user_id(viewer) for viewer in viewers})
    members = _members(viewers)
    keys = [viewer.session_key for viewer in viewers if viewer.session_key]
    sessions = set(Session.objects.filter(pk__in=keys, expire_date__gt=Now()).values_list("pk", flat=True))
    tokens = valid_tokens().in_bulk({viewer.actor.token_id for viewer in viewers if viewer.actor.token_id})
    marks = {user.pk: user.get_session_auth_hash() for user in people.values()} if keys else {}

    def standing(viewer: Viewer) -> Actor | Lost:
        user = people.get(_user_id(viewer))
        token = tokens.get(viewer.actor.token_id or 0)
        by_session = viewer.session_key in sessions and constant_time_compare(
            viewer.session_mark, marks.get(_user_id(viewer), "")
        )
        if user is None or not (token if viewer.actor.token_id else by_session):
            return Lost.SIGNED_OUT
        member = members.get((viewer.actor.workspace_id, user.pk))
        now = actor_as(member, user, token=token) if member else None
        return now if now and _may_watch(now) else Lost.REMOVED

    return {viewer: standing(viewer) for viewer in viewers}


def _may_watch(actor: Actor) -> bool:
    return may(actor, Action.RUN_READ) or may(actor, Action.TASK_READ)


def _user_id(viewer: Viewer) -> int:
    return viewer.actor.user_id or 0


def _members(viewers: Collection[Viewer]) -> Mapping[tuple[int, int], Membership]:
    rows = Membership.objects.select_related("workspace").filter(
        workspace_id__in={viewer.actor.workspace_id for viewer in viewers},
        user_id__in={_user_id(viewer) for viewer in viewers},
    )
    return {(row.workspace_id, row.user_id): row for row in rows}


def watchable(actor: Actor, run_ids: Collection[UUID]) -> dict[UUID, Run]:
    """Those of the runs that the actor may watch."""
    return {run.pk: run for run in runs_for(actor).filter(pk__in=run_ids).only("pk", "version_id")}


def read_changes(run: Run, after: int | None) -> Frame:
    """What changed in a run since `after`. One statement, two with a for-each. Raises NotFound when the run is gone."""
    read = step_run_rows(run, after=after)
    with_data = read.with_data()
    return Frame(
        run_id=run.pk,
        seq=read.seq,
        state=read.run_state,
        changes=tuple(read.as_json()),
        changes_with_data=None if with_data is None else tuple(with_data.as_json()),
        tallies=tuple(tally.as_json() for tally in tallies_of(run, read)),
        error=run_error(cast("Mapping[str, Any] | None", read.run_error), list(drawing_of(run.version_id).keys)),
    )
