"""A step that kills its workers takes innocent ones along twice at most: suspects are claimed apart."""

import json
import threading
import time
from typing import Any

import pytest
from django.utils import timezone

from orchestrator.core.outcome import Done
from orchestrator.engine import statements
from orchestrator.engine.attempt import SUSPECT, TRUSTED, Attempt
from orchestrator.engine.lease import Lease
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import StepLog, Token
from tests.engine.drawings import document, step
from tests.engine.house import House, make_tools, worker_at_work
from tests.engine.kinds import Told, kinds
from tests.engine.rows import beat, claim, rows, take_over
from tests.waiting import wait_until

A, B = 11, 22


def begin(house: House, steps: int = 6) -> None:
    house.start(house.publish(document([step(f"s{n}") for n in range(steps)])))


def lost(session: int) -> int:
    """Claim what there is, and die with it; how many were claimed."""
    count = 0
    while leases := claim(session, 10):
        count += len(leases)
    take_over()
    return count


def suspect(house: House) -> None:
    """Six tokens of which each has seen two workers die."""
    begin(house)
    assert [lost(A), lost(A)] == [6, 6]
    assert set(Token.objects.values_list("lost", "state")) == {(SUSPECT, "R")}


def test_a_session_gets_one_suspect_at_a_time(house: House) -> None:
    suspect(house)
    begin(house, 3)
    assert sorted(row["lost"] for row in claim(A, 10)) == [0, 0, 0, SUSPECT]
    assert claim(A, 10, suspects=False) == []
    assert [row["lost"] for row in claim(B, 10)] == [SUSPECT]


def test_suspects_do_not_keep_others_from_a_session(house: House) -> None:
    suspect(house)
    begin(house, 3)
    Token.objects.filter(lost=SUSPECT).update(priority=0)  # in front of all others
    assert [row["lost"] for row in claim(A, 2)] == [SUSPECT]
    assert [row["lost"] for row in claim(A, 2, suspects=False)] == [0, 0]


def test_a_step_that_kills_is_given_up_and_spares_the_rest(house: House) -> None:
    """Every session that holds the killer dies with all it holds, as often as it takes."""
    begin(house)
    killer = Token.objects.order_by("id").first()
    assert killer is not None
    for session in range(100, 200):
        held = claim(session, 10)
        if not held:
            break
        if killer.pk in [row["id"] for row in held if row["verdict"] == ""]:
            take_over()
            continue
        # All of these live, and end.
        for row in held:
            Token.objects.filter(pk=row["id"]).delete()
    blamed = StepLog.objects.filter(outcome="U").values_list("node", flat=True)
    deaths = {node: list(blamed).count(node) for node in set(blamed)}
    assert deaths.pop(killer.node) == 5
    assert set(deaths.values()) == {SUSPECT}


def test_deaths_in_different_turns_of_a_repeat_do_not_add_up(house: House) -> None:
    again = step("again", "repeat", config={"turns": 9, "while": True})
    house.start(house.publish(document([again, step("a", parent="again")])))
    for turn in range(1, 7):
        claim(A)
        take_over()
        (lease,) = claim(B)
        assert (lease["lost"], lease["verdict"]) == (1, "")
        scope = {"index": turn, "starts": [{"node": 1, "queue": "default", "timeout": 30}]}
        waiting = {"kind": "body", "text": "Waiting for its steps", "memo": turn}
        end(lease, then="open", scope=scope, waiting=waiting)
        (body,) = claim(B)
        end(body, then="go", o="S", ports=["out"], sig=[3, 0, 1])


def test_deaths_between_asking_for_a_lock_do_not_add_up(house: House) -> None:
    scopes = [step(key, "scope", config={"lock": "x"}) for key in ("one", "two")]
    inside = [step(f"in_{key}", parent=key) for key in ("one", "two")]
    house.start(house.publish(document([*scopes, *inside])))
    beat(B)
    asked = {"then": "open", "waiting": {"kind": "body", "text": "Waiting for its steps"}}
    asked["scope"] = {"index": 1, "lock": "x", "starts": [{"node": 2, "queue": "default", "timeout": 30}]}
    first, second = claim(B, 2)
    end(first, **asked)
    end(second, **asked)
    assert len(claim(B)) == 1  # the first one's body
    for _ in range(3):
        Token.objects.filter(pk=second["id"], state="W").update(wake_at=timezone.now())
        rows(statements.FIRE_TIMERS, 10)
        claim(A)
        take_over()
        (again,) = claim(B)
        assert (again["id"], again["lost"]) == (second["id"], 1)
        end(again, **asked)


def end(lease: dict[str, Any], **more: Any) -> None:
    rows(statements.ADVANCE, B, json.dumps([{"t": lease["id"], "e": lease["epoch"], "n": lease["node"], **more}]))


def test_a_process_works_on_one_suspect_at_a_time(house: House, sandbox: Sandbox) -> None:
    begun: list[str] = []
    release = threading.Event()

    def answer(context: Any) -> Done:
        begun.append(context.step_key)
        release.wait(20)
        return Done(None)

    known = kinds(told=Told(answer))
    run_id = house.start(house.publish(document([step(f"s{n}", "told") for n in range(3)]), kinds=known))
    Token.objects.update(lost=SUSPECT)
    with worker_at_work(make_tools(sandbox, known)) as house.worker:
        wait_until(lambda: begun, 20, "the first suspect to begin")
        house.worker._claimer.claim_once()
        leased = Token.objects.filter(run_id=run_id, state="L").count()
        release.set()
        assert (leased, len(begun)) == (1, 1)
        assert house.end_of(run_id).state == "succeeded"


def test_a_suspect_is_trusted_after_a_while(house: House) -> None:
    suspect(house)
    (row,) = claim(A, 10)
    attempt = Attempt(lease=Lease.from_row(row))
    assert attempt.is_suspect()
    attempt.is_cleared = True
    assert not attempt.is_suspect()
    assert not Attempt(lease=Lease.from_row(row), began=time.monotonic() - TRUSTED).is_suspect()


DELAY = {"kind": "clock", "text": "Waiting"}


@pytest.mark.parametrize("then", ["wait", "undo_inside"])
def test_a_step_that_waited_since_is_no_suspect(house: House, then: str) -> None:
    """What killed its workers before it waited does not count against what it does after."""
    suspect(house)
    (lease,) = [row for row in claim(A, 10) if row["lost"] == SUSPECT]
    call = {"t": lease["id"], "e": lease["epoch"], "then": then, "waiting": DELAY, "until": timezone.now().isoformat()}
    Token.objects.filter(pk=lease["id"]).update(inner_scope=131072)
    rows(statements.ADVANCE, A, json.dumps([call]))
    assert Token.objects.filter(pk=lease["id"]).values_list("state", "lost").get() == ("W", 0)
