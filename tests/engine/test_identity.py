"""Ids follow the order in which they were made, also within one millisecond."""

from unittest.mock import patch

from orchestrator.engine.identity import uuid7

MADE = 5_000
APART = 250  # nanoseconds


def test_ids_are_ordered_within_a_millisecond() -> None:
    moments = iter(range(1_700_000_000_000_000_000, 1_800_000_000_000_000_000, APART))
    with patch("orchestrator.engine.identity.time.time_ns", lambda: next(moments)):
        made = [uuid7() for _ in range(MADE)]
    assert made == sorted(made)
    assert len(set(made)) == MADE
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
