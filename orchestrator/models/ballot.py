"""A human task as the pure rules of `core.approval` read it: one reading for the pages and for the decision."""

from collections.abc import Mapping

from orchestrator.core.approval import Ballot
from orchestrator.core.forms import content_digest
from orchestrator.models.task import HumanTask


def ballot_of(task: HumanTask, *, publisher: int | None, decided: Mapping[int, str] | None = None) -> Ballot:
    """What the task says about its answers, decisions so far included (prefetch `decisions` for lists).

    `publisher` is the user who published the version that runs; `decided` the decisions, where they were read already.
    """
    return Ballot(
        users=frozenset(task.users),
        roles=frozenset(task.roles),
        groups=frozenset(task.groups),
        quorum=task.quorum,
        allow_requester=task.allow_requester,
        requester=task.requester_id,
        publisher=publisher,
        claimed_by=task.claimed_by_id,
        decided={one.user_id: one.outcome for one in task.decisions.all()} if decided is None else dict(decided),
    )


def digest_of(task: HumanTask) -> str:
    """The fingerprint of what this task shows."""
    return content_digest(
        title=task.title, text=task.text, fields=task.fields, outcomes=task.outcomes, quorum=task.quorum
    )


def outcome_label(task: HumanTask, key: str) -> str:
    """What people call an outcome of the task."""
    return next((str(one.get("label") or key) for one in task.outcomes if one.get("key") == key), key)
