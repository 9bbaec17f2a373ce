"""Who may answer a human task, and when the answers are enough."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

APPROVER = "approver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What a human task says about its answers.

    `requesters` are the people whose own request it is: who started the run and who published what runs. Nobody named
    in `users`, `roles` and `groups`: every approver.
    """

    users: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    quorum: int = 1
    allow_requester: bool = False
    requester: int | None = None
    publisher: int | None = None
    claimed_by: int | None = None
    #: user id -> outcome, of those who decided already
    decided: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """A member of the workspace, with what they may do now."""

    user_id: int
    username: str
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: a code for machines, a sentence for the person."""

    code: str
    message: str


def is_assigned(ballot: Ballot, voter: Voter) -> bool:
    """True when the step names this person, one of their roles or groups, or nobody at all."""
    if not (ballot.users or ballot.roles or ballot.groups):
        return True
    return voter.username in ballot.users or bool(ballot.roles & voter.roles) or bool(ballot.groups & voter.groups)


def is_named(ballot: Ballot, voter: Voter) -> bool:
    """True when the task is this person's own: named by user name or claimed."""
    return voter.username in ballot.users or ballot.claimed_by == voter.user_id


def why_not_eligible(ballot: Ballot, voter: Voter) -> Refusal | None:
    """None when this person belongs to those who may ever decide this task."""
    if APPROVER not in voter.roles:
        return Refusal("not_eligible", "Only approvers decide. Ask an admin of the workspace for the role.")
    if not is_assigned(ballot, voter):
        return Refusal(
            "not_eligible", f"This is for {assigned_text(ballot)} to decide. Ask them, or an admin to reassign."
        )
    if ballot.allow_requester:
        return None
    if ballot.requester == voter.user_id:
        return Refusal("self_approval", "You started this run, so somebody else must decide.")
    if ballot.publisher == voter.user_id:
        return Refusal("self_approval", "You published this version of the workflow, so somebody else must decide.")
    return None


def why_not_decide(ballot: Ballot, voter: Voter) -> Refusal | None:
    """None when this person may decide this task now."""
    if voter.user_id in ballot.decided:
        return Refusal("already_decided", "You have already decided this. It still waits for others.")
    refusal = why_not_eligible(ballot, voter)
    if refusal:
        return refusal
    if ballot.claimed_by is not None and ballot.claimed_by != voter.user_id:
        return Refusal("claimed", "Somebody else has claimed this. Ask them to release it, or an admin to reassign it.")
    return None


def assigned_text(ballot: Ballot) -> str:
    """Those who may decide, in words."""
    parts = [
        *sorted(ballot.users),
        *(f"the group {name}" for name in sorted(ballot.groups)),
        *(f"any {name}" for name in sorted(ballot.roles)),
    ]
    if not parts:
        return "any approver"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def outcome_reached(outcomes: Iterable[str], quorum: int) -> str | None:
    """The outcome that `quorum` decisions agree on; None while there is none."""
    for outcome, count in Counter(outcomes).items():
        if count >= quorum:
            return outcome
    return None


def can_still_be_reached(decided: Collection[str], eligible_left: int, quorum: int) -> bool:
    """False when even all remaining voters together could not bring any outcome to the quorum."""
    best = max(Counter(decided).values(), default=0)
    return best + eligible_left >= quorum
