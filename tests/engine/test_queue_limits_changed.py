"""A limit of a queue is set, moved or taken away while steps are at work and in line."""

from orchestrator.models import Token
from orchestrator.services.queue_limits import remove_queue_limit
from tests.engine.house import House
from tests.engine.lines import A, B, begin, give_back, go, limit, line, sessions, settle
from tests.engine.rows import claim, finish

__all__ = ["sessions"]


def test_what_is_at_work_when_a_limit_is_set_counts(house: House) -> None:
    begin(house, "a", "b", lines="a > b")
    begin(house, *"cd")
    (chain, other) = claim(A, 2)
    found = limit(house, 2)
    assert claim(B, 9) == []
    assert go(chain)[0] == "ready"
    assert give_back(found)
    assert len(claim(B, 9)) == 1
    assert finish(A, other) == "parked"


def test_what_a_claim_under_way_has_leased_is_counted_by_the_keeper(house: House) -> None:
    found = limit(house, 1)
    begin(house, *"ab")
    claim(A, 1)
    Token.objects.update(queue_limit_id=None)  # the claim had not seen the limit
    assert settle() == []
    assert Token.objects.get(state="L").queue_limit_id == found.pk
    assert claim(B, 9) == []


def test_a_higher_limit_lets_more_begin_and_a_lower_one_waits(house: House) -> None:
    limit(house, 1)
    begin(house, *"abcdef")
    leases = claim(A, 9)
    limit(house, 3)
    assert line() == "O"
    leases += claim(A, 9)
    found = limit(house, 2)
    assert len(leases) == 3
    finish(A, leases.pop())
    give_back(found)
    assert claim(A, 9) == []
    finish(A, leases.pop())
    give_back(found)
    assert len(claim(A, 9)) == 1


def test_without_its_limit_a_line_is_gone(house: House) -> None:
    limit(house, 1)
    begin(house, *"abcd")
    assert len(claim(A, 9)) == 1
    remove_queue_limit(actor=house.actor, queue="default")
    assert Token.objects.filter(queue_limit_id__isnull=False).count() == 0
    assert len(claim(B, 9)) == 3
