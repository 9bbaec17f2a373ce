"""Tests of the test: without a safeguard the machine finds a fault, and says which promise it breaks."""

import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.engine.house import House
from tests.harness.conftest import limit_queue
from tests.harness.machine import Engine
from tests.harness.mutants import mutated

#: One by which each mutant is found within some dozens of worlds; by others it may take hundreds.
SEED = 1
HUNT = settings(
    max_examples=600,
    stateful_step_count=50,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)
SESSION = ("k.session_id = p_session", "true")
EPOCH = ("k.epoch = (i->>'e')::int", "true")
LEASED = ("k.state || '' = 'L' FOR UPDATE", "true FOR UPDATE")


def named_sessions() -> AbstractContextManager[object]:
    """A process that is started again under the name of a dead one gets the dead one's session."""
    return patch("tests.harness.stepped.session_of", lambda name: zlib.crc32(name.encode()))


#: mutant -> how it is made, and the promises of which at least one must be seen to break
MUTANTS: dict[str, tuple[Callable[[], AbstractContextManager[object]], set[str]]] = {
    "no fence": (
        lambda: mutated("branchline_advance", SESSION, EPOCH, LEASED),
        {"I5 one owner", "I5 a repeated call changes nothing", "A call is never refused"},
    ),
    "epoch-only fence": (lambda: mutated("branchline_advance", SESSION), {"I5 one owner"}),
    "sessions by name": (named_sessions, {"I5 one owner"}),
    "claims in spite of control": (
        lambda: mutated("branchline_claim", ("r.control = '-'", "true")),
        {"I10 control holds"},
    ),
    "timers without a clock": (
        lambda: mutated("branchline_fire_timers", ("AND k.wake_at <= v_now", "AND k.wake_at IS NOT NULL")),
        {"I11 no timer is early"},
    ),
    "timers behind a cursor": (
        lambda: mutated(
            "branchline_fire_timers", ("k.wake_at <= v_now", "k.wake_at BETWEEN v_now - interval '60 s' AND v_now")
        ),
        {"I11 no timer is lost", "I4 every run ends"},
    ),
    "joins are decided again": (
        lambda: mutated("branchline_signal_gates", ("IF g.verdict = 'O' THEN", "IF true THEN")),
        {"A call is never refused", "I3 gates only count up"},
    ),
    "joins wait for nobody": (
        lambda: mutated("branchline_signal_gates", ("WHEN v_complete THEN 'F'", "WHEN g.ok > 0 THEN 'F'")),
        {"I2 what runs is what is drawn", "I17 nothing remains of a closed run"},
    ),
    "failures count as arrivals": (
        lambda: mutated("branchline_signal_gates", ("p.mode = 'A' AND g.fail > p.tolerate", "false")),
        {"I2 what runs is what is drawn"},
    ),
    "children are not told": (
        lambda: mutated("branchline_set_control", ("r.parent_run_id = p_run AND r.finished_at IS NULL", "false")),
        {"I10 control holds", "I10 a cancelled run is cancelled"},
    ),
    "parents are not told": (
        lambda: mutated("branchline_end_run", ("IF v.parent_token IS NOT NULL", "IF false")),
        {"I4 every run ends", "I5 leases have an owner"},
    ),
    "the dead are missing": (
        lambda: mutated("branchline_take_over", ("q.id IS NULL OR", "q.beat_at < '-infinity' OR")),
        {"I4 every run ends", "I7 the dead hold nothing"},
    ),
}

#: The same where the queue has a limit.
LIMITED: dict[str, tuple[Callable[[], AbstractContextManager[object]], set[str]]] = {
    "places are not counted": (
        lambda: mutated("branchline_places_left", ("k.state = 'L'", "false")),
        {"I19 limits of queues hold"},
    ),
}

#: The same where little else happens than that runs wait for events.
TOLD: dict[str, tuple[Callable[[], AbstractContextManager[object]], set[str]]] = {
    "events are not kept": (
        lambda: mutated("branchline_await_event", ("v_event.id IS NULL", "true")),
        {"I12 waits miss no event"},
    ),
    "events are given again": (
        lambda: mutated("branchline_kept_event", ("THEN d.lane = p_lane AND EXISTS", "THEN false AND EXISTS")),
        {"I12 events are used once"},
    ),
    "events reach nobody": (
        lambda: mutated("branchline_publish", ("k.state = 'W' AND", "false AND")),
        {"I12 waits miss no event"},
    ),
    "events of one id are two": (
        lambda: mutated("branchline_publish", ("p_event->>'id', v_type", "gen_random_uuid()::text, v_type")),
        {"I12 a repeated event changes nothing"},
    ),
    "events in any order": (
        lambda: mutated("branchline_kept_event", ("ORDER BY e.accepted_at, e.id", "ORDER BY e.accepted_at DESC")),
        {"I13 events have their effect in order"},
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_the_machine_finds_of_events(told_engine: type[Engine], name: str) -> None:
    hunt(told_engine, *TOLD[name])


@pytest.mark.parametrize("name", LIMITED)
def test_the_machine_finds_in_a_limited_queue(engine: type[Engine], house: House, name: str) -> None:
    limit_queue(house)
    hunt(engine, *LIMITED[name])


@pytest.mark.parametrize("name", MUTANTS)
def test_the_machine_finds(engine: type[Engine], name: str) -> None:
    hunt(engine, *MUTANTS[name])


def hunt(engine: type[Engine], make: Callable[[], AbstractContextManager[object]], promises: set[str]) -> None:
    engine.seen = []
    with make(), pytest.raises(BaseException):  # noqa: B017, PT011  Hypothesis wraps what it finds
        run_state_machine_as_test(seed(SEED)(engine), settings=HUNT)
    assert engine.seen
    assert engine.seen[0] in promises
