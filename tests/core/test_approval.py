"""Who may decide a human task, and when the answers are enough."""

import pytest

from orchestrator.core.approval import (
    Ballot,
    Voter,
    assigned_text,
    can_still_be_reached,
    is_named,
    outcome_reached,
    why_not_decide,
)


def voter(username="bob", user_id=2, roles=("approver",), groups=()):
    return Voter(user_id=user_id, username=username, roles=frozenset(roles), groups=frozenset(groups))


def ballot(users=(), roles=(), groups=(), **more):
    return Ballot(users=frozenset(users), roles=frozenset(roles), groups=frozenset(groups), **more)


@pytest.mark.parametrize(
    ("task", "person", "code"),
    [
        (ballot(), voter(), None),  # nobody named: every approver
        (ballot(), voter(roles=["admin", "operator", "editor", "viewer"]), "not_eligible"),  # no role replaces approver
        (ballot(users=["bob"]), voter(), None),
        (ballot(users=["bob"]), voter(roles=["viewer"]), "not_eligible"),  # even by name an approver must be one
        (ballot(users=["bobby"]), voter(), "not_eligible"),  # names are whole names
        (ballot(users=["Bob"]), voter(), "not_eligible"),
        (ballot(groups=["finance"]), voter(groups=["finance"]), None),
        (ballot(groups=["finance"]), voter(groups=["sales"]), "not_eligible"),
        (ballot(roles=["admin"]), voter(roles=["approver", "admin"]), None),
        (ballot(roles=["admin"]), voter(), "not_eligible"),
        (ballot(users=["alice"], groups=["finance"]), voter(groups=["finance"]), None),  # one of them is enough
        (ballot(requester=2), voter(), "self_approval"),
        (ballot(groups=["finance"], requester=2), voter(groups=["finance"]), "self_approval"),  # not through a group
        (ballot(users=["bob"], requester=2), voter(), "self_approval"),  # nor by name
        (ballot(publisher=2), voter(), "self_approval"),  # who published what runs chose its content
        (ballot(requester=2, publisher=2, allow_requester=True), voter(), None),
        (ballot(requester=3, publisher=4), voter(), None),
        (ballot(decided={2: "yes"}, quorum=2), voter(), "already_decided"),
        (ballot(decided={3: "yes"}, quorum=2), voter(), None),
        (ballot(claimed_by=3), voter(), "claimed"),
        (ballot(claimed_by=2), voter(), None),
    ],
)
def test_who_may_decide(task, person, code):
    refusal = why_not_decide(task, person)
    assert (refusal.code if refusal else None) == code
    assert refusal is None or refusal.message.endswith(".")


@pytest.mark.parametrize(
    ("outcomes", "quorum", "reached"),
    [
        (["yes"], 1, "yes"),
        (["yes"], 2, None),
        (["yes", "no"], 2, None),  # two decisions, but for different outcomes
        (["yes", "no", "yes"], 2, "yes"),
        (["no", "no"], 2, "no"),  # a refusal needs the same number
        ([], 1, None),
    ],
)
def test_a_quorum_counts_decisions_for_one_outcome(outcomes, quorum, reached):
    assert outcome_reached(outcomes, quorum) == reached


@pytest.mark.parametrize(
    ("decided", "left", "quorum", "possible"),
    [
        ([], 1, 1, True),
        ([], 1, 2, False),  # one approver cannot be two
        (["yes", "no"], 0, 2, False),
        (["yes", "no"], 1, 2, True),
    ],
)
def test_it_sees_when_nobody_is_left_to_agree(decided, left, quorum, possible):
    assert can_still_be_reached(decided, left, quorum) is possible


def test_it_names_the_deciders():
    assert assigned_text(ballot()) == "any approver"
    assert assigned_text(ballot(users=["bob"])) == "bob"
    named = ballot(users=["bob"], groups=["finance"], roles=["admin"])
    assert assigned_text(named) == "bob, the group finance or any admin"


def test_own_means_named_or_claimed():
    assert is_named(ballot(users=["bob"]), voter())
    assert is_named(ballot(claimed_by=2), voter())
    assert not is_named(ballot(groups=["finance"]), voter(groups=["finance"]))
